//! The rules of workflows: their paths, links and ends, over those of the preset.

use std::time::Duration;

use http::HeaderName;

use crate::config::preset::{self, PresetWorkflow};
use crate::config::problems::{At, excerpt};
use crate::config::raw::{Text, Texts};
use crate::config::raw_flow::{RawEnding, RawLanding, RawPin, RawWorkflow};
use crate::config::reader::{List, Written};
use crate::config::units;
use crate::config::validate::app::{LONGEST_NAME, RESERVED, may_stand_in_a_name};
use crate::config::validate::{Context, stage};
use crate::decide::answer::{CookieName, Ending};
use crate::decide::engine::Engine;
use crate::decide::pattern::{Pattern, PatternError};
use crate::decide::stage::Schedule;
use crate::decide::workflow::{Landing, LandingEngine, MOST_WORKFLOWS, PinLimits, Workflow, hash_of};

/// A landing's place is a byte.
const MOST_LANDINGS: usize = 255;

/// Longer than anybody waits for an e-mail.
const LONGEST_PIN: Duration = Duration::from_secs(400 * 24 * 60 * 60);

/// The workflows of an app: those that are written, in the order of the file, then what is left of the preset.
pub(super) fn workflows(
    context: &Context<'_, '_>,
    raw: Option<List<RawWorkflow>>,
    has_preset: bool,
) -> Vec<Workflow> {
    let at = raw.as_ref().map(|list| list.at.clone());
    let table: &[PresetWorkflow] = if has_preset { &preset::OKTA } else { &[] };
    let mut written = Vec::new();
    let mut workflows = Vec::new();
    let mut paths = Vec::new();
    for raw in raw.map(|list| list.items).unwrap_or_default() {
        name(context, &raw.name);
        let known = written.iter().map(String::as_str).chain(table.iter().map(|base| base.name));
        same_hash(context, &raw.name, known);
        let base = table.iter().find(|base| base.name == raw.name.value);
        written.push(raw.name.value.clone());
        let own = OwnPaths {
            start: raw.start.is_some(),
            steps: raw.steps.is_some(),
            callback: raw.callback.is_some(),
        };
        if let Some(workflow) = workflow(context, raw, base) {
            workflows.push(workflow);
            paths.push(own);
        }
    }
    for base in table.iter().filter(|base| !written.iter().any(|name| name == base.name)) {
        workflows.push(of_preset(base));
        paths.push(OwnPaths::default());
    }
    if let Some(at) = at.as_ref().filter(|_| workflows.len() > MOST_WORKFLOWS) {
        let message =
            format!("there are {} workflows, and an app may have {MOST_WORKFLOWS}", workflows.len());
        context.error(at, message, "");
        workflows.truncate(MOST_WORKFLOWS);
    }
    if let Some(at) = &at {
        overlaps(context, &workflows, at);
        passes(context, &workflows, &paths, at);
    }
    workflows
}

/// Pins name a workflow by a hash of its name: two of one hash would hold each other's flows.
fn same_hash<'n>(
    context: &Context<'_, '_>,
    name: &Written<String>,
    mut known: impl Iterator<Item = &'n str>,
) {
    let hash = hash_of(&name.value);
    if let Some(other) = known.find(|other| *other != name.value && hash_of(other) == hash) {
        let message = format!("`{}` and `{other}` would be one workflow to a browser's cookie", name.value);
        let hint = "cookies name a workflow by 32 bits of its name's hash: change a letter of one of them";
        context.error(&name.at, message, hint);
    }
}

/// Which paths of a workflow the file writes, and no preset brings.
#[derive(Clone, Copy, Debug, Default)]
struct OwnPaths {
    start: bool,
    steps: bool,
    callback: bool,
}

fn name(context: &Context<'_, '_>, name: &Written<String>) {
    let text = &name.value;
    if text.is_empty() || text.len() > LONGEST_NAME || !text.bytes().all(may_stand_in_a_name) {
        let hint = "a workflow's name is made of a-z, 0-9, `-` and `_`: it is a label of metrics";
        context.error(&name.at, format!("{} is no name of a workflow", excerpt(text)), hint);
    } else if text == RESERVED {
        context.error(
            &name.at,
            "the name `none` is reserved",
            "metrics say `none` where there is no workflow",
        );
    }
}

