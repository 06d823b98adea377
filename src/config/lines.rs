//! A text by lines: from bytes to line and column, and a piece of a line that is safe to show.

use std::ops::Range;

use crate::config::problem::Place;

/// A text by lines.
pub(super) struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

/// The last place that was counted, so that many problems on one long line are counted once.
#[derive(Default)]
pub(super) struct Cursor {
    offset: usize,
    line: usize,
    column: usize,
}

/// Characters of a source line that are shown.
const WIDEST: usize = 100;
/// Characters shown before the place when a line has to be cut.
const LEAD: usize = 40;

impl<'t> Lines<'t> {
    pub(super) fn of(text: &'t str) -> Self {
        let after = memchr::memchr_iter(b'\n', text.as_bytes()).map(|newline| newline + 1);
        Self { text, starts: std::iter::once(0).chain(after).collect() }
    }

    /// The 0-based line of an offset; an offset at the very end of the text belongs to the last line that
    /// holds something.
    pub(super) fn index(&self, offset: usize) -> usize {
        let line = self.starts.partition_point(|start| *start <= offset).saturating_sub(1);
        if line > 0 && self.starts[line] >= self.text.len() { line - 1 } else { line }
    }

    pub(super) fn line(&self, index: usize) -> &'t str {
        let start = self.starts.get(index).copied().unwrap_or(self.text.len());
        let end = self.starts.get(index + 1).copied().unwrap_or(self.text.len());
        self.text.get(start..end).unwrap_or_default().trim_end_matches(['\n', '\r'])
    }

    pub(super) fn place(&self, span: &Range<usize>, hidden: bool, cursor: &mut Cursor) -> Place {
        let index = self.index(span.start);
        let line = self.line(index);
        let start = self.starts[index];
        let offset = floor_boundary(line, span.start.saturating_sub(start));
        let (from, counted) = if cursor.line == index && cursor.offset <= offset {
            (cursor.offset, cursor.column)
        } else {
            (0, 0)
        };
        let column = counted + line[from..offset].chars().count();
        *cursor = Cursor { offset, line: index, column };

        // The window is cut in characters around the place, so that the carets always fall under it.
        let cut_before = if column > WIDEST - LEAD / 2 { column - LEAD } else { 0 };
        let window_start = floor_boundary(line, back(line, offset, column - cut_before));
        let window: String = line[window_start..].chars().take(WIDEST).collect();
        let cut_after = window_start + window.len() < line.len();
        let end = floor_boundary(line, span.end.saturating_sub(start));
        let width = line.get(offset..end).map_or(1, |marked| marked.chars().take(WIDEST).count());

        let mut source = String::new();
        if cut_before > 0 {
            source.push('…');
        }
        let marked_start = source.chars().count() + column - cut_before;
        source.push_str(&masked(&window, hidden));
        let shown = source.chars().count();
        if cut_after {
            source.push('…');
        }
        let marked = marked_start..(marked_start + width.max(1)).min(shown.max(marked_start + 1));
        Place { line: index + 1, column: column + 1, source, marked }
    }
}

/// The offset `characters` before `offset`.
fn back(line: &str, offset: usize, characters: usize) -> usize {
    match characters.checked_sub(1) {
        Some(nth) => line[..offset].char_indices().rev().nth(nth).map_or(0, |(index, _)| index),
        None => offset,
    }
}

/// The nearest character boundary at or before an offset.
fn floor_boundary(line: &str, offset: usize) -> usize {
    let mut offset = offset.min(line.len());
    while !line.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

/// A piece of source that is safe to show, one character for one: no control characters (a terminal would obey
/// them), no user information of URLs, and with `hidden` nothing that is quoted.
fn masked(source: &str, hidden: bool) -> String {
    let mut characters: Vec<char> = source
        .chars()
        .map(|character| match character {
            '\t' => ' ',
            character if character.is_control() => '\u{fffd}',
            character => character,
        })
        .collect();
    let mut quote = None;
    let mut authority: Option<usize> = None;
    for index in 0..characters.len() {
        let character = characters[index];
        match authority {
            Some(start) if character == '@' => {
                characters[start..index].fill('*');
                authority = None;
            }
            Some(_) if matches!(character, '/' | '"' | '\'' | ' ') => authority = None,
            Some(_) | None => {}
        }
        if character == '/' && index >= 2 && characters[index - 2..index] == [':', '/'] {
            authority = Some(index + 1);
        }
        match quote {
            Some(open) if character == open => quote = None,
            Some(_) if hidden => characters[index] = '*',
            Some(_) => {}
            None if matches!(character, '"' | '\'') => quote = Some(character),
            None => {}
        }
    }
    characters.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::problems::{At, Problems};

    fn shown(text: &str, span: Range<usize>) -> String {
        let problems = Problems::default();
        problems.error(&At { key: "a.b".to_owned(), span }, "wrong", "right");
        let (errors, _) = problems.into_sorted("cutover.toml", text);
        errors[0].to_string()
    }

    #[test]
    fn a_problem_shows_the_line_and_marks_the_place() {
        assert_eq!(
            shown("x = 1\n\té = 140\n", 12..15),
            "error: wrong\n --> cutover.toml:2:6  a.b\n  |\n2 |  é = 140\n  |      ^^^\n  hint: right"
        );
    }

    #[test]
    fn a_long_line_is_cut_around_the_place() {
        let text = format!("x = \"{}é{}\"", "a".repeat(300), "b".repeat(300));
        let shown = shown(&text, 305..307);
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines[1], " --> cutover.toml:1:306  a.b");
        assert_eq!(lines[3], format!("1 | …{}é{}…", "a".repeat(40), "b".repeat(59)));
        assert_eq!(lines[4], format!("  | {}^", " ".repeat(41)));
    }

    #[test]
    fn nothing_that_may_be_secret_or_moves_a_terminal_is_shown() {
        assert_eq!(
            masked("\"http://user:pass@host\"\u{1b}[2J", false),
            "\"http://*********@host\"\u{fffd}[2J"
        );
        assert_eq!(masked("token = \"abc\" # x", true), "token = \"***\" # x");
    }

    #[test]
    fn the_end_of_the_text_is_a_place_too() {
        assert!(shown("a = ", 4..4).contains("cutover.toml:1:5"));
        assert!(shown("a = 1\n", 6..6).contains("cutover.toml:1:6"));
    }
}
