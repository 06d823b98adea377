//! The rules of everything that is not an app: listeners, admin, limits, tickets, log.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::time::Duration;

use http::HeaderValue;

use crate::config::model::{
    AccessLog, Admin, Limits, Listener, Log, LogFormat, LogLevel, Proof, TicketLifetime, TicketSettings,
};
use crate::config::problems::{At, excerpt};
use crate::config::raw::{RawAdmin, RawLimits, RawListener, RawLog, RawTicket, Text};
use crate::config::reader::{List, Written};
use crate::config::units;
use crate::config::validate::{Context, secrets, tls};

/// hyper reads heads into a buffer that cannot be smaller (`http1::Builder::max_buf_size`).
const LEAST_HEADER_BYTES: u64 = 8 * 1024;
/// A head is held whole in memory, and by upstreams too: what is larger is no head.
const MOST_HEADER_BYTES: u64 = 1024 * 1024;
/// Each may cost a task and a connection to an engine.
const MOST_STREAMS: u32 = 65_536;
/// More than any system lets one process open.
const MOST_CONNECTIONS: u32 = 1_000_000_000;

pub(super) fn listeners(
    context: &mut Context<'_, '_>,
    raw: Option<List<RawListener>>,
    proof: Proof,
) -> Vec<(Listener, At)> {
    let Some(raw) = raw else { return Vec::new() };
    if raw.is_empty() {
        context.error(
            &raw.at,
            "there is no listener",
            "add a [[listeners]] table with bind = \"0.0.0.0:8080\"",
        );
    }
    let mut first: HashMap<SocketAddr, String> = HashMap::new();
    let mut listeners = Vec::new();
    for RawListener { bind, proxy_protocol, redirect_to_https, hsts, tls } in raw.items {
        let Some(bind) = bind else { continue };
        let Some(address) = context.unit(&bind.at, units::bind_address(&bind.value)) else { continue };
        // Port 0 asks the system for one, and gets another one every time.
        if address.port() != 0
            && let Some(first) = first.insert(address, bind.at.key.clone())
        {
            context.error(&bind.at, format!("{address} is bound twice"), format!("{first} binds it first"));
        }
        let is_proxied = context.flag(&proxy_protocol, false);
        if let (true, false, Some(flag)) = (is_proxied, proof.proxies, &proxy_protocol) {
            let message = "proxy_protocol lets in nobody but trusted proxies, and there are none";
            context.error(&flag.at, message, "name the balancers in [trust] proxies = [\"10.0.0.0/8\"]");
        }
        let redirects = context.flag(&redirect_to_https, false);
        if let (true, Some(flag), Some(tls)) = (redirects, &redirect_to_https, &tls) {
            let message = "a listener that speaks TLS has nowhere to redirect to";
            context.error(&flag.at, message, format!("remove it, or {}", tls.at.key));
        }
        let hsts = self::hsts(context, &hsts, tls.is_some());
        let speaks_tls = tls.is_some();
        let tls = tls.and_then(|raw| tls::tls(context, raw));
        if speaks_tls && tls.is_none() {
            continue;
        }
        let listener =
            Listener { bind: address, proxy_protocol: is_proxied, redirect_to_https: redirects, hsts, tls };
        listeners.push((listener, bind.at));
    }
    listeners
}

/// `Strict-Transport-Security` means nothing in clear text (RFC 6797 8.1).
fn hsts(context: &Context<'_, '_>, written: &Text, is_tls: bool) -> Option<HeaderValue> {
    let written = written.as_ref().filter(|written| !written.value.is_empty())?;
    if !is_tls {
        context.error(
            &written.at,
            "hsts means nothing on a listener without TLS",
            "move it to the one with TLS",
        );
        return None;
    }
    let says_for_how_long = written.value.to_ascii_lowercase().split(';').any(|directive| {
        let seconds = directive.trim().strip_prefix("max-age=");
        seconds.is_some_and(|seconds| seconds.trim_matches('"').parse::<u64>().is_ok())
    });
    match HeaderValue::from_str(&written.value) {
        Ok(value) if says_for_how_long => Some(value),
        Ok(_) | Err(_) => {
            let message = format!("{} is no value of Strict-Transport-Security", excerpt(&written.value));
            context.error(&written.at, message, "write \"max-age=31536000\", in seconds");
            None
        }
    }
}

