//! The rules of an app: its name, hosts and share, and that no request is left without endpoints.

use std::collections::HashMap;
use std::time::Duration;

use crate::config::model::{App, OnUnavailable, Pool, Proof, Session};
use crate::config::preset;
use crate::config::problems::{At, excerpt};
use crate::config::raw::{RawApp, Text, Texts};
use crate::config::raw_flow::RawSession;
use crate::config::raw_pool::RawPool;
use crate::config::reader::{List, Written};
use crate::config::units;
use crate::config::validate::target::{Setting, targets};
use crate::config::validate::{Context, evacuate, keys, pool, stage, workflow};
use crate::decide::answer::CookieName;
use crate::decide::bucket::Share;
use crate::decide::engine::Engine;
use crate::decide::host::HostPattern;
use crate::decide::pattern::Pattern;
use crate::decide::stage::Schedule;
use crate::decide::subject::KeySource;
use crate::decide::target::Target;
use crate::decide::workflow::Table;

/// The metric label of whatever belongs to no app.
pub(super) const RESERVED: &str = "none";

/// Whether a name may hold this: names of apps and workflows are labels of metrics.
pub(super) const fn may_stand_in_a_name(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_')
}

/// The longest of them.
pub(super) const LONGEST_NAME: usize = 64;

pub(super) fn apps(context: &mut Context<'_, '_>, raw: List<RawApp>, proof: Proof) -> Vec<App> {
    if raw.is_empty() {
        context.problems.missing(&raw.at, "there is no app", "add an [apps.NAME] table");
    }
    let mut claims = Claims::default();
    raw.items.into_iter().filter_map(|raw| app(context, raw, proof, &mut claims)).collect()
}

/// Who claimed what first.
#[derive(Default)]
struct Claims {
    hosts: HashMap<HostPattern, String>,
    default: Option<String>,
}

fn app(context: &mut Context<'_, '_>, raw: RawApp, proof: Proof, claims: &mut Claims) -> Option<App> {
    let RawApp {
        at,
        name,
        hosts,
        salt,
        epoch,
        keys,
        percent,
        stages,
        annotate,
        on_unavailable,
        preset,
        assets,
        form_post,
        session,
        workflows,
        evacuate: raw_orders,
        classic,
        identity,
        targets: raw_targets,
    } = raw;
    app_name(context, &name);
    let hosts = self::hosts(context, &at, &hosts, claims);
    if let Some(salt) = salt.as_ref().filter(|salt| salt.value.is_empty()) {
        context.error(&salt.at, "the salt is empty", "leave it out to use the app's name");
    }
    let keys = keys::keys(context, &keys, proof);
    let share = match (&percent, stages) {
        (None, None) => Some(Schedule::default()),
        (percent, stages) => stage::schedule(context, percent, stages),
    };
    let setting = Setting { keys: &keys, proof };
    let (targets, subject_lists) =
        targets(context, raw_targets.map(|targets| targets.items).unwrap_or_default(), &setting);
    let on_unavailable_at = on_unavailable.as_ref().map(|written| written.at.clone());
    let on_unavailable = self::on_unavailable(context, &on_unavailable);

    let presets = [("okta", true)];
    let has_preset = context.choice(&preset, &presets, false);
    let workflows = workflow::workflows(context, workflows, has_preset);
    workflow::order(context, &at, &workflows, share.as_ref().unwrap_or(&Schedule::default()));
    let assets = workflow::patterns(context, &assets).unwrap_or_else(|| {
        let texts = if has_preset { preset::ASSETS } else { &[] };
        texts.iter().filter_map(|text| Pattern::parse(text).ok()).collect()
    });
    let session = self::session(context, session, &keys, has_preset, !workflows.is_empty());
    let setting = evacuate::Setting {
        name: &name.value,
        share: share.as_ref(),
        workflows: &workflows,
        targets: &targets,
        pins: !session.shared && !session.cookies.is_empty(),
    };
    let evacuate = evacuate::orders(context, raw_orders, &setting);

    let empty = [emptiness(&classic), emptiness(&identity)];
    if let Some(share) = &share {
        let own = workflows.iter().filter_map(|workflow| workflow.share.as_ref());
        let shares: Vec<&Schedule> = std::iter::once(share).chain(own).collect();
        empty_pools(context, &at, &empty, &shares, &targets);
    }
    if let (OnUnavailable::Failover, Some(at)) = (on_unavailable, on_unavailable_at)
        && empty.iter().any(Option::is_some)
    {
        let message = "there is nothing to fail over to: one engine has no endpoints";
        context.problems.warning(&at, message, "");
    }
    let table = Table::new(workflows.clone(), &assets);
    for path in
        [&classic, &identity].into_iter().flatten().filter_map(|pool| pool.health.as_ref()?.path.as_ref())
    {
        pool::warn_of_starts(context, &path.at, &path.value, &table);
    }
    let read = |raw: Option<RawPool>| -> Option<Pool> { raw.map(|raw| pool::pool(context, raw)) };
    let (classic, identity) = (read(classic), read(identity));
    Some(App {
        hosts,
        salt: salt.map_or_else(|| name.value.clone(), |salt| salt.value),
        name: name.value,
        epoch: context.number(&epoch, 1..=u32::MAX, 1),
        keys,
        share: share.unwrap_or_default(),
        annotate: context.flag(&annotate, false),
        on_unavailable,
        workflows,
        assets,
        form_post: context.flag(&form_post, false),
        session,
        evacuate,
        targets,
        subject_lists,
        classic: classic?,
        identity: identity?,
    })
}

