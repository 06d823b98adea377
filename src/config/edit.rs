//! Changes one percentage of a text, in place, or adds one order.
//!
//! The text is spliced at the bytes that the parser names, so that every other byte stays as it is: comments,
//! spacing, CRLF. (`toml_edit` would write the document anew, with LF.) The result is parsed again and compared
//! before anybody gets to see it.

mod evacuate;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::config::problems::{excerpt, nearest};
use crate::config::units::{self, UnitError};

pub use evacuate::{add_order, changed_lines};

/// Why a text was not changed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum EditError {
    /// The text is not TOML.
    #[error("line {line}: {message}")]
    Syntax {
        /// 1-based.
        line: usize,
        /// What the parser says.
        message: String,
    },
    /// There is no app of this name.
    #[error("there is no app {}", excerpt(app))]
    UnknownApp {
        /// As asked for.
        app: String,
        /// What to do.
        hint: String,
    },
    /// Stages stand where a percentage would.
    #[error("the share of {place} follows the stages in line {line}")]
    Staged {
        /// The app, or `app/workflow`.
        place: String,
        /// 1-based.
        line: usize,
    },
    /// The percentage is none.
    #[error(transparent)]
    Percent(UnitError),
    /// The text is written in a way that cannot be edited in place.
    #[error("the {key} of {app} is written in a way that cannot be changed in place")]
    Unsupported {
        /// The key that was to change.
        key: &'static str,
        /// As asked for.
        app: String,
    },
}

impl EditError {
    /// What to do, where there is something to say.
    pub fn hint(&self) -> Option<&str> {
        let hint = match self {
            Self::Syntax { .. } => "`cutover check` shows every mistake of the file",
            Self::UnknownApp { hint, .. } => hint,
            Self::Staged { .. } => {
                "change the stages with an editor, or write percent in their place; `cutover plan` says who moves"
            }
            Self::Percent(error) => &error.hint,
            Self::Unsupported { .. } => "change it with an editor",
        };
        (!hint.is_empty()).then_some(hint)
    }
}

/// The text with another percentage for one app, or one workflow of it: `percent` changed where it is written, added
/// where it is not. That the app has the workflow is for the caller to know: a preset's is not in the text.
pub fn set_percent(
    text: &str,
    app: &str,
    workflow: Option<&str>,
    percent: &str,
) -> Result<String, EditError> {
    let share = units::percent(percent).map_err(EditError::Percent)?;
    let number = units::write_percent(share);
    let document = DeTable::parse(text).map_err(|error| syntax(text, &error))?;
    let found = find_app(document.get_ref(), app)?;
    let table = match workflow {
        None => Some(found),
        Some(name) => found.get_ref().get("workflows").and_then(|workflows| workflows.get_ref().get(name)),
    };
    if let Some(stages) = table.and_then(|table| table.get_ref().get("stages")) {
        let place = workflow.map_or_else(|| app.to_owned(), |workflow| format!("{app}/{workflow}"));
        return Err(EditError::Staged { place, line: line_of(text, stages.span().start) });
    }
    let splice = match (table.map(|table| table.get_ref().get("percent")), workflow) {
        (Some(Some(written)), _) => changed(text, written, &number),
        (Some(None), None) => added(text, found, &format!("percent = {number}")),
        (Some(None), Some(name)) => {
            table.and_then(|table| added_to_workflow(text, table, app, name, &number))
        }
        (None, name) => Some(appended(text, app, name.unwrap_or_default(), &number)),
    };
    let path: Vec<&str> = match workflow {
        None => vec!["apps", app],
        Some(name) => vec!["apps", app, "workflows", name],
    };
    let named = path[1..].join(".").replace(".workflows.", "/");
    let unsupported = || EditError::Unsupported { key: "percent", app: named.clone() };
    let edited = splice.and_then(|splice| splice.apply(text)).ok_or_else(unsupported)?;
    if is_only_change(text, &edited, &path, &number) { Ok(edited) } else { Err(unsupported()) }
}

/// The app's table in a document.
fn find_app<'d>(document: &'d DeTable<'d>, app: &str) -> Result<&'d Spanned<DeValue<'d>>, EditError> {
    let apps = document.get("apps").and_then(|apps| apps.get_ref().as_table());
    if let Some(found) = apps.and_then(|apps| apps.get(app)) {
        return Ok(found);
    }
    let names: Vec<&str> =
        apps.iter().flat_map(|apps| apps.keys()).map(|key| key.get_ref().as_ref()).collect();
    let hint = match nearest(app, names.iter().copied()) {
        Some(name) => format!("did you mean `{name}`?"),
        None if names.is_empty() => String::new(),
        None => format!("the apps are {}", names.join(", ")),
    };
    Err(EditError::UnknownApp { app: app.to_owned(), hint })
}

/// How the text ends its lines.
fn newline_of(text: &str) -> &'static str {
    if text.contains("\r\n") { "\r\n" } else { "\n" }
}

/// Bytes to replace, and what with.
struct Splice {
    span: std::ops::Range<usize>,
    with: String,
}

