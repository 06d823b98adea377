//! A mistake in the configuration, and its rendering over the line where it was made.
//!
//! A [`Problem`] is complete in itself: it carries the line it points at, cut and masked, so that it can be
//! shown, logged or sent long after the text is gone. Secrets never get into one.

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
