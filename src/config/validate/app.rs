//! The rules of an app: its name, hosts, keys and share, and that no request is left without endpoints.

use std::collections::HashMap;

use http::HeaderName;

use crate::config::model::{App, OnUnavailable, Pool};
use crate::config::problem::{At, excerpt, nearest};
use crate::config::raw::{RawApp, RawPool, Text, Texts};
use crate::config::reader::Written;
use crate::config::units;
use crate::config::validate::target::{Setting, targets};
use crate::config::validate::{Context, pool};
use crate::decide::bucket::Share;
use crate::decide::cookies;
use crate::decide::engine::Engine;
use crate::decide::host::HostPattern;
use crate::decide::subject::KeySource;
use crate::decide::target::Target;

/// The metric label of whatever belongs to no app.
const RESERVED: &str = "none";

/// Headers that cannot be keys. A key header is stripped from clients that are not trusted, and these frame the
/// message or carry more than a key.
const NO_KEYS: [&str; 11] = [
    "connection",
    "content-length",
    "cookie",
    "expect",
    "host",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "keep-alive",
    "content-type",
];

/// Headers that hold an address: nobody is ever placed by one (`DESIGN.md` 3).
const ADDRESSES: [&str; 3] = ["forwarded", "x-forwarded-for", "x-real-ip"];

pub(super) fn apps(context: &mut Context<'_, '_>, raw: Vec<RawApp>, trusts: bool) -> Vec<App> {
    if raw.is_empty() {
        let at = At { key: "apps".to_owned(), span: 0..0 };
        context.problems.missing(&at, "there is no app", "add an [apps.NAME] table");
    }
    let mut claims = Claims::default();
    raw.into_iter().filter_map(|raw| app(context, raw, trusts, &mut claims)).collect()
}

/// Who claimed what first.
#[derive(Default)]
struct Claims {
    hosts: HashMap<HostPattern, String>,
    default: Option<String>,
}

fn app(context: &mut Context<'_, '_>, raw: RawApp, trusts: bool, claims: &mut Claims) -> Option<App> {
    let RawApp {
        at,
        name,
        hosts,
        salt,
        epoch,
        keys,
        percent,
        annotate,
        on_unavailable,
        classic,
        identity,
        targets: raw_targets,
    } = raw;
    app_name(context, &name);
    let hosts = self::hosts(context, &at, &hosts, claims);
    if let Some(salt) = salt.as_ref().filter(|salt| salt.value.is_empty()) {
        context.error(&salt.at, "the salt is empty", "leave it out to use the app's name");
    }
    let keys = self::keys(context, &keys, trusts);
    let share = match &percent {
        Some(text) => context.unit(&text.at, units::percent(&text.value)),
        None => Some(Share::NONE),
    };
    let setting = Setting { keys: &keys, trusts };
    let (targets, subject_lists) =
        targets(context, raw_targets.map(|targets| targets.value).unwrap_or_default(), &setting);
    let on_unavailable_at = on_unavailable.as_ref().map(|written| written.at.clone());
    let on_unavailable = self::on_unavailable(context, &on_unavailable);

    let empty = [emptiness(&classic), emptiness(&identity)];
    if let Some(share) = share {
        empty_pools(context, &at, &empty, share, &targets);
    }
    if let (OnUnavailable::Failover, Some(at)) = (on_unavailable, on_unavailable_at)
        && empty.iter().any(Option::is_some)
    {
        let message = "there is nothing to fail over to: one engine has no endpoints";
        context.problems.warning(&at, message, "");
    }
    let read = |raw: Option<RawPool>| -> Option<Pool> { raw.map(|raw| pool::pool(context, raw)) };
    let (classic, identity) = (read(classic), read(identity));
    Some(App {
        hosts,
        salt: salt.map_or_else(|| name.value.clone(), |salt| salt.value),
        name: name.value,
        epoch: context.number(&epoch, 1..=u32::MAX, 1),
        keys,
        share: share.unwrap_or(Share::NONE),
        annotate: context.flag(&annotate, false),
        on_unavailable,
        targets,
        subject_lists,
        classic: classic?,
        identity: identity?,
    })
}