pub(super) fn admin(
    context: &mut Context<'_, '_>,
    raw: RawAdmin,
    listeners: &[(Listener, At)],
) -> Option<Admin> {
    let RawAdmin { at, bind, token_file } = raw;
    let address = match &bind {
        Some(bind) => context.unit(&bind.at, units::bind_address(&bind.value)),
        None => Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 9900))),
    };
    let token = token_file.as_ref().and_then(|file| secrets::token(context, file));
    let bind_at = bind.map_or(At { key: "admin.bind".to_owned(), span: at.span }, |bind| bind.at);
    let address = address?;
    let clash = listeners.iter().find(|(listener, _)| listener.bind == address && address.port() != 0);
    if let Some((_, first)) = clash {
        // Where admin.bind is not written, the listener is what has to move.
        let at = if bind_at.span == (0..0) { first } else { &bind_at };
        context.error(
            at,
            format!("{address} is both a listener and admin.bind"),
            format!("{} binds it too; the admin API needs an address of its own", first.key),
        );
    }
    if !address.ip().to_canonical().is_loopback() && token_file.is_none() {
        context.error(
            &bind_at,
            format!("admin.bind {address} is not loopback, and there is no token_file"),
            "without one nobody could read anything there; add admin.token_file, or bind 127.0.0.1",
        );
    }
    let token_file = token_file.map(|file| context.path(&file.value));
    Some(Admin { bind: address, token_file, token })
}

pub(super) fn limits(context: &Context<'_, '_>, raw: RawLimits) -> Limits {
    let RawLimits {
        header_bytes,
        headers,
        header_timeout,
        idle_timeout,
        connections,
        connections_per_ip,
        streams,
        body_bytes,
        request_timeout,
    } = raw;
    let bytes = context.size(&header_bytes, 32 * 1024);
    if let Some(written) = &header_bytes
        && !(LEAST_HEADER_BYTES..=MOST_HEADER_BYTES).contains(&bytes)
    {
        context.error(&written.at, "header_bytes must be from 8KiB to 1MiB", "");
    }
    let body_bytes = context.size(&body_bytes, 0);
    let request_timeout = context.duration(&request_timeout, Duration::ZERO);
    Limits {
        // Within the range it fits any usize.
        header_bytes: bytes as usize,
        headers: context.number(&headers, 1..=1000, 100) as usize,
        body_bytes: (body_bytes > 0).then_some(body_bytes),
        header_timeout: context.timeout(&header_timeout, Duration::from_secs(10)),
        idle_timeout: context.timeout(&idle_timeout, Duration::from_secs(75)),
        request_timeout: (!request_timeout.is_zero()).then_some(request_timeout),
        connections: context.count(&connections, 0..=MOST_CONNECTIONS, 0),
        connections_per_ip: context.count(&connections_per_ip, 0..=MOST_CONNECTIONS, 0),
        streams: NonZeroUsize::new(context.number(&streams, 1..=MOST_STREAMS, 128) as usize)
            .unwrap_or(NonZeroUsize::MIN),
    }
}

pub(super) fn ticket(context: &mut Context<'_, '_>, raw: RawTicket) -> TicketSettings {
    let RawTicket { at: _, key_file, lifetime } = raw;
    let keys = key_file.as_ref().and_then(|file| secrets::signing_keys(context, file)).unwrap_or_default();
    let lifetime = match &lifetime {
        Some(text) if text.value != "session" => {
            let life = context.duration(&Some(text.clone()), Duration::from_secs(60));
            if life.subsec_nanos() != 0 {
                context.error(&text.at, "lifetime must be whole seconds", "cookies know nothing shorter");
            } else if life < Duration::from_secs(60) {
                context.error(
                    &text.at,
                    "lifetime must be 60s or more",
                    "write \"session\", or a duration from \"60s\" to \"400d\"",
                );
            }
            TicketLifetime::For(life)
        }
        Some(_) | None => TicketLifetime::Session,
    };
    TicketSettings { key_file: key_file.map(|file| context.path(&file.value)), keys, lifetime }
}

/// What `log.access` does not take for the path of a file: words that mean something else would silently become
/// files of that name.
pub(in crate::config) const NO_FILES: [&str; 7] = ["true", "false", "on", "off", "stdout", "none", "-"];

pub(super) fn log(context: &Context<'_, '_>, raw: RawLog) -> Log {
    let RawLog { format, level, access, sample } = raw;
    let formats = [LogFormat::Json, LogFormat::Text].map(|format| (format.as_str(), format));
    let levels = LogLevel::ALL.map(|level| (level.as_str(), level));
    let access = match access {
        None => AccessLog::Stdout,
        Some(Written { value: Ok(true), at: _ }) => AccessLog::Stdout,
        Some(Written { value: Ok(false), at: _ }) => AccessLog::Off,
        Some(Written { value: Err(path), at }) => {
            if path.is_empty() || NO_FILES.contains(&&*path) {
                context.error(
                    &at,
                    format!("{} is no path of a file", excerpt(&path)),
                    "write true for standard output, false for no access log, or a path",
                );
            }
            AccessLog::File(context.path(&path))
        }
    };
    let sample = sample.map_or(1.0, |text| match text.value.parse::<f64>() {
        Ok(part) if (0.0..=1.0).contains(&part) => part,
        Ok(_) | Err(_) => {
            context.error(
                &text.at,
                "sample must be from 0 to 1",
                "1.0 writes every access record, 0.01 one in 100",
            );
            1.0
        }
    });
    Log {
        format: context.choice(&format, &formats, LogFormat::Json),
        level: context.choice(&level, &levels, LogLevel::Info),
        access,
        // -0.0 is within the range; nobody should see it again.
        sample: sample.abs(),
    }
}
