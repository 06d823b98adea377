//! What changes in everything that all apps share.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use http::HeaderValue;

use crate::config::diff::change::{Change, SigningChange};
use crate::config::diff::targets::is_covered;
use crate::config::model::{
    AccessLog, Admin, Config, Limits, Listener, Log, TicketLifetime, TicketSettings, Tls,
};
use crate::config::units::{write_duration, write_moment, write_size};
use crate::decide::subject::KeySource;

pub(super) fn changes(old: &Config, new: &Config, changes: &mut Vec<Change>) {
    // The folder says only where relative paths start, and the apps are told one by one.
    let Config {
        folder: _,
        workers,
        listeners,
        admin,
        trusted_proxies: _,
        limits,
        drain,
        ticket,
        log,
        apps: _,
    } = old;
    if *workers != new.workers {
        let shown = |workers: Option<NonZeroUsize>| workers.map_or(0, NonZeroUsize::get);
        changes.push(Change::Workers { from: shown(*workers), to: shown(new.workers) });
    }
    listener_changes(listeners, &new.listeners, reads_certificates(old) && reads_certificates(new), changes);
    admin_changes(admin, &new.admin, changes);
    trust_changes(old, new, changes);
    limit_changes(limits, &new.limits, changes);
    setting(changes, "shutdown.drain", drain, &new.drain, |drain| write_duration(*drain));
    ticket_changes(old, new, ticket, changes);
    log_changes(log, &new.log, changes);
}

/// A value that moves nobody: told when it differs.
pub(super) fn setting<T: PartialEq>(
    changes: &mut Vec<Change>,
    key: &str,
    old: &T,
    new: &T,
    show: impl Fn(&T) -> String,
) {
    if old != new {
        changes.push(Change::Setting { key: key.to_owned(), from: show(old), to: show(new) });
    }
}

/// Port 0 may be listed many times, and each is a listener of its own: hence the counting.
fn listener_changes(old: &[Listener], new: &[Listener], by_certificate: bool, changes: &mut Vec<Change>) {
    let mut added: Vec<&Listener> = new.iter().collect();
    for listener in old {
        match added.iter().position(|candidate| candidate.bind == listener.bind) {
            Some(kept) => {
                let kept = added.remove(kept);
                listener_settings(listener, kept, changes);
                let asks = kept.asks_for_certificates();
                if by_certificate && asks != listener.asks_for_certificates() {
                    changes.push(Change::Certificates { bind: listener.bind, asks });
                }
            }
            None => changes.push(Change::ListenerRemoved(listener.bind)),
        }
    }
    changes.extend(added.into_iter().map(|listener| Change::ListenerAdded(listener.bind)));
}

/// Whether an app knows users by their certificates. One that begins to, or ends, has other keys, which is told there.
fn reads_certificates(config: &Config) -> bool {
    let mut keys = config.apps.iter().flat_map(|app| &app.keys);
    keys.any(|key| matches!(key, KeySource::ClientCert(_)))
}

/// What changes of a listener that stays.
fn listener_settings(old: &Listener, new: &Listener, changes: &mut Vec<Change>) {
    let Listener { bind, proxy_protocol, redirect_to_https, hsts, tls } = old;
    let key = |name: &str| format!("listeners.{bind}.{name}");
    setting(changes, &key("proxy_protocol"), proxy_protocol, &new.proxy_protocol, bool::to_string);
    setting(changes, &key("redirect_to_https"), redirect_to_https, &new.redirect_to_https, bool::to_string);
    let shown = |hsts: &Option<HeaderValue>| {
        hsts.as_ref().and_then(|hsts| hsts.to_str().ok()).unwrap_or_default().to_owned()
    };
    setting(changes, &key("hsts"), hsts, &new.hsts, shown);
    setting(changes, &key("tls"), tls, &new.tls, |tls| match tls {
        None => "none".to_owned(),
        Some(Tls { certificates, min_version, client_ca }) => {
            let certificates = certificates.iter().map(|certificate| {
                let facts = &certificate.facts;
                format!("{} ({}, until {})", facts.name(), facts.key_kind, write_moment(facts.not_after))
            });
            let clients = client_ca.as_ref().map(|ca| format!(", clients of {}", ca.file.display()));
            let certificates = certificates.collect::<Vec<_>>().join(", ");
            format!("{} up with {certificates}{}", min_version.as_str(), clients.unwrap_or_default())
        }
    });
}

fn admin_changes(old: &Admin, new: &Admin, changes: &mut Vec<Change>) {
    let Admin { bind, token_file, token } = old;
    if *bind != new.bind {
        changes.push(Change::AdminBind { from: *bind, to: new.bind });
    }
    setting(changes, "admin.token_file", token_file, &new.token_file, path);
    if *token != new.token {
        changes.push(Change::AdminToken);
    }
}

