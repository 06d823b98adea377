//! What headers cross the proxy: hop-by-hop ones do not, forwarded ones are ours to write, and our own cookies
//! and annotations stay between the browser and us.
//!
//! Nothing here sends; it edits a map and says what it found.

use std::net::IpAddr;

use http::header::{
    CACHE_CONTROL, CONNECTION, COOKIE, EXPECT, FORWARDED, HOST, SET_COOKIE, TE, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use ipnet::IpNet;

use crate::decide::cookies;
use crate::decide::engine::Engine;
use crate::decide::host::host_of;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// Names one request in our answers, our logs and the engine's.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The trace that a request belongs to (W3C Trace Context 3.2).
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const CUTOVER_ENGINE: HeaderName = HeaderName::from_static("cutover-engine");
const CUTOVER_REASON: HeaderName = HeaderName::from_static("cutover-reason");
const CUTOVER_WORKFLOW: HeaderName = HeaderName::from_static("cutover-workflow");

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

/// Networks whose word is believed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Trust(Vec<IpNet>);

impl Trust {
    /// Believes these networks.
    pub fn new(networks: Vec<IpNet>) -> Self {
        Self(networks)
    }

    /// Whether this address is believed. IPv4 addresses mapped into IPv6 are IPv4 addresses.
    pub fn includes(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// The client behind a trusted peer: the rightmost address that is not itself trusted (`DESIGN.md` 10), of
    /// `X-Forwarded-For`, or of `Forwarded` (RFC 7239 5.2) where there is none. An entry that is no address
    /// ends the search: what stands to its left was written by somebody unknown.
    pub fn client(&self, headers: &HeaderMap, peer: IpAddr) -> IpAddr {
        let mut client = peer;
        for entry in forwarded_for(headers).into_iter().rev() {
            let Some(address) = std::str::from_utf8(entry).ok().and_then(address_of) else { break };
            client = address;
            if !self.includes(address) {
                break;
            }
        }
        client
    }
}

/// All entries of the forwarding chain, leftmost first. They are bytes: a line that is no text still holds, behind
/// what a client wrote there, what the proxies appended.
fn forwarded_for(headers: &HeaderMap) -> Vec<&[u8]> {
    if headers.contains_key(X_FORWARDED_FOR) {
        return items(headers, &X_FORWARDED_FOR).map(<[u8]>::trim_ascii).collect();
    }
    items(headers, &FORWARDED).map(|element| forwarded_parameter(element, b"for").unwrap_or(b"unknown")).collect()
}

/// The items of all lines of a header, as they came.
fn items<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    headers.get_all(name).into_iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
}

/// A parameter of one `Forwarded` element, without quotes.
fn forwarded_parameter<'a>(element: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    element.split(|byte| *byte == b';').find_map(|pair| {
        let equals = memchr::memchr(b'=', pair)?;
        let (found, value) = (pair[..equals].trim_ascii(), pair[equals + 1..].trim_ascii());
        let value = value.strip_prefix(b"\"").unwrap_or(value);
        found.eq_ignore_ascii_case(name).then(|| value.strip_suffix(b"\"").unwrap_or(value))
    })
}

/// `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:80`.
fn address_of(entry: &str) -> Option<IpAddr> {
    let bare = match entry.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?.0,
        None => match entry.split_once(':') {
            Some((address, port)) if !port.contains(':') => address,
            Some(_) | None => entry,
        },
    };
    bare.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

/// Whether a trusted peer says that the client reached it over TLS.
pub fn forwarded_over_tls(headers: &HeaderMap) -> bool {
    // The peer is the last hop, and appends: its own word stands last, on whatever line.
    if headers.contains_key(X_FORWARDED_PROTO) {
        let last = items(headers, &X_FORWARDED_PROTO).last().unwrap_or_default();
        return last.trim_ascii().eq_ignore_ascii_case(b"https");
    }
    let last = items(headers, &FORWARDED).last().and_then(|element| forwarded_parameter(element, b"proto"));
    last.is_some_and(|proto| proto.eq_ignore_ascii_case(b"https"))
}

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

