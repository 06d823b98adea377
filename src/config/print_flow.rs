//! Workflows and sessions as TOML: the effective table, whatever of it came from a preset.

use std::time::Duration;

use toml_edit::{Array, Datetime, InlineTable, Table, Value, value};

use crate::config::model::Session;
use crate::config::print::{duration, percent, texts};
use crate::config::units::{write_duration, write_moment};
use crate::decide::answer::{CookieName, Ending};
use crate::decide::evacuate::Order;
use crate::decide::stage::{Schedule, Stage};
use crate::decide::workflow::{Landing, LandingEngine, PinLimits, Workflow};

pub(super) fn session(session: &Session) -> Table {
    let Session { cookies, shared, isolate, lifetime } = session;
    let mut table = Table::new();
    let names: Vec<&str> = cookies.iter().map(CookieName::as_str).collect();
    table["cookies"] = texts(&names);
    table["shared"] = value(*shared);
    table["isolate"] = value(*isolate);
    table["lifetime"] = duration(*lifetime);
    table
}

pub(super) fn workflow(workflow: &Workflow) -> Table {
    let Workflow { name: _, start, steps, callback, landing, success, failure, pin, share } = workflow;
    let PinLimits { idle, cap } = pin;
    let mut table = Table::new();
    table["start"] = texts(start);
    table["steps"] = texts(steps);
    table["callback"] = texts(callback);
    table["landing"] = value(landing.iter().map(self::landing).collect::<Array>());
    if !success.is_empty() {
        table["success"] = value(success.iter().map(ending).collect::<Array>());
    }
    table["failure"] = value(failure.iter().map(ending).collect::<Array>());
    let seconds = |seconds: u32| write_duration(Duration::from_secs(u64::from(seconds)));
    table["pin"] = value(InlineTable::from_iter([("idle", seconds(*idle)), ("cap", seconds(*cap))]));
    if let Some(share) = share {
        self::share(&mut table, share);
    }
    table
}

/// `percent`, or `stages`, a line each.
pub(super) fn share(table: &mut Table, schedule: &Schedule) {
    if schedule.is_constant() {
        table["percent"] = value(percent(schedule.at(0)));
        return;
    }
    let mut stages: Array = schedule.stages().iter().map(stage).collect();
    for stage in stages.iter_mut() {
        stage.decor_mut().set_prefix("\n  ");
    }
    stages.set_trailing("\n");
    stages.set_trailing_comma(true);
    table["stages"] = value(stages);
}

fn stage(stage: &Stage) -> Value {
    let Stage { at, share, shrink } = stage;
    let mut table = InlineTable::new();
    table.insert("percent", percent(*share));
    table.insert("at", date(*at).into());
    if *shrink {
        table.insert("shrink", true.into());
    }
    Value::InlineTable(table)
}

fn date(seconds: u64) -> Datetime {
    write_moment(seconds).parse().expect("every moment is written as TOML writes dates")
}

/// An order as it stands in the list, on the command line and in answers.
pub(super) fn order(order: &Order) -> InlineTable {
    let Order { engine, at, sign_out } = order;
    let mut table = InlineTable::new();
    table.insert("engine", engine.as_str().into());
    table.insert("at", date(*at).into());
    if let Some(sign_out) = sign_out {
        table.insert("sign_out", sign_out.as_str().into());
    }
    table
}

fn landing(landing: &Landing) -> Value {
    let Landing { path, query, engine, until } = landing;
    let mut table = InlineTable::new();
    if let Some(path) = path {
        table.insert("path", path.as_str().into());
    }
    if !query.is_empty() {
        let written = |(name, wanted): &(String, Option<String>)| match wanted {
            Some(wanted) => format!("{name}={wanted}"),
            None => name.clone(),
        };
        table.insert("query", Value::Array(query.iter().map(written).collect()));
    }
    let engine = match engine {
        LandingEngine::Fixed(engine) => engine.as_str(),
        LandingEngine::Cohort => "cohort",
    };
    table.insert("engine", engine.into());
    if let Some(until) = until {
        table.insert("until", date(*until).into());
    }
    Value::InlineTable(table)
}

fn ending(ending: &Ending) -> Value {
    let Ending { status, location, set_cookie, header } = ending;
    let mut table = InlineTable::new();
    if let Some((least, greatest)) = status {
        table.insert("status", format!("{least}-{greatest}").into());
    }
    if let Some((path, query)) = location {
        let query = query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
        table.insert("location", format!("{path}{query}").into());
    }
    if let Some(name) = set_cookie {
        table.insert("set_cookie", name.as_str().into());
    }
    if let Some((name, wanted)) = header {
        let pair = [("name", Value::from(name.as_str())), ("value", Value::from(wanted.as_str()))];
        table.insert("header", Value::InlineTable(InlineTable::from_iter(pair)));
    }
    Value::InlineTable(table)
}