impl Splice {
    fn apply(&self, text: &str) -> Option<String> {
        let (before, after) = (text.get(..self.span.start)?, text.get(self.span.end..)?);
        Some(format!("{before}{}{after}", self.with))
    }
}

fn changed(text: &str, written: &Spanned<DeValue<'_>>, number: &str) -> Option<Splice> {
    let with = match written.get_ref() {
        // Whoever wrote a text with a sign wants to see one.
        DeValue::String(old) => format!("\"{number}{}\"", if old.contains('%') { "%" } else { "" }),
        DeValue::Integer(_) | DeValue::Float(_) => number.to_owned(),
        DeValue::Boolean(_) | DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => return None,
    };
    let with = if text.get(written.span())?.starts_with('\'') { with.replace('"', "'") } else { with };
    Some(Splice { span: written.span(), with })
}

/// Where a new key goes depends on how the table is written: under its header, into its braces, before its
/// first dotted key, or, where only tables below it have headers, under a header of its own.
fn added(text: &str, app: &Spanned<DeValue<'_>>, line: &str) -> Option<Splice> {
    let span = app.span();
    let newline = newline_of(text);
    let line_start = text.get(..span.start)?.rfind('\n').map_or(0, |newline| newline + 1);
    let lead = text.get(line_start..span.start)?;
    let indent: &str = &lead[..lead.len() - lead.trim_start().len()];
    let insert = |at: usize, with: String| Some(Splice { span: at..at, with });

    if text.get(span.clone())?.starts_with('{') {
        let is_empty = app.get_ref().as_table()?.is_empty();
        let comma = if is_empty { " " } else { "," };
        return insert(span.start + 1, format!(" {line}{comma}"));
    }
    if text.get(span.clone())?.starts_with('[') {
        let line = format!("{indent}{line}");
        return match text.get(span.end..)?.find('\n') {
            Some(end) => insert(span.end + end + 1, format!("{line}{newline}")),
            None => insert(text.len(), format!("{newline}{line}{newline}")),
        };
    }
    if lead.trim_start().starts_with('[') {
        let header = text.get(line_start..span.end)?.trim_start().trim_start_matches('[');
        return insert(line_start, format!("{indent}[{header}]{newline}{line}{newline}{newline}"));
    }
    // A dotted key: `portal.classic…` or `apps.portal.classic…`.
    let mut start = span.start;
    if let Some(parent) = text.get(..start)?.trim_end().strip_suffix('.') {
        let parent = parent.trim_end();
        let name = ["apps", "\"apps\"", "'apps'"].into_iter().find(|name| parent.ends_with(name))?;
        start = parent.len() - name.len();
    }
    let name = text.get(start..span.end)?;
    if text.get(line_start..start)?.trim().is_empty() {
        insert(line_start, format!("{indent}{name}.{line}{newline}"))
    } else {
        insert(start, format!("{name}.{line}, "))
    }
}

/// Into the braces or under the header of a workflow's table; one that is written with dotted keys gets a header
/// nowhere, and is left to an editor.
fn added_to_workflow(
    text: &str,
    table: &Spanned<DeValue<'_>>,
    app: &str,
    name: &str,
    number: &str,
) -> Option<Splice> {
    let span = table.span();
    let written = text.get(span.clone())?;
    if written.starts_with('{') || written.starts_with('[') {
        return added(text, table, &format!("percent = {number}"));
    }
    // Only tables below it have headers.
    Some(appended(text, app, name, number))
}

/// A table of its own at the end of the text, where a preset's workflow is not written yet.
fn appended(text: &str, app: &str, workflow: &str, number: &str) -> Splice {
    let newline = newline_of(text);
    let end = if text.is_empty() || text.ends_with('\n') { "" } else { newline };
    let with = format!("{end}{newline}[apps.{app}.workflows.{workflow}]{newline}percent = {number}{newline}");
    Splice { span: text.len()..text.len(), with }
}

/// The proof: both texts say the same, but for this percentage.
fn is_only_change(before: &str, after: &str, path: &[&str], number: &str) -> bool {
    let (Ok(mut before), Ok(mut after)) = (before.parse::<toml::Table>(), after.parse::<toml::Table>())
    else {
        return false;
    };
    fn take(document: &mut toml::Table, path: &[&str]) -> Option<toml::Value> {
        let Some((name, rest)) = path.split_first() else { return document.remove("percent") };
        take(document.get_mut(*name)?.as_table_mut()?, rest)
    }
    /// A table that is there for the percentage alone is a part of the change.
    fn prune(after: &mut toml::Table, before: &toml::Table, path: &[&str]) {
        let Some((name, rest)) = path.split_first() else { return };
        let Some(inner) = after.get_mut(*name).and_then(toml::Value::as_table_mut) else { return };
        let empty = toml::Table::new();
        prune(inner, before.get(*name).and_then(toml::Value::as_table).unwrap_or(&empty), rest);
        if inner.is_empty() && !before.contains_key(*name) {
            after.remove(*name);
        }
    }
    take(&mut before, path);
    let written = match take(&mut after, path) {
        Some(toml::Value::String(text)) => text,
        Some(toml::Value::Integer(integer)) => integer.to_string(),
        Some(toml::Value::Float(_)) => number.to_owned(),
        Some(toml::Value::Boolean(_) | toml::Value::Datetime(_) | toml::Value::Array(_))
        | Some(toml::Value::Table(_))
        | None => return false,
    };
    prune(&mut after, &before, path);
    // Compared as printed: a NaN elsewhere in the file is the same NaN.
    written.trim_end_matches('%') == number && format!("{before:?}") == format!("{after:?}")
}