/// Takes away the headers of this hop (RFC 9110 7.6.1), our own annotations whoever wrote them, and our own
/// cookies. `keys` are the header names that only a trusted peer may set.
pub fn strip_request(headers: &mut HeaderMap, keys: &[HeaderName], peer_is_trusted: bool) -> HopRequest {
    let mut hop = HopRequest::default();
    let mut found = Found::default();
    for name in headers.keys() {
        found.note(name, keys);
    }
    if found.connection {
        let names_upgrade = strip_named_by_connection(headers, keys);
        if names_upgrade {
            hop.upgrade = headers.get(UPGRADE).cloned();
        }
    }
    if found.hop_by_hop {
        hop.takes_trailers = headers.get_all(TE).iter().any(|line| lists(line, b"trailers"));
        hop.expects_continue = headers.contains_key(EXPECT);
        for name in [KEEP_ALIVE, PROXY_CONNECTION, TE, TRANSFER_ENCODING, UPGRADE, EXPECT] {
            headers.remove(name);
        }
    }
    if found.ours {
        for name in [CUTOVER_ENGINE, CUTOVER_REASON, CUTOVER_WORKFLOW] {
            headers.remove(name);
        }
    }
    if found.keys {
        strip_keys(headers, keys, peer_is_trusted);
    }
    if found.cookie {
        strip_our_cookies(headers);
    }
    hop
}

/// What one walk over the names saw: most requests carry few of the headers that matter here, and asking a map
/// for each of them costs more than looking at what is there.
#[derive(Default)]
struct Found {
    connection: bool,
    hop_by_hop: bool,
    ours: bool,
    keys: bool,
    cookie: bool,
}

impl Found {
    fn note(&mut self, name: &HeaderName, keys: &[HeaderName]) {
        match name.as_str() {
            "connection" => self.connection = true,
            "cookie" => self.cookie = true,
            "te" | "expect" | "upgrade" | "keep-alive" | "transfer-encoding" | "proxy-connection" => {
                self.hop_by_hop = true;
            }
            other => {
                if other.starts_with("cutover-") {
                    self.ours = true;
                }
                if !keys.is_empty() && keys.iter().any(|key| same_when_folded(key.as_str(), other)) {
                    self.keys = true;
                }
            }
        }
    }
}

/// Removes what the `Connection` lines name, and those lines; says whether they name `upgrade`. All lines
/// count: a name in a second line is as hop-by-hop as one in the first. `keys` say who a user is, and are as
/// protected as the rest: whether they stay is for the peer's trust to decide.
fn strip_named_by_connection(headers: &mut HeaderMap, keys: &[HeaderName]) -> bool {
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

/// The exact spelling goes unless a trusted peer wrote it; other spellings of it go always.
fn strip_keys(headers: &mut HeaderMap, keys: &[HeaderName], peer_is_trusted: bool) {
    let strange: Vec<HeaderName> = headers
        .keys()
        .filter(|name| {
            keys.iter().any(|key| {
                same_when_folded(key.as_str(), name.as_str()) && !(peer_is_trusted && key == *name)
            })
        })
        .cloned()
        .collect();
    for name in strange {
        headers.remove(name);
    }
}

fn strip_our_cookies(headers: &mut HeaderMap) {
    // Nearly always one line: then it is edited in place.
    let lines = headers.get_all(COOKIE).iter().count();
    if lines == 1 {
        let Some(rest) = headers.get(COOKIE).and_then(|line| cookies::without_ours(line.as_bytes())) else {
            return;
        };
        match cookie_line(rest) {
            Some(line) => {
                headers.insert(COOKIE, line);
            }
            None => {
                headers.remove(COOKIE);
            }
        }
        return;
    }
    let kept: Vec<HeaderValue> = headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|line| match cookies::without_ours(line.as_bytes()) {
            Some(rest) => cookie_line(rest),
            None => Some(line.clone()),
        })
        .collect();
    headers.remove(COOKIE);
    for line in kept {
        headers.append(COOKIE, line);
    }
}

