//! Exact types from what operators write: `"30s"`, `"12.5%"`, `"10MiB"`, `"10.0.0.0/8"`, `"http://host:port"`.
//!
//! Every parser is pure, takes any text at all, runs in one pass and computes in integers. A text that is
//! refused says why, and mostly what to write instead.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;

use crate::config::model::EndpointUrl;
use crate::config::problem::excerpt;
use crate::decide::bucket::Share;
use crate::decide::host::HostPattern;

/// Why a text is not what it should be.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct UnitError {
    /// What is wrong.
    pub message: String,
    /// What to write instead; empty when there is nothing to say.
    pub hint: String,
}

fn refuse<T>(message: impl Into<String>, hint: impl Into<String>) -> Result<T, UnitError> {
    Err(UnitError { message: message.into(), hint: hint.into() })
}

/// No duration here needs to be longer, and none so long that it would overflow a clock. Browsers keep no
/// cookie longer either (RFC 6265bis 5.5).
pub const LONGEST: Duration = Duration::from_secs(400 * 24 * 60 * 60);

/// Units of time, from long to short, in milliseconds.
const TIME: [(&str, u64); 5] =
    [("d", 24 * 60 * 60 * 1000), ("h", 60 * 60 * 1000), ("m", 60 * 1000), ("s", 1000), ("ms", 1)];

/// Units of size, from large to small.
const SIZE: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("kB", 1000),
    ("B", 1),
];

/// Reads `30s`, `1h30m`, `250ms` or `0`.
pub fn duration(text: &str) -> Result<Duration, UnitError> {
    const EXAMPLES: &str = "write a duration such as \"30s\", \"1h30m\", \"250ms\" or \"0\"";
    let mut rest = text.trim();
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return refuse("the duration is empty", EXAMPLES);
    }
    if rest.starts_with('-') {
        return refuse("a duration cannot be negative", EXAMPLES);
    }
    let mut milliseconds = 0u64;
    let mut longer_than = u64::MAX;
    while !rest.is_empty() {
        let (digits, tail) = split_digits(rest);
        let (unit, tail) = tail.split_at(tail.bytes().take_while(u8::is_ascii_alphabetic).count());
        if digits.is_empty() || (unit.is_empty() && !tail.is_empty()) {
            return refuse(format!("{} is no duration", excerpt(text)), EXAMPLES);
        }
        let Some(&(_, factor)) = TIME.iter().find(|(name, _)| *name == unit) else {
            return match unit {
                "" => refuse(
                    format!("{} has no unit", excerpt(text)),
                    format!("write {digits}s for seconds, or {digits}ms, {digits}m, {digits}h, {digits}d"),
                ),
                unit => {
                    refuse(format!("{} is no unit of time", excerpt(unit)), "the units are d, h, m, s and ms")
                }
            };
        };
        if factor >= longer_than {
            return refuse(
                format!("the units of {} are not in order", excerpt(text)),
                "each unit once, longer ones first, as in \"1h30m\"",
            );
        }
        longer_than = factor;
        let part = digits.parse::<u64>().ok().and_then(|count| count.checked_mul(factor));
        match part.and_then(|part| milliseconds.checked_add(part)) {
            Some(sum) if sum <= LONGEST.as_secs() * 1000 => milliseconds = sum,
            Some(_) | None => {
                return refuse(format!("{} is too long", excerpt(text)), "the longest is \"400d\"");
            }
        }
        rest = tail;
    }
    Ok(Duration::from_millis(milliseconds))
}

/// Writes a duration as [`duration`] reads it, in the longest unit that leaves no rest.
pub fn write_duration(duration: Duration) -> String {
    let milliseconds = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    match TIME.iter().find(|(_, factor)| milliseconds != 0 && milliseconds.is_multiple_of(*factor)) {
        Some((unit, factor)) => format!("{}{unit}", milliseconds / factor),
        None => "0".to_owned(),
    }
}

/// Reads `10MiB`, `32KiB`, `5MB`, `1024` or `0`: bytes.
pub fn size(text: &str) -> Result<u64, UnitError> {
    const EXAMPLES: &str = "write a size such as \"10MiB\", \"32KiB\", \"5MB\" or \"1024\" (bytes)";
    let text = text.trim();
    if text.is_empty() {
        return refuse("the size is empty", EXAMPLES);
    }
    if text.starts_with('-') {
        return refuse("a size cannot be negative", EXAMPLES);
    }
    let (digits, unit) = split_digits(text);
    if digits.is_empty() || unit.starts_with(['.', ',', '_']) {
        return refuse(format!("{} is no size", excerpt(text)), EXAMPLES);
    }
    let factor = match unit {
        "" => 1,
        unit => match SIZE.iter().find(|(name, _)| *name == unit) {
            Some(&(_, factor)) => factor,
            None => {
                return refuse(
                    format!("{} is no unit of size", excerpt(unit.trim())),
                    "the units are B, KiB, MiB, GiB, TiB and kB, MB, GB, TB, without a space before them",
                );
            }
        },
    };
    // The largest is what a signed 64-bit length can say: content-length is held in one in many places.
    match digits.parse::<u64>().ok().and_then(|count| count.checked_mul(factor)) {
        Some(bytes) if i64::try_from(bytes).is_ok() => Ok(bytes),
        Some(_) | None => refuse(format!("{} is too large", excerpt(text)), ""),
    }
}

