//! Who the client is, according to whom: reading forwarded headers where the peer is trusted, and writing them for
//! the engines.

use std::net::IpAddr;

use http::header::{FORWARDED, HOST};
use http::{HeaderMap, HeaderName, HeaderValue};
use ipnet::IpNet;

use crate::decide::headers::lines::Lines;
use crate::decide::headers::seen::Seen;
use crate::decide::host::host_of;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

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
    items(headers, &FORWARDED)
        .map(|element| forwarded_parameter(element, b"for").unwrap_or(b"unknown"))
        .collect()
}

/// The items of all lines of a header, as they came.
pub(super) fn items<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
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

/// Writes the forwarded headers for the requests of one downstream connection. What does not change between
/// its requests is made once.
#[derive(Clone, Debug)]
pub struct Forwarder {
    peer: IpAddr,
    proto: &'static str,
    port: u16,
    /// The last `Host`, and the lines for it: a connection rarely names two.
    written: Option<(Option<HeaderValue>, Lines)>,
}

impl Forwarder {
    /// For a connection of this peer to a listener on `port`, over TLS or not.
    pub fn new(peer: IpAddr, over_tls: bool, port: u16) -> Self {
        Self {
            peer: peer.to_canonical(),
            proto: if over_tls { "https" } else { "http" },
            port,
            written: None,
        }
    }

    /// Overwrites the forwarded headers, or appends where the peer is trusted: then it is the chain that grows
    /// (`X-Forwarded-For`, `Forwarded`), while scheme, host and port stay those that the client used.
    pub fn write(&mut self, headers: &mut HeaderMap, seen: Seen, peer_is_trusted: bool, lines: &mut Lines) {
        if peer_is_trusted && seen.forwarded {
            self.append(headers, lines);
            return;
        }
        if seen.forwarded {
            let claimed: Vec<HeaderName> =
                headers.keys().filter(|name| is_forwarded(name)).cloned().collect();
            for name in claimed {
                headers.remove(name);
            }
        }
        let host = headers.get(HOST);
        if let Some((of, written)) = &self.written
            && host == of.as_ref()
        {
            lines.extend(written);
            return;
        }
        let mut written = Lines::default();
        written.push("x-forwarded-for", self.peer.to_string().as_bytes());
        written.push("x-forwarded-proto", self.proto.as_bytes());
        written.push("x-forwarded-port", self.port.to_string().as_bytes());
        if let Some(host) = host {
            written.push("x-forwarded-host", host.as_bytes());
        }
        written.push("forwarded", self.element(host).as_bytes());
        lines.extend(&written);
        self.written = Some((host.map(own), written));
    }

    fn append(&self, headers: &mut HeaderMap, lines: &mut Lines) {
        let host = headers.get(HOST).cloned();
        let chain = joined(headers, &X_FORWARDED_FOR, &self.peer.to_string());
        let elements = joined(headers, &FORWARDED, &self.element(host.as_ref()));
        headers.remove(X_FORWARDED_FOR);
        headers.remove(FORWARDED);
        lines.push("x-forwarded-for", &chain);
        lines.push("forwarded", &elements);
        if !headers.contains_key(X_FORWARDED_PROTO) {
            lines.push("x-forwarded-proto", self.proto.as_bytes());
        }
        if !headers.contains_key(X_FORWARDED_PORT) {
            lines.push("x-forwarded-port", self.port.to_string().as_bytes());
        }
        if let Some(host) = host
            && !headers.contains_key(X_FORWARDED_HOST)
        {
            lines.push("x-forwarded-host", host.as_bytes());
        }
    }

    /// `for=192.0.2.1;host=portal.example.com;proto=http` (RFC 7239 4).
    fn element(&self, host: Option<&HeaderValue>) -> String {
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
        text.push_str(self.proto);
        text
    }
}

/// A copy that stands alone. A value of a parsed head is a slice of the buffer that the head was read into, and
/// keeping one keeps all of its 8 KiB.
pub fn own(value: &HeaderValue) -> HeaderValue {
    HeaderValue::from_bytes(value.as_bytes()).unwrap_or_else(|_| value.clone())
}

fn is_forwarded(name: &HeaderName) -> bool {
    *name == FORWARDED
        || [X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PORT, X_FORWARDED_PROTO].contains(name)
}

/// All lines of a header and one more item, as one list (RFC 9110 5.3).
fn joined(headers: &HeaderMap, name: &HeaderName, item: &str) -> Vec<u8> {
    let mut list = Vec::new();
    for line in headers.get_all(name) {
        list.extend_from_slice(line.as_bytes());
        list.extend_from_slice(b", ");
    }
    list.extend_from_slice(item.as_bytes());
    list
}