fn session(
    context: &Context<'_, '_>,
    raw: RawSession,
    keys: &[KeySource],
    has_preset: bool,
    has_workflows: bool,
) -> Session {
    let RawSession { at, cookies, shared, isolate, lifetime } = raw;
    let shared = context.flag(&shared, false);
    let names: Vec<CookieName> = match &cookies {
        Some(list) => list.items.iter().filter_map(|item| workflow::cookie(context, item)).collect(),
        None if has_preset => {
            preset::SESSION_COOKIES.iter().filter_map(|text| CookieName::parse(text)).collect()
        }
        None => Vec::new(),
    };
    if names.is_empty() && has_workflows && !shared {
        let message = "no session cookie is named: nobody is kept on the engine where they signed in";
        let at = At { key: format!("{}.cookies", at.key), ..at };
        context.problems.missing_warning(&at, message, "add [apps.NAME.session] cookies = [\"connect.sid\"]");
    }
    let life = context.timeout(&lifetime, Duration::from_secs(24 * 60 * 60));
    if let Some(text) = &lifetime
        && (life < Duration::from_secs(60) || life.subsec_nanos() != 0 || life.as_secs() > 400 * 24 * 60 * 60)
    {
        context.error(&text.at, "lifetime must be whole seconds, from 60s to 400d", "");
    }
    let isolate = self::isolate(context, &isolate, shared, &names, keys);
    Session { cookies: names, shared, isolate, lifetime: life }
}

/// Cookies are kept apart only where there are some, where each engine has its own, and where nobody else reads them.
fn isolate(
    context: &Context<'_, '_>,
    written: &Option<Written<bool>>,
    shared: bool,
    names: &[CookieName],
    keys: &[KeySource],
) -> bool {
    let Some(written) = written.as_ref().filter(|written| written.value) else { return false };
    if shared {
        let hint = "one session store is read with one cookie: take one of the two keys out";
        context.error(&written.at, "`isolate` keeps apart what `shared` says is one", hint);
    }
    if names.is_empty() && !shared {
        let hint = "name them: cookies = [\"connect.sid\"]";
        context.problems.warning(&written.at, "no session cookie is named: none is kept apart", hint);
    }
    let key = keys.iter().find(|key| match key {
        KeySource::Cookie(name) => names.iter().any(|wanted| wanted.matches(name.as_bytes())),
        KeySource::Header(_)
        | KeySource::Jwt(_)
        | KeySource::Query(_)
        | KeySource::ClientCert(_)
        | KeySource::Device => false,
    });
    if let Some(key) = key {
        let message = format!("the key {key} is a session cookie, which has another name on each engine");
        context.error(&written.at, message, "take it out of `keys`, or of `session.cookies`");
    }
    true
}