fn cookie_line(rest: Vec<u8>) -> Option<HeaderValue> {
    if rest.is_empty() {
        return None;
    }
    // A part of a valid value is a valid value.
    HeaderValue::from_maybe_shared(bytes::Bytes::from(rest)).ok()
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

/// Writes the forwarded headers for the requests of one downstream connection. What does not change between
/// its requests is made once.
#[derive(Clone, Debug)]
pub struct Forwarder {
    peer: IpAddr,
    peer_value: HeaderValue,
    proto: HeaderValue,
    port: HeaderValue,
    /// The last `Host`, and the `Forwarded` element for it: a connection rarely names two.
    forwarded: Option<(HeaderValue, HeaderValue)>,
}

impl Forwarder {
    /// For a connection of this peer to a listener on `port`, over TLS or not.
    pub fn new(peer: IpAddr, over_tls: bool, port: u16) -> Self {
        let peer = peer.to_canonical();
        let value = |text: String| HeaderValue::try_from(text).expect("addresses and numbers are visible ASCII");
        Self {
            peer,
            peer_value: value(peer.to_string()),
            proto: HeaderValue::from_static(if over_tls { "https" } else { "http" }),
            port: value(port.to_string()),
            forwarded: None,
        }
    }

    /// Overwrites the forwarded headers, or appends where the peer is trusted: then it is the chain that grows
    /// (`X-Forwarded-For`, `Forwarded`), while scheme, host and port stay those that the client used.
    pub fn write(&mut self, headers: &mut HeaderMap, peer_is_trusted: bool) {
        let host = headers.get(HOST).cloned();
        let element = self.element(host.as_ref());
        if peer_is_trusted {
            let chain = joined(headers, &X_FORWARDED_FOR, &self.peer_value);
            headers.insert(X_FORWARDED_FOR, chain);
            let elements = joined(headers, &FORWARDED, &element);
            headers.insert(FORWARDED, elements);
            headers.entry(X_FORWARDED_PROTO).or_insert_with(|| self.proto.clone());
            headers.entry(X_FORWARDED_PORT).or_insert_with(|| self.port.clone());
            if let Some(host) = host {
                headers.entry(X_FORWARDED_HOST).or_insert(host);
            }
            return;
        }
        headers.insert(X_FORWARDED_FOR, self.peer_value.clone());
        headers.insert(X_FORWARDED_PROTO, self.proto.clone());
        headers.insert(X_FORWARDED_PORT, self.port.clone());
        headers.insert(FORWARDED, element);
        match host {
            Some(host) => headers.insert(X_FORWARDED_HOST, host),
            None => headers.remove(X_FORWARDED_HOST),
        };
    }

    /// `for=192.0.2.1;host=portal.example.com;proto=http` (RFC 7239 4).
    fn element(&mut self, host: Option<&HeaderValue>) -> HeaderValue {
        const NO_HOST: HeaderValue = HeaderValue::from_static("");
        if let Some((of, element)) = &self.forwarded
            && host.unwrap_or(&NO_HOST) == of
        {
            return element.clone();
        }
        let mut text = match self.peer {
            IpAddr::V4(address) => format!("for={address}"),
            IpAddr::V6(address) => format!("for=\"[{address}]\""),
        };
        // Whatever else a client calls a host could end the element and begin one of its own.
        if let Some(host) = host.and_then(|host| host.to_str().ok()).filter(|host| host_of(host).is_some()) {
            let quote = if host.contains([':', '[']) { "\"" } else { "" };
            text.push_str(&format!(";host={quote}{host}{quote}"));
        }
        text.push_str(";proto=");
        text.push_str(self.proto.to_str().unwrap_or("http"));
        let element = HeaderValue::try_from(text).unwrap_or_else(|_| self.peer_value.clone());
        self.forwarded = Some((host.cloned().unwrap_or(NO_HOST), element.clone()));
        element
    }
}

/// All lines of a header and one more item, as one list (RFC 9110 5.3).
fn joined(headers: &HeaderMap, name: &HeaderName, item: &HeaderValue) -> HeaderValue {
    let mut list: Vec<u8> = Vec::new();
    for line in headers.get_all(name) {
        list.extend_from_slice(line.as_bytes());
        list.extend_from_slice(b", ");
    }
    list.extend_from_slice(item.as_bytes());
    HeaderValue::from_bytes(&list).unwrap_or_else(|_| item.clone())
}

/// Names the request for our logs and the engine's. A client's own name is kept when it is safe to write
/// anywhere (visible ASCII without quotes, at most 128 bytes); `roll` makes one otherwise.
pub fn ensure_request_id(headers: &mut HeaderMap, roll: impl Fn() -> u64) -> HeaderValue {
    if let Some(given) = only(headers, &X_REQUEST_ID)
        && is_safe_id(given.as_bytes())
    {
        return given.clone();
    }
    let mut id = [0u8; 32];
    hex(roll(), &mut id[..16]);
    hex(roll(), &mut id[16..]);
    let id = HeaderValue::from_bytes(&id).expect("hexadecimal digits are visible ASCII");
    headers.insert(X_REQUEST_ID, id.clone());
    id
}

/// The only line of a header: of several, the engine might believe another one than we do.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut lines = headers.get_all(name).iter();
    lines.next().filter(|_| lines.next().is_none())
}

fn is_safe_id(id: &[u8]) -> bool {
    (1..=128).contains(&id.len())
        && id.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:+/=@".contains(byte))
}

