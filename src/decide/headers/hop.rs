//! Headers of one hop (RFC 9110 7.6.1): they end here, and what they ask for is asked of the next hop anew.

use http::header::{CONNECTION, EXPECT, TE, TRAILER, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::decide::headers::certificate::{self, tells_of_a_certificate};
use crate::decide::headers::seen::Seen;

pub(super) const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
pub(super) const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const ANNOTATIONS: [HeaderName; 3] = [
    HeaderName::from_static("cutover-engine"),
    HeaderName::from_static("cutover-reason"),
    HeaderName::from_static("cutover-workflow"),
];

/// Names that no `Connection` line may name away (`DESIGN.md` 10; the attack is CVE-2025-48865): an engine that
/// did not see them would see another user, another host, or another body.
const PROTECTED: [&str; 16] = [
    "host",
    "cookie",
    "set-cookie",
    "authorization",
    "content-length",
    "content-type",
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-request-id",
    "traceparent",
    "cutover-engine",
    "cutover-reason",
    "cutover-workflow",
];

/// What was asked of this hop alone, found while its headers were taken away.
#[derive(Clone, Debug, Default)]
pub struct HopRequest {
    /// The protocol to switch to (RFC 9110 7.8), when `Connection` really names `upgrade`.
    pub upgrade: Option<HeaderValue>,
    /// Whether the client takes trailers (RFC 9110 10.1.4).
    pub takes_trailers: bool,
    /// Whether the client waits for a 100 before it sends its body (RFC 9110 10.1.1).
    pub expects_continue: bool,
}

/// Takes away the headers of this hop, our own annotations whoever wrote them, and what only a trusted peer may say:
/// `keys`, which are header names, and whose certificate somebody has shown.
pub fn strip_request(
    headers: &mut HeaderMap,
    seen: Seen,
    keys: &[HeaderName],
    peer_is_trusted: bool,
) -> HopRequest {
    let mut hop = HopRequest::default();
    if seen.connection && strip_named_by_connection(headers, keys) {
        hop.upgrade = headers.get(UPGRADE).filter(|protocols| !names_h2c(protocols)).cloned();
    }
    if seen.hop_by_hop {
        hop.takes_trailers = headers.get_all(TE).iter().any(|line| lists(line, b"trailers"));
        hop.expects_continue = headers.contains_key(EXPECT);
        for name in [KEEP_ALIVE, PROXY_CONNECTION, TE, TRANSFER_ENCODING, UPGRADE, EXPECT] {
            headers.remove(name);
        }
        headers.remove("http2-settings");
    }
    if seen.annotation {
        for name in ANNOTATIONS {
            headers.remove(name);
        }
    }
    if seen.certificate && !peer_is_trusted {
        remove(headers, |name| tells_of_a_certificate(name.as_str()));
    }
    if !keys.is_empty() {
        strip_keys(headers, keys, peer_is_trusted);
        // Trailers that are not declared do not pass: none may carry a key past us.
        headers.remove(TRAILER);
    }
    if seen.underscore {
        strip_misspelled(headers, peer_is_trusted);
    }
    hop
}

/// Whether a client asks for HTTP/2 by `Upgrade`, which RFC 9113 3.1 has given up: in a tunnel to an engine that still knows
/// it, every later request would pass by us.
fn names_h2c(protocols: &HeaderValue) -> bool {
    let mut names = protocols.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    names.any(|name| name.get(..2).is_some_and(|start| start.eq_ignore_ascii_case(b"h2")))
}

/// Removes what the `Connection` lines name, and those lines; says whether they name `upgrade`. All lines
/// count: a name in a second line is as hop-by-hop as one in the first. `keys` say who a user is, and are as
/// protected as the rest: whether they stay is for the peer's trust to decide.
pub(super) fn strip_named_by_connection(headers: &mut HeaderMap, keys: &[HeaderName]) -> bool {
    let mut names_upgrade = false;
    let mut named: Vec<HeaderName> = Vec::new();
    for line in headers.get_all(CONNECTION) {
        for option in line.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            if option.eq_ignore_ascii_case(b"keep-alive") || option.eq_ignore_ascii_case(b"close") {
                continue;
            }
            if option.eq_ignore_ascii_case(b"upgrade") {
                names_upgrade = true;
                continue;
            }
            // `TE` is read, and removed, with the other headers of this hop.
            if option.eq_ignore_ascii_case(b"te") {
                continue;
            }
            if let Ok(name) = HeaderName::from_bytes(option)
                && !PROTECTED.contains(&name.as_str())
                && !keys.contains(&name)
                && !tells_of_a_certificate(name.as_str())
                && !certificate::is_misspelled(&name)
            {
                named.push(name);
            }
        }
    }
    headers.remove(CONNECTION);
    for name in named {
        headers.remove(name);
    }
    names_upgrade
}

fn lists(line: &HeaderValue, wanted: &[u8]) -> bool {
    line.as_bytes().split(|byte| *byte == b',').any(|item| {
        let item = item.split(|byte| *byte == b';').next().unwrap_or_default();
        item.trim_ascii().eq_ignore_ascii_case(wanted)
    })
}

/// Frameworks that map headers to variables cannot tell `X_User` from `X-User` (CVE-2025-64484).
fn same_when_folded(key: &str, name: &str) -> bool {
    key.len() == name.len()
        && key.bytes().zip(name.bytes()).all(|(left, right)| {
            left == right || (matches!(left, b'-' | b'_') && matches!(right, b'-' | b'_'))
        })
}

/// What engines learn from us alone, and must not hear from a client under another spelling.
const WRITTEN_BY_US: [&str; 7] = [
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "cutover-engine",
    "cutover-reason",
    "cutover-workflow",
];

fn strip_misspelled(headers: &mut HeaderMap, peer_is_trusted: bool) {
    let is_ours =
        |name: &str| name.contains('_') && WRITTEN_BY_US.iter().any(|ours| same_when_folded(ours, name));
    // Of these a trusted proxy chooses the spelling.
    remove(headers, |name| is_ours(name.as_str()) || (!peer_is_trusted && certificate::is_misspelled(name)));
}

fn remove(headers: &mut HeaderMap, is_unwanted: impl Fn(&HeaderName) -> bool) {
    let unwanted: Vec<HeaderName> = headers.keys().filter(|name| is_unwanted(name)).cloned().collect();
    for name in unwanted {
        headers.remove(name);
    }
}

/// The exact spelling goes unless a trusted peer wrote it; other spellings of it go always.
fn strip_keys(headers: &mut HeaderMap, keys: &[HeaderName], peer_is_trusted: bool) {
    remove(headers, |name| {
        keys.iter()
            .any(|key| same_when_folded(key.as_str(), name.as_str()) && !(peer_is_trusted && key == name))
    });
}

/// Asks the next hop for what this hop was asked for.
pub fn restore_hop(headers: &mut HeaderMap, hop: &HopRequest) {
    if let Some(protocol) = &hop.upgrade {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, protocol.clone());
    }
    if hop.takes_trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
        // RFC 9110 10.1.4: a sender of TE also names it in Connection.
        let options = if hop.upgrade.is_some() { "upgrade, te" } else { "te" };
        headers.insert(CONNECTION, HeaderValue::from_static(options));
    }
}
