//! What changes in the apps.

use std::num::NonZeroU32;

use crate::config::diff::change::{Cause, Change};
use crate::config::diff::server::setting;
use crate::config::diff::stages;
use crate::config::diff::targets::{self, Side, has};
use crate::config::diff::workflows;
use crate::config::model::{
    App, Config, Connections, EndpointSpec, OnUnavailable, Pool, Probing, Session, Timeouts,
};
use crate::config::units::write_duration;
use crate::decide::answer::CookieName;
use crate::decide::balance::Balance;
use crate::decide::bucket::Share;
use crate::decide::engine::Engine;
use crate::decide::evacuate::Order;
use crate::decide::health::{Ejection, Thresholds};
use crate::decide::host::HostPattern;
use crate::decide::pattern::Pattern;
use crate::decide::retry::Retries;
use crate::decide::subject::KeySource;

pub(super) fn changes(old: &Config, new: &Config, now: u64, changes: &mut Vec<Change>) {
    let find = |config: &'_ Config, name: &str| config.apps.iter().position(|app| app.name == name);
    for app in old.apps.iter().filter(|app| find(new, &app.name).is_none()) {
        changes.push(Change::AppRemoved { app: app.name.clone() });
    }
    for app in &new.apps {
        match find(old, &app.name) {
            None => {
                changes.push(Change::AppAdded { app: app.name.clone(), share: app.share.at(now) });
                workflows::stages_of_new(app, now, changes);
            }
            Some(before) => {
                let before = Side { app: &old.apps[before], proof: old.proof(), now };
                let after = Side { app, proof: new.proof(), now };
                app_changes(before, after, changes);
            }
        }
    }
}

fn app_changes(old: Side<'_>, new: Side<'_>, changes: &mut Vec<Change>) {
    let App {
        name: app,
        hosts,
        salt,
        epoch,
        keys,
        share,
        annotate,
        on_unavailable,
        workflows: _,
        assets,
        form_post,
        session,
        evacuate,
        targets: _,
        subject_lists: _,
        classic,
        identity,
    } = old.app;
    host_changes(app, hosts, &new.app.hosts, has(Engine::Identity, old), changes);

    let consented = new.app.epoch > *epoch;
    let mut reshuffle = |cause| {
        changes.push(Change::Reshuffled { app: app.clone(), cause, epoch: *epoch, consented });
    };
    let salt_differs = *salt != new.app.salt;
    if salt_differs {
        reshuffle(Cause::Salt);
    }
    let keys_differ = *keys != new.app.keys;
    if keys_differ {
        reshuffle(Cause::Keys { from: written(keys), to: written(&new.app.keys) });
    }
    if *epoch != new.app.epoch {
        let mints = old.app.mints_tickets();
        changes.push(Change::Epoch { app: app.clone(), from: *epoch, to: new.app.epoch, mints });
    }
    let anew = salt_differs || keys_differ;
    stages::changes(app, (share, &new.app.share), new.now, anew, changes);
    workflows::changes(old.app, new.app, new.now, anew, changes);
    order_changes(app, evacuate, &new.app.evacuate, changes);
    let written = |patterns: &Vec<Pattern>| {
        let texts: Vec<&str> = patterns.iter().map(Pattern::as_str).collect();
        format!("[{}]", texts.join(", "))
    };
    setting(changes, &format!("apps.{app}.assets"), assets, &new.app.assets, written);
    setting(changes, &format!("apps.{app}.form_post"), form_post, &new.app.form_post, bool::to_string);
    session_changes(app, session, &new.app.session, changes);
    targets::changes(old, new, changes);
    setting(changes, &format!("apps.{app}.annotate"), annotate, &new.app.annotate, bool::to_string);
    let shown = |policy: &OnUnavailable| policy.as_str().to_owned();
    setting(changes, &format!("apps.{app}.on_unavailable"), on_unavailable, &new.app.on_unavailable, shown);
    pool_changes(app, Engine::Classic, classic, &new.app.classic, changes);
    pool_changes(app, Engine::Identity, identity, &new.app.identity, changes);
}

/// Where sessions pin somebody, an edit that makes a pin end is more than a setting.
fn session_changes(app: &str, old: &Session, new: &Session, changes: &mut Vec<Change>) {
    let Session { cookies, shared, isolate, lifetime } = old;
    let pins = !*shared && !cookies.is_empty();
    let names = |cookies: &Vec<CookieName>| {
        let names: Vec<&str> = cookies.iter().map(CookieName::as_str).collect();
        format!("[{}]", names.join(", "))
    };
    let mut tell = |name: &str, from: String, to: String, ends: bool, follows| {
        let key = format!("apps.{app}.session.{name}");
        if from != to {
            changes.push(if pins && ends {
                Change::PinsEnd { key, from, to, follows }
            } else {
                Change::Setting { key, from, to }
            });
        }
    };
    let lost = cookies.iter().any(|name| !new.cookies.contains(name));
    let follows = "session pins end without the cookies left";
    tell("cookies", names(cookies), names(&new.cookies), lost, follows);
    let follows = "no session pins anybody any more";
    tell("shared", shared.to_string(), new.shared.to_string(), new.shared, follows);
    let follows = "whoever signed in meanwhile is signed out, and the session's pin ends";
    tell("isolate", isolate.to_string(), new.isolate.to_string(), !new.isolate, follows);
    let follows = "older session pins end";
    let (from, to) = (write_duration(*lifetime), write_duration(new.lifetime));
    tell("lifetime", from, to, new.lifetime < *lifetime, follows);
}

