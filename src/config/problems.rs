//! Collects what is wrong with one text, in whatever order it is found, and hands it out in that of the text.

use std::cell::RefCell;
use std::ops::Range;

use crate::config::lines::{Cursor, Lines};
use crate::config::problem::{Problem, Severity};

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
            let is_written = at.span != (0..0) || kind == Kind::Syntax;
            let place = is_written.then(|| lines.place(&at.span, kind == Kind::Hidden, &mut cursor));
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

/// A piece of what the user wrote, quoted for a message.
pub(super) fn excerpt(text: &str) -> String {
    if text.is_empty() { "an empty text".to_owned() } else { format!("`{}`", cut(text)) }
}

/// A piece of what the user wrote: short, and without control characters.
pub(super) fn cut(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut shown: String = text
        .chars()
        .take(LONGEST)
        .map(|character| if character.is_control() { '\u{fffd}' } else { character })
        .collect();
    if text.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    shown
}

/// The name that was probably meant: a part of it, a little more of it, or at most a third of its letters
/// differ.
pub(super) fn nearest<'n>(written: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    // Nothing that long is a slip of one of our names, and the comparison costs length times length.
    if written.len() > 64 {
        return None;
    }
    let written = written.to_lowercase();
    let distance = |name: &str| {
        let is_first_word = name.strip_prefix(&written).is_some_and(|rest| rest.starts_with('_'));
        let is_longer = written.strip_prefix(name).is_some_and(|rest| rest.len() <= 3);
        let slips = strsim::damerau_levenshtein(&written, name);
        if !written.is_empty() && (is_first_word || is_longer) { slips.min(1) } else { slips }
    };
    names
        .into_iter()
        .map(|name| (distance(name), name))
        .filter(|(distance, name)| *distance <= (name.len() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_name() {
        let names = ["percent", "salt", "keys", "endpoints", "connections"];
        for (written, meant) in [
            ("percnt", Some("percent")),
            ("Percent", Some("percent")),
            ("endpoint", Some("endpoints")),
            ("percentage", Some("percent")),
            ("connections_per_ip", None),
            ("preset", None),
            ("session", None),
            ("", None),
        ] {
            assert_eq!(nearest(written, names), meant, "written {written:?}");
        }
    }
}
