//! A mistake in the configuration, and its rendering over the line where it was made.
//!
//! A [`Problem`] is complete in itself: it carries the line it points at, cut and masked, so that it can be
//! shown, logged or sent long after the text is gone. Secrets never get into one.

use std::cell::RefCell;
use std::fmt;
use std::ops::Range;

/// How bad it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// It can be used, but probably does not do what was meant.
    Warning,
}

impl Severity {
    /// The name in output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One mistake: what, where, and what to do about it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// Whether it blocks.
    pub severity: Severity,
    /// The configuration file, as it was named.
    pub file: String,
    /// The key path, such as `apps.portal.percent` or `listeners[1].bind`; empty for the file as a whole.
    pub key: String,
    /// Where in the file; `None` for the file as a whole.
    pub place: Option<Place>,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

/// A place in the configuration file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Place {
    /// 1-based line number.
    pub line: usize,
    /// 1-based column, in characters.
    pub column: usize,
    /// The source line; long ones are cut to the part around the column.
    pub source: String,
    /// The characters of `source` that are meant.
    pub marked: Range<usize>,
}

impl Problem {
    /// A problem of the file as a whole.
    pub(crate) fn of_file(file: &str, message: impl Into<String>, hint: Option<&str>) -> Self {
        Self {
            severity: Severity::Error,
            file: file.to_owned(),
            key: String::new(),
            place: None,
            message: message.into(),
            hint: hint.map(str::to_owned),
        }
    }
}

/// As a compiler shows it, without colour. No newline at the end.
impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.severity.as_str(), self.message)?;
        match &self.place {
            None => {
                write!(formatter, "\n --> {}", self.file)?;
                self.fmt_key(formatter)?;
            }
            Some(place) => {
                let gutter = place.line.to_string().len();
                write!(formatter, "\n{:gutter$}--> {}:{}:{}", "", self.file, place.line, place.column)?;
                self.fmt_key(formatter)?;
                write!(formatter, "\n{:gutter$} |", "")?;
                write!(formatter, "\n{} | {}", place.line, place.source)?;
                let (before, carets) = (place.marked.start, place.marked.len().max(1));
                write!(formatter, "\n{:gutter$} | {:before$}{:^>carets$}", "", "", "")?;
            }
        }
        match &self.hint {
            Some(hint) => write!(formatter, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}

impl Problem {
    fn fmt_key(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.key.is_empty() { Ok(()) } else { write!(formatter, "  {}", self.key) }
    }
}

/// A key path and the bytes of the text that it stands for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct At {
    pub(super) key: String,
    pub(super) span: Range<usize>,
}

/// Collects what is wrong with one text. Shared by the readers of all its tables, hence the cell.
#[derive(Debug, Default)]
pub(super) struct Problems {
    found: RefCell<Vec<Found>>,
}

#[derive(Debug)]
struct Found {
    severity: Severity,
    at: At,
    kind: Kind,
    message: String,
    hint: Option<String>,
}

/// What a finding rests on: it decides which ones are still worth telling when the text has syntax errors.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    /// The text is not TOML.
    Syntax,
    /// Something that is written.
    Written,
    /// Something that is written, and may be a secret.
    Hidden,
    /// Something that is not written.
    Absent,
}

impl Problems {
    pub(super) fn error(&self, at: &At, message: impl Into<String>, hint: impl Into<String>) {
        self.push(Severity::Error, at, Kind::Written, message.into(), hint.into());
    }

    /// An error whose source line is shown with every quoted text masked.
    pub(super) fn hidden_error(&self, at: &At, message: impl Into<String>, hint: impl Into<String>) {
        self.push(Severity::Error, at, Kind::Hidden, message.into(), hint.into());
    }

    pub(super) fn missing(&self, at: &At, message: impl Into<String>, hint: impl Into<String>) {
        self.push(Severity::Error, at, Kind::Absent, message.into(), hint.into());
    }

    pub(super) fn syntax(&self, span: Range<usize>, message: impl Into<String>, hint: impl Into<String>) {
        let at = At { key: String::new(), span };
        self.push(Severity::Error, &at, Kind::Syntax, message.into(), hint.into());
    }

    pub(super) fn warning(&self, at: &At, message: impl Into<String>, hint: impl Into<String>) {
        self.push(Severity::Warning, at, Kind::Written, message.into(), hint.into());
    }

    /// A warning about something that is not written.
    pub(super) fn missing_warning(&self, at: &At, message: impl Into<String>, hint: impl Into<String>) {
        self.push(Severity::Warning, at, Kind::Absent, message.into(), hint.into());
    }

    fn push(&self, severity: Severity, at: &At, kind: Kind, message: String, hint: String) {
        let hint = (!hint.is_empty()).then_some(hint);
        self.found.borrow_mut().push(Found { severity, at: at.clone(), kind, message, hint });
    }

    /// Forgets everything for what others found.
    pub(super) fn replace(&self, others: Self) {
        self.found.replace(others.found.into_inner());
    }