fn syntax(text: &str, error: &toml::de::Error) -> EditError {
    let offset = error.span().map_or(0, |span| span.start.min(text.len()));
    EditError::Syntax { line: line_of(text, offset), message: error.message().to_owned() }
}

/// The 1-based line of an offset.
fn line_of(text: &str, offset: usize) -> usize {
    memchr::memchr_iter(b'\n', &text.as_bytes()[..offset]).count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(set_percent(text, "portal", None, "12.5%").as_deref(), Ok(expected));
    }

    #[test]
    fn a_percent_that_is_written_changes_where_it_stands() {
        check("[apps.portal]\npercent = 10 # why\nx = 1\n", "[apps.portal]\npercent = 12.5 # why\nx = 1\n");
        check("[apps.portal]\r\npercent=1e1\r\n# end", "[apps.portal]\r\npercent=12.5\r\n# end");
        check("apps.portal = { percent = '3%' }", "apps.portal = { percent = '12.5%' }");
        check("[apps]\n\"portal\".percent=\"3\"", "[apps]\n\"portal\".percent=\"12.5\"");
    }

    #[test]
    fn a_percent_that_is_not_written_is_added_to_its_table() {
        check("[apps.portal] # c\r\nx=1", "[apps.portal] # c\r\npercent = 12.5\r\nx=1");
        check("[apps.portal]", "[apps.portal]\npercent = 12.5\n");
        check("apps.portal = { x = 1 }", "apps.portal = { percent = 12.5, x = 1 }");
        check("apps = { portal = {} }", "apps = { portal = { percent = 12.5 } }");
        check("apps = { portal.x = 1 }", "apps = { portal.percent = 12.5, portal.x = 1 }");
        check("a=1\n  apps.'portal'.x = 1\n", "a=1\n  apps.'portal'.percent = 12.5\n  apps.'portal'.x = 1\n");
        check("[apps]\nportal.x = 1\n", "[apps]\nportal.percent = 12.5\nportal.x = 1\n");
        check(
            "a=1\n[apps.portal.classic]\nx=1\n[[apps.portal.targets]]\n",
            "a=1\n[apps.portal]\npercent = 12.5\n\n[apps.portal.classic]\nx=1\n[[apps.portal.targets]]\n",
        );
    }

    #[test]
    fn the_percent_of_a_workflow_changes_where_it_stands_or_gets_a_table() {
        for (text, expected) in [
            (
                "[apps.portal.workflows.sign-in]\npercent = 1 # why\n",
                "[apps.portal.workflows.sign-in]\npercent = 12.5 # why\n",
            ),
            (
                "[apps.portal.workflows.sign-in]\nstart = []\n",
                "[apps.portal.workflows.sign-in]\npercent = 12.5\nstart = []\n",
            ),
            (
                "[apps.portal]\nx = 1",
                "[apps.portal]\nx = 1\n\n[apps.portal.workflows.sign-in]\npercent = 12.5\n",
            ),
        ] {
            assert_eq!(set_percent(text, "portal", Some("sign-in"), "12.5").as_deref(), Ok(expected));
        }
        let inline = "apps.portal = { workflows = {} }\n";
        let error = set_percent(inline, "portal", Some("sign-in"), "12.5").expect_err("no room");
        assert!(error.to_string().starts_with("the percent of portal/sign-in is written"), "{error}");
    }

    #[test]
    fn what_cannot_be_edited_says_why() {
        let text = "[apps.portal]\n[apps.shop]\npercent = true\n";
        for (app, percent, message, hint) in [
            ("protal", "1", "there is no app `protal`", Some("did you mean `portal`?")),
            ("intranet", "1", "there is no app `intranet`", Some("the apps are portal, shop")),
            (
                "portal",
                "101",
                "percent is above 100",
                Some("write a percentage between 0 and 100, such as 12.5 or \"12.5%\""),
            ),
            (
                "shop",
                "1",
                "the percent of shop is written in a way that cannot be changed in place",
                Some("change it with an editor"),
            ),
        ] {
            let error = set_percent(text, app, None, percent).expect_err("cannot be edited");
            assert_eq!((error.to_string().as_str(), error.hint()), (message, hint));
        }
        let error = set_percent("a = 1\nb =\n", "portal", None, "1").expect_err("not TOML");
        assert!(error.to_string().starts_with("line 2: "), "{error}");
    }
}
