//! Hosts, ports, networks and endpoints.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;

use crate::config::model::EndpointUrl;
use crate::config::problems::{cut, excerpt};
use crate::config::units::{UnitError, refuse};
use crate::decide::host::HostPattern;

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
    if text.parse::<Ipv6Addr>().is_ok() {
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
        return Ok(bare.parse::<Ipv6Addr>().map_or(bare.to_owned(), |address| address.to_string()));
    }
    // No top-level domain is a number, so this was meant as an IPv4 address (WHATWG URL, "ends in a number").
    let ends_in_number =
        name.rsplit('.').next().is_some_and(|label| label.bytes().all(|byte| byte.is_ascii_digit()));
    if ends_in_number && name.parse::<Ipv4Addr>().is_err() {
        return refuse(format!("{} is no IPv4 address", excerpt(text)), "four numbers from 0 to 255");
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_has_one_spelling() {
        for (text, url) in [
            ("http://10.0.0.11:8080", Some("http://10.0.0.11:8080")),
            ("HTTP://Portal.Example.com/", Some("http://portal.example.com:80")),
            ("http://[0::1]:8080", Some("http://[::1]:8080")),
            ("http://under_score", Some("http://under_score:80")),
            ("http://host:", None),
            ("http://host:0", None),
            ("http://host:65536", None),
            ("http://host:+80", None),
            ("http://:80", None),
            ("http://::1", None),
            ("http://[::1", None),
            ("http://[::1]80", None),
            ("http://1.2.3", None),
            ("http://1.2.3.4.5", None),
            ("http://*.example.com", None),
            ("http://host/path", None),
            ("http://host?x", None),
            ("http://host#x", None),
            ("http:///host", None),
            ("http://user@host", None),
            ("https://host", None),
            ("host:80", None),
            ("", None),
        ] {
            let read = endpoint_url(text).map(|url| url.to_string());
            assert_eq!(read.as_deref().ok(), url, "text {text:?}");
        }
    }

    #[test]
    fn a_refused_endpoint_never_shows_its_password() {
        for text in ["http://user:hunter2@host", "user:hunter2@host:80", "hunter2@http://host"] {
            let error = endpoint_url(text).expect_err("refused");
            assert!(!format!("{error:?}").contains("hunter2"), "text {text:?}");
        }
    }

    #[test]
    fn a_bind_address_is_an_address() {
        for (text, hint) in [
            ("localhost:80", "write 127.0.0.1:80"),
            ("*:80", "write 0.0.0.0:80, or [::]:80 with IPv6"),
            (":80", "write 0.0.0.0:80, or [::]:80 with IPv6"),
            ("80", "write 0.0.0.0:80 for every address"),
            ("10.0.0.1", "write 10.0.0.1:8080"),
            ("::1", "write [::1]:8080"),
            ("portal.example.com:80", "write the address, or 0.0.0.0:80 for every address"),
            ("10.0.0.1:65536", "write address:port, such as 0.0.0.0:8080 or [::]:8080"),
            ("", "write address:port, such as 0.0.0.0:8080 or [::]:8080"),
        ] {
            assert_eq!(bind_address(text).expect_err("refused").hint, hint, "text {text:?}");
        }
        for text in ["0.0.0.0:0", "127.0.0.1:8080", "[::]:443"] {
            assert_eq!(bind_address(text).map(|address| address.to_string()).as_deref(), Ok(text));
        }
    }

    #[test]
    fn a_network_may_be_one_address() {
        for (text, network) in [
            ("10.1.2.3/8", Some("10.0.0.0/8")),
            ("10.0.0.1", Some("10.0.0.1/32")),
            ("2001:db8::/32", Some("2001:db8::/32")),
            ("::1", Some("::1/128")),
            ("10.0.0.0/33", None),
            ("10.0.0.0/", None),
            ("10.0.0/8", None),
            ("all", None),
        ] {
            let read = super::network(text).map(|network| network.to_string());
            assert_eq!(read.as_deref().ok(), network, "text {text:?}");
        }
    }

    #[test]
    fn a_host_and_port_are_both_needed() {
        assert_eq!(host_port("Host.example:8080"), Ok(("host.example".to_owned(), 8080)));
        assert_eq!(host_port("[::1]:80"), Ok(("::1".to_owned(), 80)));
        assert!(host_port("host").is_err() && host_port("::1").is_err() && host_port("a b:80").is_err());
    }
}