fn app_name(context: &Context<'_, '_>, name: &Written<String>) {
    let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
    let shown = excerpt(&name.value);
    if name.value.is_empty() {
        context.error(&name.at, "the name of this app is empty", "write [apps.portal]");
    } else if name.value.len() > 64 {
        context.error(&name.at, format!("the app name {shown} is longer than 64 characters"), "");
    } else if !name.value.bytes().all(is_allowed) {
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
    if raw.value.is_empty() {
        let hint = "leave the key out to answer for every host that no other app claims";
        context.error(&raw.at, "the list of hosts is empty", hint);
    }
    let mut hosts = Vec::new();
    for item in &raw.value {
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

fn keys(context: &Context<'_, '_>, raw: &Texts, trusts: bool) -> Vec<KeySource> {
    let Some(raw) = raw else { return vec![KeySource::Device] };
    if raw.value.is_empty() {
        context.error(&raw.at, "the list of keys is empty", "without a key everybody stays on classic");
    }
    let mut keys: Vec<KeySource> = Vec::new();
    for item in &raw.value {
        let Some(key) = self::key(context, item) else { continue };
        if keys.contains(&key) {
            context.error(&item.at, format!("the key {} is listed twice", excerpt(&item.value)), "");
        } else if keys.contains(&KeySource::Device) {
            let hint = "`device` always finds something: write it last";
            context.error(&item.at, format!("{} comes after `device`", excerpt(&item.value)), hint);
        } else if matches!(key, KeySource::Header(_)) && !trusts {
            let message = format!("{} never counts: nobody is trusted to set it", excerpt(&item.value));
            context.problems.warning(&item.at, message, "list the proxies that set it in trust.proxies");
        }
        keys.push(key);
    }
    keys
}

fn key(context: &Context<'_, '_>, item: &Written<String>) -> Option<KeySource> {
    const PREFIXES: [&str; 5] = ["header", "jwt", "cookie", "query", "device"];
    let shown = excerpt(&item.value);
    let refuse = |message: String, hint: &str| {
        context.error(&item.at, message, hint);
        None
    };
    let (prefix, name) = match item.value.split_once(':') {
        Some((prefix, name)) => (prefix, Some(name)),
        None => (item.value.as_str(), None),
    };
    match (prefix, name) {
        ("device", None) => Some(KeySource::Device),
        ("device", Some(_)) => refuse(format!("{shown} is no key"), "write \"device\" alone"),
        ("header" | "jwt" | "cookie" | "query", None | Some("")) => {
            refuse(format!("{shown} names no {prefix}"), &format!("write \"{prefix}:NAME\""))
        }
        ("header", Some(name)) => match HeaderName::from_bytes(name.as_bytes()) {
            Ok(header) if NO_KEYS.contains(&header.as_str()) => refuse(
                format!("the header `{header}` cannot be a key"),
                "a key header holds the key alone, and is stripped from clients that are not trusted",
            ),
            Ok(header) if ADDRESSES.contains(&header.as_str()) => {
                refuse(format!("the header `{header}` cannot be a key"), "nobody is placed by an address")
            }
            Ok(header) => Some(KeySource::Header(header)),
            Err(_) => refuse(format!("{shown} holds no header name"), "letters, digits and `-`"),
        },
        ("cookie", Some(name)) if cookies::is_ours(name.as_bytes()) => {
            refuse(format!("{shown} is a cookie of our own"), "write \"device\" for the browser's ticket")
        }
        // A cookie name is a token (RFC 6265 4.1.1), and so is the name of a header, but for upper case.
        ("cookie", Some(name)) if HeaderName::from_bytes(name.as_bytes()).is_err() => {
            refuse(format!("{shown} holds no cookie name"), "no spaces, quotes, `;`, `,` or `=`")
        }
        ("cookie", Some(name)) => Some(KeySource::Cookie(name.to_owned())),
        ("query", Some(name)) => Some(KeySource::Query(name.to_owned())),
        ("jwt", Some(claim)) => Some(KeySource::Jwt(claim.to_owned())),
        (prefix, name) => {
            let hint = match (nearest(prefix, PREFIXES), name) {
                (Some("device"), _) => "did you mean \"device\"?".to_owned(),
                (Some(meant), Some(name)) => {
                    format!("did you mean \"{meant}:{}\"?", excerpt(name).trim_matches('`'))
                }
                (Some(meant), None) => format!("did you mean \"{meant}:NAME\"?"),
                (None, _) => {
                    "a key is \"header:NAME\", \"jwt:CLAIM\", \"cookie:NAME\", \"query:NAME\" or \"device\""
                        .to_owned()
                }
            };
            refuse(format!("{shown} is no key"), &hint)
        }
    }
}

fn on_unavailable(context: &Context<'_, '_>, written: &Text) -> OnUnavailable {
    if let Some(written) = written.as_ref().filter(|written| written.value == "restart") {
        context.error(
            &written.at,
            "on_unavailable = \"restart\" is not available yet",
            "write \"error\" or \"failover\"",
        );
        return OnUnavailable::Error;
    }
    let choices = [OnUnavailable::Error, OnUnavailable::Failover].map(|choice| (choice.as_str(), choice));
    context.choice(written, &choices, OnUnavailable::Error)
}

/// Where a pool says that it has no endpoints.
fn emptiness(pool: &Option<RawPool>) -> Option<At> {
    let endpoints = pool.as_ref()?.endpoints.as_ref()?;
    endpoints.value.is_empty().then(|| endpoints.at.clone())
}

/// An engine may be without endpoints once nobody can be decided for it.
fn empty_pools(
    context: &Context<'_, '_>,
    app: &At,
    empty: &[Option<At>; 2],
    share: Share,
    targets: &[Target],
) {
    if let [Some(_), Some(_)] = empty {
        context.error(app, "neither engine has endpoints", "nobody could be served");
        return;
    }
    for engine in Engine::BOTH {
        let Some(at) = &empty[engine.index()] else { continue };
        let (needed, allowed) = match engine {
            Engine::Classic => (share != Share::WHOLE, "100"),
            Engine::Identity => (share != Share::NONE, "0"),
        };
        if needed {
            context.error(
                at,
                format!("{engine} has no endpoints, but percent is {}", units::write_percent(share)),
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