/// Writes a size as [`size`] reads it, in the largest binary unit that leaves no rest.
pub fn write_size(bytes: u64) -> String {
    let binary = SIZE.iter().filter(|(unit, _)| unit.len() == 3);
    match binary.into_iter().find(|(_, factor)| bytes != 0 && bytes.is_multiple_of(*factor)) {
        Some((unit, factor)) => format!("{}{unit}", bytes / factor),
        None => bytes.to_string(),
    }
}

/// Reads `10`, `12.5` or `12.5%`, exactly: a share has a resolution of 0.001 %, and what is finer is refused
/// rather than rounded. `text` is what was written, never a float: 0.29 × 1000 is not 290 in binary.
pub fn percent(text: &str) -> Result<Share, UnitError> {
    const EXAMPLES: &str = "write a percentage between 0 and 100, such as 12.5 or \"12.5%\"";
    let trimmed = text.trim();
    let number = trimmed.strip_suffix('%').unwrap_or(trimmed).trim_end();
    if number.starts_with('-') {
        return refuse("percent is negative", EXAMPLES);
    }
    let number = number.strip_prefix('+').unwrap_or(number);
    if number.bytes().next().is_some_and(|byte| byte.is_ascii_digit()) && number.contains(['e', 'E']) {
        return refuse(format!("{} is written with an exponent", excerpt(text)), EXAMPLES);
    }
    if number.contains(',') {
        return refuse(format!("{} is no percentage", excerpt(text)), "write a point instead of the comma");
    }
    let (whole, fraction) = match number.split_once('.') {
        Some((whole, fraction)) if !fraction.is_empty() => (whole, fraction),
        Some(_) => ("", ""),
        None => (number, "0"),
    };
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits(whole) || !is_digits(fraction) {
        return refuse(format!("{} is no percentage", excerpt(text)), EXAMPLES);
    }
    let fraction = fraction.trim_end_matches('0');
    let whole = whole.trim_start_matches('0');
    // Four digits are more than 100 whatever they say, and at most three always fit.
    let thousands = if whole.len() > 3 { u32::MAX } else { whole.parse().unwrap_or(0) };
    if thousands > 100 || (thousands == 100 && !fraction.is_empty()) {
        return refuse("percent is above 100", EXAMPLES);
    }
    if fraction.len() > 3 {
        return refuse(
            format!("{} is finer than 0.001 %", excerpt(text)),
            format!("write {}.{}", if whole.is_empty() { "0" } else { whole }, &fraction[..3]),
        );
    }
    // At most three digits, padded to three on the right.
    let thousandths = fraction.parse::<u32>().unwrap_or(0) * 10u32.pow(3 - fraction.len() as u32);
    match Share::from_parts(thousands * 1000 + thousandths) {
        Some(share) => Ok(share),
        None => refuse("percent is above 100", EXAMPLES),
    }
}

/// Writes a share as a TOML number that [`percent`] reads: `12.5`, without the sign.
pub fn write_percent(share: Share) -> String {
    share.to_string().trim_end_matches('%').to_owned()
}

/// Reads `host:port`: a name in lower case or an IP address without brackets, and a port above 0.
pub fn host_port(text: &str) -> Result<(String, u16), UnitError> {
    let (host, port) = split_port(text);
    let host = host_name(host)?;
    match port.map(port_number) {
        Some(Some(port)) => Ok((host, port)),
        Some(None) => {
            refuse(format!("{} has no valid port", excerpt(text)), "a port is a number from 1 to 65535")
        }
        None => refuse(format!("{} has no port", excerpt(text)), "write host:port"),
    }
}

/// Reads the address of an endpoint: `http://host[:port]` and nothing more.
pub fn endpoint_url(text: &str) -> Result<EndpointUrl, UnitError> {
    const SHAPE: &str = "write http://host or http://host:port";
    // First, and without showing the text: it may hold a password.
    if text.contains('@') {
        return refuse("an endpoint cannot hold a user or a password", SHAPE);
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        return if text.is_empty() || text.contains(char::is_whitespace) {
            refuse(format!("{} is no endpoint", excerpt(text)), SHAPE)
        } else {
            refuse(format!("{} has no scheme", excerpt(text)), format!("write http://{}", cut(text)))
        };
    };
    if scheme.eq_ignore_ascii_case("https") {
        return refuse("https:// endpoints are not available yet", "use http:// in a network that you trust");
    }
    if !scheme.eq_ignore_ascii_case("http") {
        return refuse(format!("{} is no scheme of an endpoint", excerpt(scheme)), SHAPE);
    }
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    if authority.contains(['/', '?', '#']) {
        return refuse(
            format!("{} holds more than a host and a port", excerpt(text)),
            "requests keep their own path and query; write only http://host:port",
        );
    }
    let (host, port) = split_port(authority);
    let host = host_name(host)?;
    match port.map(port_number) {
        None => Ok(EndpointUrl { host, port: 80 }),
        Some(Some(port)) => Ok(EndpointUrl { host, port }),
        Some(None) => {
            refuse(format!("{} has no valid port", excerpt(text)), "a port is a number from 1 to 65535")
        }
    }
}

