//! How things look on a terminal, and as JSON: output, errors with hints, tables, ages.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use serde_json::{Value, json};

use crate::admin::views::ProblemView;
use crate::app::StartError;
use crate::config::diff::Verdict;
use crate::config::edit::EditError;
use crate::config::{Problem, Rejected, WriteError};

/// What went wrong, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(super) struct Failure {
    message: String,
    hint: Option<String>,
}

impl Failure {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    /// With what to do about it.
    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// A text cannot be edited as asked.
    pub(super) fn of_edit(path: &Path, error: &EditError) -> Self {
        Self { message: format!("{}: {error}", path.display()), hint: error.hint().map(str::to_owned) }
    }

    /// An edited text cannot be written.
    pub(super) fn of_write(error: WriteError) -> Self {
        Self { message: error.to_string(), hint: error.hint().map(str::to_owned) }
    }
}

/// Writes data and ends the line. Whoever stopped reading has read enough: that is no error.
pub(super) fn data(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Writes JSON as people and programs can both read it.
pub(super) fn json_data(value: &impl serde::Serialize) -> anyhow::Result<()> {
    data(&serde_json::to_string_pretty(value)?)
}

/// Talks. Nobody may be listening.
pub(super) fn talk(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Tells why a verb failed.
pub(super) fn failure(error: &anyhow::Error, json: bool) -> ExitCode {
    let value = if let Some(rejected) = rejected_of(error) {
        talk(&rejected.to_string());
        json!({ "problems": problems(&rejected.problems), "warnings": problems(&rejected.warnings) })
    } else {
        let (message, hint) = (format!("{error:#}"), hint_of(error));
        talk(&format!("error: {message}"));
        if let Some(hint) = &hint {
            talk(&format!("  hint: {hint}"));
        }
        json!({ "error": message, "hint": hint })
    };
    if json {
        // That it cannot be written either changes nothing about the failure.
        let _ = json_data(&value);
    }
    ExitCode::FAILURE
}

fn rejected_of(error: &anyhow::Error) -> Option<&Rejected> {
    match error.downcast_ref::<StartError>() {
        Some(StartError::Config(rejected)) => Some(rejected),
        Some(
            StartError::Bind(_)
            | StartError::Tls(_)
            | StartError::Admin { .. }
            | StartError::AccessLog(_)
            | StartError::Thread(_),
        )
        | None => error.downcast_ref(),
    }
}

fn hint_of(error: &anyhow::Error) -> Option<String> {
    if let Some(failure) = error.downcast_ref::<Failure>() {
        return failure.hint.clone();
    }
    let (source, address) = match error.downcast_ref::<StartError>()? {
        StartError::Bind(error) => (&error.source, error.address),
        StartError::Admin { address, source } => (source, *address),
        StartError::AccessLog(_) => return Some("log.access names the file".to_owned()),
        StartError::Config(_) | StartError::Tls(_) | StartError::Thread(_) => return None,
    };
    match source.kind() {
        io::ErrorKind::AddrInUse => {
            Some(format!("another process listens there: ss -ltnp 'sport = :{}'", address.port()))
        }
        io::ErrorKind::AddrNotAvailable => Some(format!("{} is no address of this machine", address.ip())),
        io::ErrorKind::PermissionDenied => Some(
            "ports below 1024 need a privilege: use a higher one, or grant CAP_NET_BIND_SERVICE".to_owned(),
        ),
        // Foreign and open-ended: the system's own words must do.
        _ => None,
    }
}

/// Problems as JSON.
pub(super) fn problems(problems: &[Problem]) -> Vec<ProblemView<'_>> {
    problems.iter().map(ProblemView::from).collect()
}

/// Talks about warnings, as a compiler would.
pub(super) fn warnings(warnings: &[Problem]) {
    for warning in warnings {
        talk(&format!("{warning}\n"));
    }
}

/// A verdict in output.
pub(super) const fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Unchanged => "unchanged",
        Verdict::Widens => "widens",
        Verdict::MovesBack => "moves_back",
        Verdict::Reshuffles => "reshuffles",
    }
}

/// Changes as JSON: what each says, and what it does to people.
pub(super) fn changes(plan: &crate::config::diff::Plan) -> Value {
    let change = |change: &crate::config::diff::Change| json!({ "change": change.to_string(), "verdict": verdict(change.verdict()) });
    plan.changes.iter().map(change).collect()
}

/// `1 listener`, `2 listeners`.
pub(super) fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

/// A span of time in its two largest units, such as `3h 12m`.
pub(super) fn span(seconds: u64) -> String {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    match seconds {
        0..MINUTE => format!("{seconds}s"),
        MINUTE..HOUR => format!("{}m {}s", seconds / MINUTE, seconds % MINUTE),
        HOUR..DAY => format!("{}h {}m", seconds / HOUR, seconds % HOUR / MINUTE),
        DAY.. => format!("{}d {}h", seconds / DAY, seconds % DAY / HOUR),
    }
}

/// Columns as wide as their widest cell, two spaces apart; the last one is as long as it is.
pub(super) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Every line of a text, moved to the right.
pub(super) fn indent(text: &str, by: usize) -> String {
    text.lines().map(|line| format!("{:by$}{line}", "")).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_shows_its_two_largest_units() {
        for (seconds, text) in
            [(0, "0s"), (59, "59s"), (60, "1m 0s"), (3_661, "1h 1m"), (86_399, "23h 59m"), (200_000, "2d 7h")]
        {
            assert_eq!(span(seconds), text);
        }
    }

    #[test]
    fn a_table_has_straight_columns_and_no_trailing_space() {
        let rows =
            [vec!["ENGINE".to_owned(), "URL".to_owned()], vec!["a".to_owned(), "b".to_owned()], vec![]];
        assert_eq!(table(&rows), "ENGINE  URL\na       b\n");
    }
}