/// `None` for one that is taken out of the preset.
fn workflow(context: &Context<'_, '_>, raw: RawWorkflow, base: Option<&PresetWorkflow>) -> Option<Workflow> {
    let RawWorkflow { name, start, steps, callback, landing, success, failure, pin, percent, stages } = raw;
    let is_removed = start.as_ref().is_some_and(List::is_empty);
    if is_removed && base.is_some() {
        return None;
    }
    if is_removed || (start.is_none() && base.is_none()) {
        let hint = "add start = [\"GET|POST /login\"]: paths decide where a flow begins";
        context.problems.missing(
            &name.at,
            format!("the workflow {} has no start", excerpt(&name.value)),
            hint,
        );
    }
    let base = base.map(of_preset);
    let inherit = |read: Option<Vec<Pattern>>, of: fn(&Workflow) -> &Vec<Pattern>| {
        read.or_else(|| base.as_ref().map(|base| of(base).clone())).unwrap_or_default()
    };
    let pin = self::pin(context, pin, base.as_ref().map(|base| base.pin));
    for list in success.iter().filter(|list| list.is_empty()) {
        let hint = "leave the key out to end it with a redirect to a page outside the workflow";
        context.error(&list.at, "nothing could end this workflow well", hint);
    }
    let endings = |list: Option<List<RawEnding>>| -> Option<Vec<Ending>> {
        list.map(|list| list.items.into_iter().filter_map(|raw| ending(context, raw)).collect())
    };
    if let Some(list) = landing.as_ref().filter(|list| list.items.len() > MOST_LANDINGS) {
        context.error(&list.at, format!("a workflow may have {MOST_LANDINGS} landings"), "");
    }
    let landing = landing.map(|list| list.items.into_iter().filter_map(|raw| self::landing(context, raw)));
    Some(Workflow {
        start: inherit(patterns(context, &start), |base| &base.start),
        steps: inherit(patterns(context, &steps), |base| &base.steps),
        callback: inherit(patterns(context, &callback), |base| &base.callback),
        landing: match landing {
            Some(landing) => landing.collect(),
            None => base.as_ref().map(|base| base.landing.clone()).unwrap_or_default(),
        },
        success: endings(success).unwrap_or_default(),
        failure: endings(failure)
            .or_else(|| base.as_ref().map(|base| base.failure.clone()))
            .unwrap_or_default(),
        pin,
        share: stage::schedule(context, &percent, stages),
        name: name.value,
    })
}

fn of_preset(base: &PresetWorkflow) -> Workflow {
    let patterns = |texts: &[&str]| {
        let read = |text: &&str| Pattern::parse(text).expect("a test reads the preset");
        texts.iter().map(read).collect::<Vec<_>>()
    };
    let landing = base.landing.iter().map(|(path, query, engine)| Landing {
        path: path.map(|path| Pattern::parse(path).expect("a test reads the preset")),
        query: query.iter().map(|text| parameter(text)).collect(),
        engine: landing_engine(engine).expect("a test reads the preset"),
        until: None,
    });
    let failure = base.failure.iter().map(|(status, location)| Ending {
        status: self::status(status),
        location: self::location(location).ok(),
        ..Ending::default()
    });
    let seconds = |duration: Duration| u32::try_from(duration.as_secs()).unwrap_or(u32::MAX);
    Workflow {
        name: base.name.to_owned(),
        start: patterns(base.start),
        steps: [patterns(base.steps), patterns(base.own_steps)].concat(),
        callback: patterns(base.callback),
        landing: landing.collect(),
        success: Vec::new(),
        failure: failure.collect(),
        pin: PinLimits { idle: seconds(base.idle), cap: seconds(base.cap) },
        share: None,
    }
}

/// Reads a list of patterns; `None` when there is none.
pub(super) fn patterns(context: &Context<'_, '_>, raw: &Texts) -> Option<Vec<Pattern>> {
    let items = raw.as_ref()?.items.iter();
    Some(items.filter_map(|item| pattern(context, item)).collect())
}

fn pattern(context: &Context<'_, '_>, item: &Written<String>) -> Option<Pattern> {
    let refuse = |error: &PatternError| {
        let hint = match error {
            PatternError::NoSlash => "write it such as \"/login\" or \"GET|POST /login\"",
            PatternError::TooMany => "write it as several patterns",
            PatternError::Braces => "write alternatives such as /{login,signin}",
            PatternError::Method(_) => "methods are upper case, such as \"GET|POST /login\"",
            PatternError::Deep => "write /a/**, /a/*/b or /a/*.js",
            PatternError::NoPath => "a query is for `landing`, as query = \"name\"",
        };
        context.error(&item.at, format!("{} is no pattern: {error}", excerpt(&item.value)), hint);
    };
    Pattern::parse(&item.value).inspect_err(refuse).ok()
}

