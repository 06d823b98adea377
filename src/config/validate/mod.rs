//! From what is written to what is meant: every rule, every default, all problems at once.
//!
//! Every raw struct is destructured in full, so that a new key that nobody validates does not compile. A value
//! that is refused is reported and stands in as its default, so that the rules after it are checked all the
//! same; nothing of that is ever used, since an error rejects the whole file.

mod app;
mod evacuate;
mod keys;
mod pool;
mod secrets;
mod server;
mod stage;
mod target;
mod tls;
mod workflow;

use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use crate::config::files::Reading;
use crate::config::model::{Config, Proof};
use crate::config::problems::{At, Problems, excerpt, nearest};
use crate::config::raw::{Integer, RawConfig, RawListener, RawShutdown, RawTrust, Text, Texts};
use crate::config::reader::Written;
use crate::config::units::{self, UnitError};

pub(super) use server::NO_FILES;
pub(super) use target::subjects_can_match;

/// The newest schema that this program reads.
const SCHEMA: u32 = 1;

/// What the rules share.
struct Context<'c, 'f> {
    problems: &'c Problems,
    reading: &'c mut Reading<'f>,
}

/// Reports a file that was written for a newer program. Then nothing else is worth telling.
pub(super) fn is_for_a_newer_program(schema: &Integer, problems: &Problems) -> bool {
    let Some(schema) = schema.as_ref().filter(|schema| schema.value > i128::from(SCHEMA)) else {
        return false;
    };
    problems.error(
        &schema.at,
        format!("schema {} is newer than this program, which reads schema {SCHEMA}", schema.value),
        "update cutover first, or write the file for schema 1",
    );
    true
}

/// Validates a whole file. `None` when something was missing without which there is no configuration; whether
/// the result may be used is for `problems` to say.
pub(super) fn validate(raw: RawConfig, problems: &Problems, reading: &mut Reading<'_>) -> Option<Config> {
    let mut context = Context { problems, reading };
    let RawConfig { schema, workers, listeners, admin, trust, limits, shutdown, ticket, log, apps } = raw;
    let RawTrust { proxies } = trust;
    let RawShutdown { drain } = shutdown;
    context.number(&schema, 1..=SCHEMA, SCHEMA);
    let ticket_at = ticket.at.clone();

    let trusted_proxies = context.networks(&proxies);
    // As it is written: a listener with a mistake is no reason to warn of keys that need it.
    let asks = |listener: &RawListener| listener.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
    let proof = Proof {
        proxies: !trusted_proxies.is_empty(),
        certificates: listeners.iter().flat_map(|list| &list.items).any(asks),
    };
    let listeners = server::listeners(&mut context, listeners, proof);
    let admin = server::admin(&mut context, admin, &listeners);
    let limits = server::limits(&context, limits);
    let ticket = server::ticket(&mut context, ticket);
    let log = server::log(&context, log);
    let apps = app::apps(&mut context, apps?, proof);
    if ticket.key_file.is_none() && apps.iter().any(|app| app.mints_tickets()) {
        let at = At { key: "ticket.key_file".to_owned(), span: ticket_at.span };
        problems.missing_warning(
            &at,
            "without a key_file tickets die with the process, and replicas disagree",
            "write the line that `cutover keygen` prints to a file, and name that file in [ticket] key_file",
        );
    }

    Some(Config {
        folder: context.reading.folder.to_owned(),
        workers: context.count(&workers, 0..=1024, 0),
        listeners: listeners.into_iter().map(|(listener, _)| listener).collect(),
        admin: admin?,
        trusted_proxies,
        limits,
        drain: context.duration(&drain, Duration::from_secs(30)),
        ticket,
        log,
        apps,
    })
}

impl Context<'_, '_> {
    fn error(&self, at: &At, message: impl Into<String>, hint: impl Into<String>) {
        self.problems.error(at, message, hint);
    }

    fn unit<T>(&self, at: &At, result: Result<T, UnitError>) -> Option<T> {
        result.map_err(|UnitError { message, hint }| self.error(at, message, hint)).ok()
    }

    /// A whole number within a range.
    fn number(&self, written: &Integer, range: RangeInclusive<u32>, default: u32) -> u32 {
        let Some(written) = written else { return default };
        match u32::try_from(written.value) {
            Ok(number) if range.contains(&number) => number,
            Ok(_) | Err(_) => {
                let (least, most) = range.into_inner();
                let range = if least == most { least.to_string() } else { format!("from {least} to {most}") };
                let message = format!("{} must be {range}", last_key(&written.at));
                self.error(&written.at, message, "");
                default
            }
        }
    }

    /// A number of things, 0 meaning that there is no such limit.
    fn count(&self, written: &Integer, range: RangeInclusive<u32>, default: u32) -> Option<NonZeroUsize> {
        NonZeroUsize::new(self.number(written, range, default) as usize)
    }

    fn duration(&self, written: &Text, default: Duration) -> Duration {
        let read = written.as_ref().and_then(|text| self.unit(&text.at, units::duration(&text.value)));
        read.unwrap_or(default)
    }

    /// A duration that would make everything fail if it were 0.
    fn timeout(&self, written: &Text, default: Duration) -> Duration {
        let read = self.duration(written, default);
        if let Some(text) = written
            && read.is_zero()
        {
            let name = last_key(&text.at);
            self.error(&text.at, format!("{name} must be above 0"), "write a duration such as \"30s\"");
        }
        read
    }

    fn size(&self, written: &Text, default: u64) -> u64 {
        let read = written.as_ref().and_then(|text| self.unit(&text.at, units::size(&text.value)));
        read.unwrap_or(default)
    }

    fn flag(&self, written: &Option<Written<bool>>, default: bool) -> bool {
        written.as_ref().map_or(default, |flag| flag.value)
    }

    /// One of a few names.
    fn choice<T: Copy>(&self, written: &Text, choices: &[(&str, T)], default: T) -> T {
        let Some(written) = written else { return default };
        if let Some((_, choice)) = choices.iter().find(|(name, _)| *name == written.value) {
            return *choice;
        }
        let names = choices.iter().map(|(name, _)| *name);
        let hint = match nearest(&written.value, names.clone()) {
            Some(name) => format!("did you mean \"{name}\"?"),
            None => format!("write one of {}", quoted(names)),
        };
        let message = format!("{} is no {}", excerpt(&written.value), last_key(&written.at));
        self.error(&written.at, message, hint);
        default
    }

    fn networks(&self, written: &Texts) -> Vec<ipnet::IpNet> {
        let items = written.iter().flat_map(|list| &list.items);
        items.filter_map(|item| self.unit(&item.at, units::network(&item.value))).collect()
    }

    /// A path as the model holds it: relative ones start at the folder of the file.
    fn path(&self, written: &str) -> std::path::PathBuf {
        self.reading.resolve(written)
    }
}

/// The last name of a key path: what the message calls the value.
fn last_key(at: &At) -> &str {
    at.key.rsplit('.').next().unwrap_or(&at.key)
}

fn quoted<'n>(names: impl Iterator<Item = &'n str>) -> String {
    names.map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
}

/// A path in a message.
fn shown(path: &Path) -> String {
    excerpt(&path.to_string_lossy())
}