/// Reads an address to bind: an IP address and a port. No name: which of its addresses would be meant?
pub fn bind_address(text: &str) -> Result<SocketAddr, UnitError> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(address);
    }
    let shown = excerpt(text);
    if let Ok(address) = text.parse::<IpAddr>() {
        return refuse(format!("{shown} has no port"), format!("write {}", SocketAddr::new(address, 8080)));
    }
    if port_number(text).is_some() {
        return refuse(format!("{shown} has no address"), format!("write 0.0.0.0:{text} for every address"));
    }
    let (host, port) = split_port(text);
    match (host, port.and_then(port_number)) {
        ("" | "*", Some(port)) => refuse(
            format!("{shown} has no address"),
            format!("write 0.0.0.0:{port}, or [::]:{port} with IPv6"),
        ),
        (host, Some(port)) if host.eq_ignore_ascii_case("localhost") => refuse(
            format!("{shown} is a name, and only an address can be bound"),
            format!("write 127.0.0.1:{port}"),
        ),
        (host, Some(port)) if host_name(host).is_ok() => refuse(
            format!("{shown} is a name, and only an address can be bound"),
            format!("write the address, or 0.0.0.0:{port} for every address"),
        ),
        (_, Some(_) | None) => refuse(
            format!("{shown} is no address to bind"),
            "write address:port, such as 0.0.0.0:8080 or [::]:8080",
        ),
    }
}

/// Reads `10.0.0.0/8` or a plain address, which is a network of one. Bits behind the mask are dropped.
pub fn network(text: &str) -> Result<IpNet, UnitError> {
    if let Ok(network) = text.parse::<IpNet>() {
        return Ok(network.trunc());
    }
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(IpNet::from(address));
    }
    refuse(
        format!("{} is no IP network", excerpt(text)),
        "write 10.0.0.0/8, 2001:db8::/32 or a single address",
    )
}

fn split_digits(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().take_while(u8::is_ascii_digit).count())
}

/// Splits a port off; a bracketed IPv6 address keeps its brackets, a bare one is all host.
fn split_port(text: &str) -> (&str, Option<&str>) {
    let host_end = if text.starts_with('[') { text.find(']').map_or(text.len(), |end| end + 1) } else { 0 };
    match text[host_end..].find(':') {
        Some(colon) if host_end > 0 || !text[colon + 1..].contains(':') => {
            (&text[..host_end + colon], Some(&text[host_end + colon + 1..]))
        }
        Some(_) | None => (text, None),
    }
}

fn port_number(text: &str) -> Option<u16> {
    let is_number = (1..=5).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten().filter(|port| *port != 0)
}

/// A host in canonical spelling: lower case, IPv6 without brackets.
fn host_name(text: &str) -> Result<String, UnitError> {
    if text.is_empty() {
        return refuse("the host is empty", "");
    }
    if text.parse::<std::net::Ipv6Addr>().is_ok() {
        return refuse(
            format!("{} is an IPv6 address without brackets", excerpt(text)),
            format!("write [{text}]"),
        );
    }
    let name = match HostPattern::parse(text) {
        Some(HostPattern::Exact(name)) => name,
        Some(HostPattern::Below(_)) | None => {
            return refuse(
                format!("{} is no host name", excerpt(text)),
                "letters, digits, `-` and `.`, or an IP address",
            );
        }
    };
    if let Some(bare) = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        // The canonical spelling of RFC 5952, so that `[::1]` and `[0::1]` are one endpoint.
        return Ok(bare.parse::<std::net::Ipv6Addr>().map_or(bare.to_owned(), |address| address.to_string()));
    }
    // No top-level domain is a number, so this was meant as an IPv4 address (WHATWG URL, "ends in a number").
    let ends_in_number =
        name.rsplit('.').next().is_some_and(|label| label.bytes().all(|byte| byte.is_ascii_digit()));
    if ends_in_number && name.parse::<Ipv4Addr>().is_err() {
        return refuse(format!("{} is no IPv4 address", excerpt(text)), "four numbers from 0 to 255");
    }
    Ok(name)
}

fn cut(text: &str) -> String {
    excerpt(text).trim_matches('`').to_owned()
}