/// Continues the client's trace, or begins one that is not sampled (W3C Trace Context 3.2). We record no span
/// of our own yet, so a valid parent is passed on as it came.
pub fn ensure_traceparent(headers: &mut HeaderMap, roll: impl Fn() -> u64) {
    if only(headers, &TRACEPARENT).is_some_and(|given| is_traceparent(given.as_bytes())) {
        return;
    }
    let mut parent = *b"00-00000000000000000000000000000000-0000000000000000-00";
    // All-zero ids are invalid; a set bit each rules them out.
    hex(roll() | 1, &mut parent[3..19]);
    hex(roll(), &mut parent[19..35]);
    hex(roll() | 1, &mut parent[36..52]);
    let parent = HeaderValue::from_bytes(&parent).expect("hexadecimal digits are visible ASCII");
    headers.insert(TRACEPARENT, parent);
}

fn is_traceparent(text: &[u8]) -> bool {
    let is_hex = |part: &[u8]| part.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let is_zero = |part: &[u8]| part.iter().all(|byte| *byte == b'0');
    // Version ff is forbidden; later versions may append fields after a dash.
    text.len() >= 55
        && (text.len() == 55 || (text[..2] != *b"00" && text[55] == b'-'))
        && is_hex(&text[..2])
        && text[..2] != *b"ff"
        && [text[2], text[35], text[52]] == [b'-'; 3]
        && is_hex(&text[3..35])
        && !is_zero(&text[3..35])
        && is_hex(&text[36..52])
        && !is_zero(&text[36..52])
        && is_hex(&text[53..55])
}

/// Sixteen digits of a number.
fn hex(number: u64, digits: &mut [u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (place, digit) in digits.iter_mut().rev().enumerate() {
        *digit = DIGITS[(number >> (4 * place)) as usize & 15];
    }
}

/// Tells the engine what was decided.
pub fn annotate(headers: &mut HeaderMap, engine: Engine, reason: &'static str) {
    headers.insert(CUTOVER_ENGINE, HeaderValue::from_static(engine.as_str()));
    headers.insert(CUTOVER_REASON, HeaderValue::from_static(reason));
    headers.insert(CUTOVER_WORKFLOW, HeaderValue::from_static("none"));
}

/// Takes away an engine's headers of its own hop, and any cookie of ours that it tries to set.
pub fn strip_response(headers: &mut HeaderMap) {
    let (mut connection, mut hop_by_hop, mut set_cookie) = (false, false, false);
    for name in headers.keys() {
        match name.as_str() {
            "connection" => connection = true,
            "set-cookie" => set_cookie = true,
            "te" | "upgrade" | "keep-alive" | "transfer-encoding" | "proxy-connection" => hop_by_hop = true,
            _other => {}
        }
    }
    if connection {
        strip_named_by_connection(headers, &[]);
    }
    if hop_by_hop {
        for name in [KEEP_ALIVE, PROXY_CONNECTION, TE, TRANSFER_ENCODING, UPGRADE] {
            headers.remove(name);
        }
    }
    if set_cookie && headers.get_all(SET_COOKIE).iter().any(|line| cookies::sets_ours(line.as_bytes())) {
        let kept: Vec<HeaderValue> = headers
            .get_all(SET_COOKIE)
            .iter()
            .filter(|line| !cookies::sets_ours(line.as_bytes()))
            .cloned()
            .collect();
        headers.remove(SET_COOKIE);
        for line in kept {
            headers.append(SET_COOKIE, line);
        }
    }
}

/// Gives the browser our cookie, and keeps shared caches from giving it to everybody else: the response loses
/// `public` and `s-maxage` and gains `private` (RFC 9111 5.2.2.7).
pub fn set_our_cookie(headers: &mut HeaderMap, line: String) {
    let Ok(line) = HeaderValue::try_from(line) else { return };
    headers.append(SET_COOKIE, line);

    let mut directives: Vec<&[u8]> = Vec::new();
    let mut is_private = false;
    for directive in items(headers, &CACHE_CONTROL).map(<[u8]>::trim_ascii) {
        let name = directive.split(|byte| *byte == b'=').next().unwrap_or_default().trim_ascii();
        if directive.is_empty() || name.eq_ignore_ascii_case(b"public") || name.eq_ignore_ascii_case(b"s-maxage") {
            continue;
        }
        // `private="field"` covers only that field: ours must be the bare one.
        is_private |= directive.eq_ignore_ascii_case(b"private") || name.eq_ignore_ascii_case(b"no-store");
        directives.push(directive);
    }
    if !is_private {
        directives.push(b"private");
    }
    if let Ok(value) = HeaderValue::from_bytes(&directives.join(&b", "[..])) {
        headers.insert(CACHE_CONTROL, value);
    }
}

#[cfg(test)]
#[path = "headers_tests.rs"]
mod tests;