    /// Whether anything blocks.
    pub(super) fn has_errors(&self) -> bool {
        self.found.borrow().iter().any(|found| found.severity == Severity::Error)
    }

    /// Everything found, in the order of the text: errors, then warnings.
    pub(super) fn into_sorted(self, file: &str, text: &str) -> (Vec<Problem>, Vec<Problem>) {
        let lines = Lines::of(text);
        let mut found = without_echoes(self.found.into_inner(), &lines);
        found.sort_by_key(|found| found.at.span.start);
        let mut cursor = Cursor::default();
        let (mut errors, mut warnings) = (Vec::new(), Vec::new());
        for Found { severity, at, kind, message, hint } in found {
            // An empty span at the start is the file as a whole: nothing is written there to point at.
            let place = (at.span != (0..0)).then(|| lines.place(&at.span, kind == Kind::Hidden, &mut cursor));
            let problem = Problem { severity, file: file.to_owned(), key: at.key, place, message, hint };
            match severity {
                Severity::Error => errors.push(problem),
                Severity::Warning => warnings.push(problem),
            }
        }
        (errors, warnings)
    }
}

/// Where a text is not TOML, the reader sees guesses of the parser, and complaints about those only distract:
/// one syntax error a line is kept, and of the others those on lines that are whole. A broken table header or
/// an unclosed value makes a guess of everything that follows; then only syntax is told.
fn without_echoes(mut found: Vec<Found>, lines: &Lines<'_>) -> Vec<Found> {
    if !found.iter().any(|found| found.kind == Kind::Syntax) {
        return found;
    }
    found.sort_by_key(|found| (found.kind != Kind::Syntax, found.at.span.start));
    let mut broken: Vec<usize> = Vec::new();
    let mut lost = false;
    found.retain(|found| {
        let line = lines.index(found.at.span.start);
        match found.kind {
            Kind::Syntax => {
                lost |= found.message.starts_with("unclosed")
                    || found.message.contains("multi-line")
                    || lines.line(line).trim_start().starts_with('[');
                let first = broken.last() != Some(&line);
                broken.push(line);
                first
            }
            Kind::Written | Kind::Hidden => !lost && broken.binary_search(&line).is_err(),
            Kind::Absent => false,
        }
    });
    found
}

/// A text by lines.
struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

/// The last place that was counted, so that many problems on one long line are counted once.
#[derive(Default)]
struct Cursor {
    offset: usize,
    line: usize,
    column: usize,
}

/// Characters of a source line that are shown.
const WIDEST: usize = 100;
/// Characters shown before the place when a line has to be cut.
const LEAD: usize = 40;

impl<'t> Lines<'t> {
    fn of(text: &'t str) -> Self {
        let after = memchr::memchr_iter(b'\n', text.as_bytes()).map(|newline| newline + 1);
        Self { text, starts: std::iter::once(0).chain(after).collect() }
    }

    /// The 0-based line of an offset; an offset at the very end of the text belongs to the last line that
    /// holds something.
    fn index(&self, offset: usize) -> usize {
        let line = self.starts.partition_point(|start| *start <= offset).saturating_sub(1);
        if line > 0 && self.starts[line] >= self.text.len() { line - 1 } else { line }
    }

    fn line(&self, index: usize) -> &'t str {
        let start = self.starts.get(index).copied().unwrap_or(self.text.len());
        let end = self.starts.get(index + 1).copied().unwrap_or(self.text.len());
        self.text.get(start..end).unwrap_or_default().trim_end_matches(['\n', '\r'])
    }

    fn place(&self, span: &Range<usize>, hidden: bool, cursor: &mut Cursor) -> Place {
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

/// A piece of what the user wrote, fit for a message: short, and without control characters.
pub(super) fn excerpt(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut shown: String = text
        .chars()
        .take(LONGEST)
        .map(|character| if character.is_control() { '\u{fffd}' } else { character })
        .collect();
    if text.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    format!("`{shown}`")
}

/// The name that was probably meant: at most a third of its letters differ.
pub(super) fn nearest<'n>(written: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    // Nothing that long is a slip of one of our names, and the comparison costs length times length.
    if written.len() > 64 {
        return None;
    }
    names
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&written.to_lowercase(), name), name))
        .filter(|(distance, name)| *distance <= (name.len() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, span: Range<usize>) -> String {
        let problems = Problems::default();
        problems.error(&At { key: "a.b".to_owned(), span }, "wrong", "right");
        let (errors, _) = problems.into_sorted("cutover.toml", text);
        errors[0].to_string()
    }

    #[test]
    fn a_problem_shows_the_line_and_marks_the_place() {
        assert_eq!(
            shown("x = 1\n\té = 140\n", 11..14),
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

    #[test]
    fn a_slip_finds_its_name() {
        let names = ["percent", "salt", "keys", "endpoints"];
        for (written, meant) in [
            ("percnt", Some("percent")),
            ("Percent", Some("percent")),
            ("endpoint", Some("endpoints")),
            ("preset", None),
            ("session", None),
            ("", None),
        ] {
            assert_eq!(nearest(written, names), meant, "written {written:?}");
        }
    }
}
