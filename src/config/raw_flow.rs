//! What the user wrote about workflows and sessions, with its place in the text. No logic: `None` means "not
//! written".

use toml::value::Datetime;

use crate::config::problems::At;
use crate::config::raw::{Text, Texts};
use crate::config::reader::{List, TableReader, Written};

const PATTERNS: &str = "an array of paths such as [\"GET|POST /login\"]";

/// `[apps.NAME.session]`
pub(super) struct RawSession {
    pub(super) at: At,
    pub(super) cookies: Texts,
    pub(super) shared: Option<Written<bool>>,
    pub(super) isolate: Option<Written<bool>>,
    pub(super) lifetime: Text,
}

/// `[apps.NAME.workflows.NAME]`
pub(super) struct RawWorkflow {
    pub(super) name: Written<String>,
    pub(super) start: Texts,
    pub(super) steps: Texts,
    pub(super) callback: Texts,
    pub(super) landing: Option<List<RawLanding>>,
    pub(super) success: Option<List<RawEnding>>,
    pub(super) failure: Option<List<RawEnding>>,
    pub(super) pin: Option<RawPin>,
    pub(super) percent: Text,
    pub(super) stages: Option<List<RawStage>>,
}

/// An item of `stages`, of a workflow or an app
pub(super) struct RawStage {
    pub(super) at: At,
    pub(super) percent: Text,
    pub(super) date: Option<Written<Datetime>>,
    pub(super) shrink: Option<Written<bool>>,
}

/// An item of `landing`
pub(super) struct RawLanding {
    pub(super) at: At,
    pub(super) path: Text,
    pub(super) query: Texts,
    pub(super) engine: Text,
    pub(super) until: Option<Written<Datetime>>,
}

/// An item of `success` or `failure`
pub(super) struct RawEnding {
    pub(super) at: At,
    pub(super) status: Text,
    pub(super) location: Text,
    pub(super) set_cookie: Text,
    pub(super) header: Option<(Text, Text)>,
}

/// An item of `evacuate`
pub(super) struct RawOrder {
    pub(super) at: At,
    pub(super) engine: Text,
    pub(super) date: Option<Written<Datetime>>,
    pub(super) sign_out: Text,
}

/// `pin` of a workflow
pub(super) struct RawPin {
    pub(super) idle: Text,
    pub(super) cap: Text,
}

pub(super) fn session(reader: Option<TableReader<'_>>, app: &At) -> RawSession {
    let Some(mut reader) = reader else {
        return RawSession { at: app.clone(), cookies: None, shared: None, isolate: None, lifetime: None };
    };
    let raw = RawSession {
        at: reader.at().clone(),
        cookies: reader.texts("cookies", "an array of cookie names such as [\"connect.sid\"]"),
        shared: reader.flag("shared"),
        isolate: reader.flag("isolate"),
        lifetime: reader.quantity("lifetime", "a duration such as \"24h\""),
    };
    reader.finish();
    raw
}

pub(super) fn workflow(name: Written<String>, mut reader: TableReader<'_>) -> RawWorkflow {
    let raw = RawWorkflow {
        name,
        start: reader.texts("start", PATTERNS),
        steps: reader.texts("steps", PATTERNS),
        callback: reader.texts("callback", PATTERNS),
        landing: reader
            .tables("landing", "write { path = \"/reset-password/*\", engine = \"classic\" }")
            .map(|list| list.map(landing)),
        success: reader
            .tables("success", "write { status = \"3xx\", location = \"/\" }")
            .map(|list| list.map(ending)),
        failure: reader.tables("failure", "write { status = \"5xx\" }").map(|list| list.map(ending)),
        pin: reader.table("pin").map(pin),
        percent: reader.quantity("percent", "a percentage such as 12.5 or \"12.5%\""),
        stages: stages(&mut reader),
    };
    reader.finish();
    raw
}

pub(super) fn stages(reader: &mut TableReader<'_>) -> Option<List<RawStage>> {
    const STAGE: &str = "write [{ percent = 1, at = 2026-12-01T09:00:00Z }]";
    reader.tables("stages", STAGE).map(|list| list.map(stage))
}

fn stage(mut reader: TableReader<'_>) -> RawStage {
    reader.require("percent", "add percent = 10: the share from then on");
    reader.require("at", "add at = 2026-12-01T09:00:00Z: when it begins");
    let raw = RawStage {
        at: reader.at().clone(),
        percent: reader.quantity("percent", "a percentage such as 12.5 or \"12.5%\""),
        date: reader.date("at"),
        shrink: reader.flag("shrink"),
    };
    reader.finish();
    raw
}

fn landing(mut reader: TableReader<'_>) -> RawLanding {
    reader.require("engine", "add engine = \"classic\", \"identity\" or \"cohort\"");
    let raw = RawLanding {
        at: reader.at().clone(),
        path: reader.text("path", "a path such as \"/reset-password/*\""),
        query: reader.text_or_texts("query", "a parameter such as \"recoveryToken\""),
        engine: reader.text("engine", "\"classic\", \"identity\" or \"cohort\""),
        until: reader.date("until"),
    };
    reader.finish();
    raw
}

fn ending(mut reader: TableReader<'_>) -> RawEnding {
    let raw = RawEnding {
        at: reader.at().clone(),
        status: reader.quantity("status", "a status such as \"3xx\" or 302"),
        location: reader.text("location", "a path such as \"/\""),
        set_cookie: reader.text("set_cookie", "the name of a cookie"),
        header: reader.table("header").map(|mut reader| {
            reader.require("name", "write { name = \"x-outcome\", value = \"success\" }");
            reader.require("value", "write { name = \"x-outcome\", value = \"success\" }");
            let header = (reader.text("name", "a string"), reader.text("value", "a string"));
            reader.finish();
            header
        }),
    };
    reader.finish();
    raw
}

pub(super) fn order(mut reader: TableReader<'_>) -> RawOrder {
    reader.require("engine", "add engine = \"classic\" or engine = \"identity\"");
    reader.require("at", "add the date, such as at = 2026-12-03T10:00:00Z");
    let raw = RawOrder {
        at: reader.at().clone(),
        engine: reader.text("engine", "\"classic\" or \"identity\""),
        date: reader.date("at"),
        sign_out: reader.text("sign_out", "a path such as \"/logout\""),
    };
    reader.finish();
    raw
}

fn pin(mut reader: TableReader<'_>) -> RawPin {
    const DURATION: &str = "a duration such as \"30m\"";
    let raw = RawPin { idle: reader.quantity("idle", DURATION), cap: reader.quantity("cap", DURATION) };
    reader.finish();
    raw
}
