//! A text by lines: from bytes to line and column, and a piece of a line that is safe to show.

use std::ops::Range;

use crate::config::problem::Place;

/// A text by lines.
pub(super) struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

/// The line that was shown last, and how far its characters are counted: many problems on one long line must
/// not cost its length each.
#[derive(Default)]
pub(super) struct Cursor {
    line: Option<usize>,
    offset: usize,
    column: usize,
    shown: Vec<char>,
    hidden: Vec<char>,
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

    /// The place of a span. With `hidden` nothing that is quoted in its line is shown.
    pub(super) fn place(&self, span: &Range<usize>, hidden: bool, cursor: &mut Cursor) -> Place {
        let index = self.index(span.start);
        let line = self.line(index);
        let start = self.starts[index];
        let offset = floor_boundary(line, span.start.saturating_sub(start));
        let end = floor_boundary(line, span.end.saturating_sub(start));
        if cursor.line != Some(index) {
            let (shown, hidden) = (masked(line, false), masked(line, true));
            *cursor = Cursor { line: Some(index), offset: 0, column: 0, shown, hidden };
        } else if offset < cursor.offset {
            (cursor.offset, cursor.column) = (0, 0);
        }
        let column = cursor.column + line[cursor.offset..offset].chars().count();
        (cursor.offset, cursor.column) = (offset, column);

        // Masked whole before it is cut: a cut could separate a secret from what gives it away.
        let characters = if hidden { &cursor.hidden } else { &cursor.shown };
        let from = if column > WIDEST - LEAD / 2 { column - LEAD } else { 0 };
        let to = (from + WIDEST).min(characters.len());
        let before = if from > 0 { "…" } else { "" };
        let after = if to < characters.len() { "…" } else { "" };
        let source =
            before.chars().chain(characters[from..to].iter().copied()).chain(after.chars()).collect();
        let width = line.get(offset..end).map_or(0, |marked| marked.chars().take(WIDEST).count());
        let first = before.chars().count() + column - from;
        let last = first + width.min(to.saturating_sub(column)).max(1);
        Place { line: index + 1, column: column + 1, source, marked: first..last }
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

/// A source line that is safe to show, one character for one: no control characters (a terminal would obey
/// them), no user information of URLs, no value of anything called a password, and with `hidden` no value at all.
fn masked(line: &str, hidden: bool) -> Vec<char> {
    let mut characters: Vec<char> = line
        .chars()
        .map(|character| match character {
            '\t' => ' ',
            character if character.is_control() => '\u{fffd}',
            character => character,
        })
        .collect();
    let mut quote = None;
    let mut authority: Option<usize> = None;
    let mut name = String::new();
    let mut conceals = false;
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
            Some(_) if hidden || conceals => characters[index] = '*',
            Some(_) => {}
            None if matches!(character, '"' | '\'') => quote = Some(character),
            None if conceals && character.is_alphanumeric() => characters[index] = '*',
            None if character == '=' => conceals |= hidden || is_secret(&name),
            None if is_of_name(character) => {
                if index > 0 && !is_of_name(characters[index - 1]) {
                    name.clear();
                }
                name.push(character);
            }
            None => {}
        }
    }
    characters
}

fn is_of_name(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | '-')
}

/// Whether a key by this name may hold a secret itself, rather than the path of one.
fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    !name.ends_with("_file") && ["token", "secret", "passw"].iter().any(|word| name.contains(word))
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
        for (line, hidden, expected) in [
            ("\"http://user:pass@host\"\u{1b}[2J", false, "\"http://*********@host\"\u{fffd}[2J"),
            ("token = \"abc\" # x", false, "token = \"***\" # *"),
            ("admin = { bind = 'b', token=abc }", false, "admin = { bind = 'b', token=*** }"),
            ("token_file = \"abc\"", false, "token_file = \"abc\""),
            ("keys = [\"abc\", 12]", true, "keys = [\"***\", **]"),
            ("  \"x@y\",", true, "  \"***\","),
        ] {
            assert_eq!(masked(line, hidden).into_iter().collect::<String>(), expected);
        }
    }

    #[test]
    fn a_cut_line_keeps_its_secrets() {
        let text = format!("x = {{ token = \"{}\", y = 1 }}", "s".repeat(200));
        let shown = shown(&text, 220..221);
        assert!(shown.contains("1 | …***") && !shown.contains("ss"), "{shown}");
    }

    #[test]
    fn the_end_of_the_text_is_a_place_too() {
        assert!(shown("a = ", 4..4).contains("cutover.toml:1:5"));
        assert!(shown("a = 1\n", 6..6).contains("cutover.toml:1:6"));
    }
}