fn landing(context: &Context<'_, '_>, raw: RawLanding) -> Option<Landing> {
    let RawLanding { at, path, query, engine, until } = raw;
    if path.is_none() && query.as_ref().is_none_or(List::is_empty) {
        let hint = "add path = \"/reset-password/*\" or query = \"recoveryToken\"";
        context.problems.missing(&at, "this landing is every URL", hint);
    }
    let path = match path {
        Some(path) => Some(pattern(context, &path)?),
        None => None,
    };
    let query = query.map(|list| list.items).unwrap_or_default();
    for item in query.iter().filter(|item| item.value.is_empty() || item.value.starts_with('=')) {
        context.error(&item.at, "the parameter has no name", "write \"name\" or \"name=value\"");
    }
    let until = until.and_then(|date| context.unit(&date.at, units::moment(&date.value)));
    let choices = ["classic", "identity", "cohort"].map(|name| (name, landing_engine(name)));
    let engine = context.choice(&engine, &choices, landing_engine("classic"))?;
    Some(Landing { path, query: query.iter().map(|item| parameter(&item.value)).collect(), engine, until })
}

fn landing_engine(name: &str) -> Option<LandingEngine> {
    match name {
        "cohort" => Some(LandingEngine::Cohort),
        other => other.parse::<Engine>().ok().map(LandingEngine::Fixed),
    }
}

fn parameter(text: &str) -> (String, Option<String>) {
    match text.split_once('=') {
        Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
        None => (text.to_owned(), None),
    }
}

fn ending(context: &Context<'_, '_>, raw: RawEnding) -> Option<Ending> {
    let RawEnding { at, status, location, set_cookie, header } = raw;
    if status.is_none() && location.is_none() && set_cookie.is_none() && header.is_none() {
        let hint = "add `status`, `location`, `set_cookie` or `header`";
        context.problems.missing(&at, "this is every answer", hint);
    }
    let refuse = |written: &Written<String>, what: &str, hint: &str| {
        context.error(&written.at, format!("{} is no {what}", excerpt(&written.value)), hint);
    };
    let status = status.and_then(|written| {
        let hint = "write \"3xx\", 302 or \"200-299\"";
        self::status(&written.value).or_else(|| {
            refuse(&written, "status", hint);
            None
        })
    });
    let location = location.and_then(|written| {
        let hint = "write a path such as \"/\", or with a parameter \"/**?error\"";
        self::location(&written.value).inspect_err(|_| refuse(&written, "location", hint)).ok()
    });
    let set_cookie = set_cookie.and_then(|written| cookie(context, &written));
    let header = header.and_then(|(name, value)| {
        let (name, value) = (name?, value?);
        let Ok(read) = HeaderName::from_bytes(name.value.as_bytes()) else {
            refuse(&name, "header name", "letters, digits and `-`");
            return None;
        };
        Some((read, value.value))
    });
    Some(Ending { status, location, set_cookie, header })
}

/// The name of a cookie, in which `*` stands for anything.
pub(super) fn cookie(context: &Context<'_, '_>, written: &Written<String>) -> Option<CookieName> {
    let read = CookieName::parse(&written.value);
    if read.is_none() {
        let hint = "no spaces, quotes, `;`, `,` or `=`; `*` stands for anything";
        context.error(&written.at, format!("{} is no name of a cookie", excerpt(&written.value)), hint);
    }
    read
}

/// `3xx`, `302` or `200-299`.
fn status(text: &str) -> Option<(u16, u16)> {
    let number = |text: &str| text.parse::<u16>().ok().filter(|status| (100..=599).contains(status));
    if let Some(class) = text.strip_suffix("xx") {
        let class = number(&format!("{class}00"))?;
        return Some((class, class + 99));
    }
    match text.split_once('-') {
        Some((least, greatest)) => {
            Some((number(least)?, number(greatest)?)).filter(|(least, most)| least <= most)
        }
        None => number(text).map(|status| (status, status)),
    }
}

/// `/path`, or `/path?parameter`.
fn location(text: &str) -> Result<(Pattern, Option<String>), PatternError> {
    let (path, query) = match text.split_once('?') {
        Some((path, query)) => (path, Some(query.to_owned())),
        None => (text, None),
    };
    if !path.starts_with('/') {
        return Err(PatternError::NoSlash);
    }
    Ok((Pattern::parse(path)?, query))
}

fn pin(context: &Context<'_, '_>, raw: Option<RawPin>, base: Option<PinLimits>) -> PinLimits {
    let base = base.unwrap_or(PinLimits { idle: 30 * 60, cap: 2 * 60 * 60 });
    let Some(RawPin { idle, cap }) = raw else { return base };
    let seconds = |written: &Text, default: u32| {
        let read = context.timeout(written, Duration::from_secs(u64::from(default)));
        if let Some(text) = written
            && (read > LONGEST_PIN || read.subsec_nanos() != 0)
        {
            context.error(&text.at, "a pin holds for whole seconds, at most 400d", "");
        }
        u32::try_from(read.as_secs()).unwrap_or(u32::MAX)
    };
    let limits = PinLimits { idle: seconds(&idle, base.idle), cap: seconds(&cap, base.cap) };
    if limits.idle > limits.cap
        && let Some(written) = idle.as_ref().or(cap.as_ref())
    {
        context.error(&written.at, "a pin's idle time is above its cap", "the cap ends every pin");
    }
    limits
}