fn app_name(context: &Context<'_, '_>, name: &Written<String>) {
    let shown = excerpt(&name.value);
    if name.value.is_empty() {
        context.error(&name.at, "the name of this app is empty", "write [apps.portal]");
    } else if name.value.len() > LONGEST_NAME {
        context.error(&name.at, format!("the app name {shown} is longer than {LONGEST_NAME} characters"), "");
    } else if !name.value.bytes().all(may_stand_in_a_name) {
        let hint = "an app name is made of a-z, 0-9, `-` and `_`: it is a label of metrics";
        context.error(&name.at, format!("{shown} is no app name"), hint);
    } else if name.value == RESERVED {
        let hint = "metrics say `none` where there is no app";
        context.error(&name.at, format!("the app name {shown} is reserved"), hint);
    }
}

fn hosts(context: &Context<'_, '_>, app: &At, raw: &Texts, claims: &mut Claims) -> Vec<HostPattern> {
    let Some(raw) = raw else {
        if let Some(first) = &claims.default {
            context.error(
                app,
                format!("{first} and {} both have no `hosts`", app.key),
                "only one app can answer for every host that no other app claims",
            );
        } else {
            claims.default = Some(app.key.clone());
        }
        return Vec::new();
    };
    if raw.is_empty() {
        let hint = "leave the key out to answer for every host that no other app claims";
        context.error(&raw.at, "the list of hosts is empty", hint);
    }
    let mut hosts = Vec::new();
    for item in &raw.items {
        let Some(host) = HostPattern::parse(&item.value) else {
            context.error(&item.at, format!("{} is no host", excerpt(&item.value)), host_hint(&item.value));
            continue;
        };
        if let Some(first) = claims.hosts.get(&host) {
            let message = format!("the host {} is claimed twice", excerpt(&item.value));
            context.error(&item.at, message, format!("{first} claims it first"));
        }
        claims.hosts.entry(host.clone()).or_insert_with(|| item.at.key.clone());
        hosts.push(host);
    }
    hosts
}

fn host_hint(written: &str) -> &'static str {
    if written.contains("://") || written.contains('/') {
        "write the host alone, without scheme and path"
    } else if !written.is_ascii() {
        "write the name in its ASCII form (xn--…), as clients send it"
    } else if written.contains('*') {
        "a wildcard is the first label: \"*.example.com\""
    } else if written.contains(':') {
        "write the host without a port; an IPv6 address goes in brackets"
    } else {
        "write \"portal.example.com\" or \"*.example.com\""
    }
}

fn on_unavailable(context: &Context<'_, '_>, written: &Text) -> OnUnavailable {
    let choices = [OnUnavailable::Restart, OnUnavailable::Error, OnUnavailable::Failover];
    context.choice(written, &choices.map(|choice| (choice.as_str(), choice)), OnUnavailable::Restart)
}

/// Where a pool says that it has no endpoints.
fn emptiness(pool: &Option<RawPool>) -> Option<At> {
    let endpoints = pool.as_ref()?.endpoints.as_ref()?;
    endpoints.is_empty().then(|| endpoints.at.clone())
}

/// An engine may be without endpoints once nobody can be decided for it.
fn empty_pools(
    context: &Context<'_, '_>,
    app: &At,
    empty: &[Option<At>; 2],
    shares: &[&Schedule],
    targets: &[Target],
) {
    if let [Some(_), Some(_)] = empty {
        context.error(app, "neither engine has endpoints", "nobody could be served");
        return;
    }
    for engine in Engine::BOTH {
        let Some(at) = &empty[engine.index()] else { continue };
        let (unneeded, allowed) = match engine {
            Engine::Classic => (Share::WHOLE, "100"),
            Engine::Identity => (Share::NONE, "0"),
        };
        let needing = |schedule: &&Schedule| {
            Some((schedule.shares().find(|share| *share != unneeded)?, schedule.is_constant()))
        };
        if let Some((share, is_constant)) = shares.iter().find_map(needing) {
            // What the file says must be true at any time: the clock may be set back.
            let written = match (is_constant, engine) {
                (true, _) => "percent is",
                (false, Engine::Classic) => "before the first stage percent is",
                (false, Engine::Identity) => "a stage's percent is",
            };
            context.error(
                at,
                format!("{engine} has no endpoints, but {written} {}", units::write_percent(share)),
                format!("{engine} can be empty only where percent is {allowed}"),
            );
        }
        for target in targets.iter().filter(|target| target.engine == engine) {
            let message =
                format!("{engine} has no endpoints, but target {} sends there", excerpt(&target.name));
            context.error(at, message, "take the target out, or give the engine an endpoint");
        }
    }
}