/// An order that is taken out voids nothing from then on; what it has moved stays where it is.
fn order_changes(app: &str, old: &[Order], new: &[Order], changes: &mut Vec<Change>) {
    let mut tell = |order: &Order, withdrawn| {
        changes.push(Change::Evacuation { app: app.to_owned(), order: order.clone(), withdrawn });
    };
    old.iter().filter(|order| !new.contains(order)).for_each(|order| tell(order, true));
    new.iter().filter(|order| !old.contains(order)).for_each(|order| tell(order, false));
}

fn written(keys: &[KeySource]) -> String {
    let keys: Vec<String> = keys.iter().map(KeySource::to_string).collect();
    format!("[{}]", keys.join(", "))
}

fn host_changes(
    app: &str,
    old: &[HostPattern],
    new: &[HostPattern],
    may_move_back: bool,
    changes: &mut Vec<Change>,
) {
    // No host at all stands for all that are left over.
    let all = |hosts: &[HostPattern]| -> Vec<Option<HostPattern>> {
        if hosts.is_empty() { vec![None] } else { hosts.iter().cloned().map(Some).collect() }
    };
    let (old, new) = (all(old), all(new));
    for host in old.iter().filter(|host| !new.contains(host)) {
        changes.push(Change::HostRemoved { app: app.to_owned(), host: host.clone(), may_move_back });
    }
    for host in new.iter().filter(|host| !old.contains(host)) {
        changes.push(Change::HostAdded { app: app.to_owned(), host: host.clone() });
    }
}

fn pool_changes(app: &str, engine: Engine, old: &Pool, new: &Pool, changes: &mut Vec<Change>) {
    let Pool { endpoints, balance, timeouts, connections, health, ejection, retries, http2 } = old;
    let find = |list: &[EndpointSpec], spec: &EndpointSpec| {
        list.iter().find(|other| other.url == spec.url).map(|other| other.weight)
    };
    let (app_name, url) = (|| app.to_owned(), |spec: &EndpointSpec| spec.url.clone());
    for spec in endpoints.iter().filter(|spec| find(&new.endpoints, spec).is_none()) {
        changes.push(Change::EndpointRemoved { app: app_name(), engine, url: url(spec) });
    }
    for spec in &new.endpoints {
        match find(endpoints, spec) {
            None => changes.push(Change::EndpointAdded { app: app_name(), engine, url: url(spec) }),
            Some(from) if from != spec.weight => changes.push(Change::EndpointWeight {
                app: app_name(),
                engine,
                url: url(spec),
                from,
                to: spec.weight,
            }),
            Some(_) => {}
        }
    }
    let key = |name: &str| format!("apps.{app}.{engine}.{name}");
    let shown = |balance: &Balance| balance.as_str().to_owned();
    setting(changes, &key("balance"), balance, &new.balance, shown);

    let Timeouts { connect, response, idle } = timeouts;
    let durations = [
        ("timeouts.connect", connect, &new.timeouts.connect),
        ("timeouts.response", response, &new.timeouts.response),
        ("timeouts.idle", idle, &new.timeouts.idle),
        ("connections.queue_timeout", &connections.queue_timeout, &new.connections.queue_timeout),
    ];
    for (name, old, new) in durations {
        setting(changes, &key(name), old, new, |duration| write_duration(*duration));
    }
    let Connections { idle, max, queue, queue_timeout: _ } = connections;
    setting(changes, &key("connections.idle"), idle, &new.connections.idle, usize::to_string);
    setting(changes, &key("connections.max"), max, &new.connections.max, std::num::NonZeroUsize::to_string);
    setting(changes, &key("connections.queue"), queue, &new.connections.queue, usize::to_string);
    setting(changes, &key("health"), health, &new.health, shown_probing);
    let Ejection { failures, base, max_ejected, status } = ejection;
    let shown = |failures: &Option<NonZeroU32>| failures.map_or(0, NonZeroU32::get).to_string();
    setting(changes, &key("ejection.failures"), failures, &new.ejection.failures, shown);
    setting(changes, &key("ejection.base"), base, &new.ejection.base, |base| write_duration(*base));
    let (from, to) = (max_ejected, &new.ejection.max_ejected);
    setting(changes, &key("ejection.max_ejected"), from, to, Share::to_string);
    setting(changes, &key("ejection.status"), status, &new.ejection.status, |status| {
        format!("{:?}", status.to_string())
    });
    let Retries { attempts, budget } = retries;
    setting(changes, &key("retries.attempts"), attempts, &new.retries.attempts, u32::to_string);
    setting(changes, &key("retries.budget"), budget, &new.retries.budget, Share::to_string);
    if *http2 != new.http2 {
        changes.push(Change::Protocol { app: app_name(), engine, http2: new.http2 });
    }
}

/// As operators write it.
fn shown_probing(probing: &Option<Probing>) -> String {
    let Some(Probing { path, interval, timeout, thresholds, status, body }) = probing else {
        return "none".to_owned();
    };
    let Thresholds { healthy, unhealthy } = thresholds;
    let (interval, timeout) = (write_duration(*interval), write_duration(*timeout));
    let body = body.as_ref().map(|body| format!(", body {body:?}")).unwrap_or_default();
    format!("{path} every {interval} within {timeout}, {healthy}/{unhealthy} in a row, status {status}{body}")
}