/// Two workflows that begin at one path: the first has it.
fn overlaps(context: &Context<'_, '_>, workflows: &[Workflow], at: &At) {
    for (index, workflow) in workflows.iter().enumerate() {
        for other in &workflows[..index] {
            let both = workflow
                .start
                .iter()
                .find(|pattern| other.start.iter().any(|earlier| earlier.is_same_as(pattern)));
            if let Some(pattern) = both {
                let message = format!("{} and {} both start at {pattern}", other.name, workflow.name);
                context.problems.warning(at, message, format!("{} has it", other.name));
            }
        }
    }
}

/// A workflow that begins where others pass: there, whoever is in the middle of one of those goes on with it. What a
/// preset brings by itself is meant so.
fn passes(context: &Context<'_, '_>, workflows: &[Workflow], paths: &[OwnPaths], at: &At) {
    let is_among =
        |patterns: &[Pattern], start: &Pattern| patterns.iter().any(|other| other.is_same_as(start));
    for (index, (workflow, own)) in workflows.iter().zip(paths).enumerate() {
        let others = workflows.iter().zip(paths).enumerate().filter(|(other, _)| *other != index);
        let others: Vec<_> = others.map(|(_, other)| other).collect();
        let found = workflow.start.iter().find_map(|start| {
            let passing = others.iter().filter(|(other, theirs)| {
                ((own.start || theirs.steps) && is_among(&other.steps, start))
                    || ((own.start || theirs.callback) && is_among(&other.callback, start))
            });
            let names: Vec<&str> = passing.map(|(other, _)| other.name.as_str()).collect();
            (!names.is_empty()).then(|| (start, names.join(", ")))
        });
        if let Some((start, names)) = found {
            let name = &workflow.name;
            let message = format!("{name} starts at {start}, where {names} may pass");
            let hint =
                format!("whoever is in the middle of {names} goes on with it there, and begins no {name}");
            context.problems.warning(at, message, hint);
        }
    }
}

/// The recommended order (`DOMAIN.md` 4.4): whoever signs in on Identity recovers there too. One warning, about the
/// first moment at which it breaks: before every stage, or when one begins.
pub(super) fn order(context: &Context<'_, '_>, at: &At, workflows: &[Workflow], share: &Schedule) {
    let of = |name: &&'static str| {
        let found = workflows.iter().find(|workflow| workflow.name == *name)?;
        Some((*name, found.share.as_ref().unwrap_or(share)))
    };
    let order: Vec<(&str, &Schedule)> =
        ["recovery", "registration", "sign-in"].iter().filter_map(of).collect();
    let stages = order.iter().flat_map(|(_, schedule)| schedule.stages());
    let mut moments: Vec<u64> = std::iter::once(0).chain(stages.map(|stage| stage.at)).collect();
    moments.sort_unstable();
    for (index, moment) in moments.iter().enumerate() {
        let broken = order.windows(2).filter_map(|pair| {
            let [(wide, first), (narrow, second)] = pair else { return None };
            let (first, second) = (first.at(*moment), second.at(*moment));
            (first < second).then(|| format!("{wide} is at {first}, below {narrow} at {second}"))
        });
        let broken = broken.collect::<Vec<_>>().join("; ");
        if broken.is_empty() {
            continue;
        }
        let when = match (index, moments.get(1)) {
            (0, None) => String::new(),
            (0, Some(first)) => format!("until {}, ", units::write_moment(*first)),
            (_, _) => format!("from {} on, ", units::write_moment(*moment)),
        };
        let hint =
            "Identity recovers and registers within a sign-in: keep recovery >= registration >= sign-in";
        context.problems.warning(at, format!("{when}{broken}"), hint);
        return;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preset_can_be_read_whole() {
        for base in &preset::OKTA {
            let workflow = of_preset(base);
            assert_eq!(workflow.landing.len(), base.landing.len(), "{}", base.name);
            assert!(
                workflow.failure.iter().all(|ending| ending.status.is_some() && ending.location.is_some())
            );
        }
        assert!(preset::ASSETS.iter().all(|text| Pattern::parse(text).is_ok()));
        assert!(preset::SESSION_COOKIES.iter().all(|text| CookieName::parse(text).is_some()));
    }

    #[test]
    fn a_status_is_a_class_a_number_or_a_range() {
        for (text, read) in [
            ("3xx", Some((300, 399))),
            ("302", Some((302, 302))),
            ("200-299", Some((200, 299))),
            ("299-200", None),
            ("6xx", None),
            ("xx", None),
            ("0", None),
            ("", None),
        ] {
            assert_eq!(status(text), read, "{text:?}");
        }
    }
}