fn trust_changes(old: &Config, new: &Config, changes: &mut Vec<Change>) {
    let (before, after) = (&old.trusted_proxies, &new.trusted_proxies);
    let lost: Vec<_> = before.iter().filter(|network| !after.contains(network)).copied().collect();
    let gained: Vec<_> = after.iter().filter(|network| !before.contains(network)).copied().collect();
    if lost.is_empty() && gained.is_empty() {
        return;
    }
    let reads_headers = old.apps.iter().any(|app| {
        app.keys.iter().any(|key| matches!(key, KeySource::Header(_)))
            || app.targets.iter().any(|target| target.header.is_some() && !target.claimed)
    });
    let is_same = is_covered(before, after) && is_covered(after, before);
    changes.push(Change::Trust { gained, lost, decides: reads_headers && !is_same });
}

fn limit_changes(old: &Limits, new: &Limits, changes: &mut Vec<Change>) {
    let Limits {
        header_bytes,
        headers,
        body_bytes,
        header_timeout,
        idle_timeout,
        request_timeout,
        connections,
        connections_per_ip,
        streams,
    } = old;
    let size = |bytes: &usize| write_size(*bytes as u64);
    let duration = |duration: &Duration| write_duration(*duration);
    setting(changes, "limits.header_bytes", header_bytes, &new.header_bytes, size);
    setting(changes, "limits.headers", headers, &new.headers, usize::to_string);
    let body = |bytes: &Option<u64>| write_size(bytes.unwrap_or(0));
    setting(changes, "limits.body_bytes", body_bytes, &new.body_bytes, body);
    setting(changes, "limits.header_timeout", header_timeout, &new.header_timeout, duration);
    setting(changes, "limits.idle_timeout", idle_timeout, &new.idle_timeout, duration);
    let whole = |limit: &Option<Duration>| write_duration(limit.unwrap_or(Duration::ZERO));
    setting(changes, "limits.request_timeout", request_timeout, &new.request_timeout, whole);
    let count = |limit: &Option<NonZeroUsize>| limit.map_or(0, NonZeroUsize::get).to_string();
    setting(changes, "limits.connections", connections, &new.connections, count);
    setting(changes, "limits.connections_per_ip", connections_per_ip, &new.connections_per_ip, count);
    setting(changes, "limits.streams", streams, &new.streams, ToString::to_string);
}

fn ticket_changes(old: &Config, new: &Config, ticket: &TicketSettings, changes: &mut Vec<Change>) {
    let TicketSettings { key_file, keys, lifetime } = ticket;
    setting(changes, "ticket.key_file", key_file, &new.ticket.key_file, path);
    setting(changes, "ticket.lifetime", lifetime, &new.ticket.lifetime, |lifetime| match lifetime {
        TicketLifetime::Session => "session".to_owned(),
        TicketLifetime::For(life) => write_duration(*life),
    });
    if *keys == new.ticket.keys {
        return;
    }
    let change = match keys.first() {
        // The key that was made at start goes on verifying as long as the process lives.
        None => SigningChange::Rotated { signs_anew: true, dropped: 0 },
        Some(signing) if new.ticket.keys.contains(signing) => SigningChange::Rotated {
            signs_anew: new.ticket.keys.first() != Some(signing),
            dropped: keys.iter().filter(|key| !new.ticket.keys.contains(key)).count(),
        },
        Some(_) => {
            let minting = || old.apps.iter().filter(|app| app.mints_tickets());
            let raised = |name: &str, epoch: u32| {
                new.apps.iter().find(|app| app.name == name).is_none_or(|app| app.epoch > epoch)
            };
            let unconsented = minting().filter(|app| !raised(&app.name, app.epoch));
            SigningChange::Lost {
                unconsented: unconsented.map(|app| app.name.clone()).collect(),
                mints: minting().next().is_some(),
            }
        }
    };
    changes.push(Change::SigningKeys(change));
}

fn log_changes(old: &Log, new: &Log, changes: &mut Vec<Change>) {
    let Log { format, level, access, sample } = old;
    setting(changes, "log.format", format, &new.format, |format| format.as_str().to_owned());
    setting(changes, "log.level", level, &new.level, |level| level.as_str().to_owned());
    setting(changes, "log.access", access, &new.access, |access| match access {
        AccessLog::Off => "false".to_owned(),
        AccessLog::Stdout => "true".to_owned(),
        AccessLog::File(path) => path.display().to_string(),
    });
    setting(changes, "log.sample", sample, &new.sample, f64::to_string);
}

fn path(path: &Option<PathBuf>) -> String {
    path.as_ref().map_or("none".to_owned(), |path| path.display().to_string())
}
