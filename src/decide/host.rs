//! Which app a `Host` belongs to: exact names first, then the longest `*.` wildcard, then the default app.

use std::collections::HashMap;
use std::fmt;
use std::net::Ipv6Addr;

/// A host that an app claims, in lower case and without a trailing dot.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum HostPattern {
    /// This host.
    Exact(String),
    /// Every host below this domain, at any depth, but not the domain itself.
    Below(String),
}

impl HostPattern {
    /// Reads `portal.example.com`, `*.example.com` or an IP literal; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let canonical = text.to_ascii_lowercase();
        match canonical.strip_prefix("*.") {
            Some(domain) => is_name(domain).then(|| Self::Below(domain.to_owned())),
            None => (is_name(&canonical) || is_bracketed_v6(&canonical)).then_some(Self::Exact(canonical)),
        }
    }
}

/// As it is written in the configuration.
impl fmt::Display for HostPattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(host) => formatter.write_str(host),
            Self::Below(domain) => write!(formatter, "*.{domain}"),
        }
    }
}

/// RFC 1123 2.1 letters, digits and hyphens, plus the underscore that real zones contain.
fn is_name(text: &str) -> bool {
    text.len() <= 253
        && text.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        })
}

fn is_bracketed_v6(text: &str) -> bool {
    text.strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .is_some_and(|inner| inner.parse::<Ipv6Addr>().is_ok())
}

/// The host of an authority (RFC 3986 3.2.2) without its port, as it came. `None` when it is no host and
/// optional port: user information, an empty name, a port that is no number.
pub fn host_of(authority: &str) -> Option<&str> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let end = rest.find(']')? + 2;
            let (host, tail) = authority.split_at(end);
            if !is_bracketed_v6(host) {
                return None;
            }
            match tail.strip_prefix(':') {
                Some(port) => (host, port),
                None => (host, if tail.is_empty() { "" } else { return None }),
            }
        }
        None => {
            let (host, port) = authority.split_once(':').unwrap_or((authority, ""));
            let name = host.strip_suffix('.').unwrap_or(host);
            if !is_name(name) {
                return None;
            }
            (name, port)
        }
    };
    // RFC 3986 3.2.3 allows an empty port: `host:` is `host`.
    (port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit())).then_some(host)
}

/// Hosts to apps. `T` is what the caller calls an app; the table never looks at it.
#[derive(Clone, Debug)]
pub struct HostTable<T> {
    exact: HashMap<String, T>,
    below: HashMap<String, T>,
    default: Option<T>,
}

impl<T: Copy> HostTable<T> {
    /// Builds the table; the app of an empty list is the default. Later duplicates are ignored:
    /// configuration refuses them earlier.
    pub fn new<'a>(apps: impl IntoIterator<Item = (&'a [HostPattern], T)>) -> Self {
        let mut table = Self { exact: HashMap::new(), below: HashMap::new(), default: None };
        for (hosts, app) in apps {
            if hosts.is_empty() {
                table.default.get_or_insert(app);
            }
            for host in hosts {
                match host {
                    HostPattern::Exact(name) => table.exact.entry(name.clone()).or_insert(app),
                    HostPattern::Below(domain) => table.below.entry(domain.clone()).or_insert(app),
                };
            }
        }
        table
    }

    /// The app that answers for an authority; the default app for one that is not claimed, and `None` where
    /// there is no default or the authority is malformed.
    pub fn find(&self, authority: &str) -> Option<T> {
        let host = host_of(authority)?;
        if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
            self.find_canonical(&host.to_ascii_lowercase())
        } else {
            self.find_canonical(host)
        }
    }

    fn find_canonical(&self, host: &str) -> Option<T> {
        if let Some(app) = self.exact.get(host) {
            return Some(*app);
        }
        if !self.below.is_empty() {
            let mut rest = host;
            // Parents from the longest to the shortest, so that the most specific wildcard wins.
            while let Some((_, parent)) = rest.split_once('.') {
                if let Some(app) = self.below.get(parent) {
                    return Some(*app);
                }
                rest = parent;
            }
        }
        self.default
    }

    /// The app for requests that name no host (HTTP/1.0).
    pub fn default(&self) -> Option<T> {
        self.default
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_specific_host_wins() {
        let parse = |text: &str| HostPattern::parse(text).expect("a pattern");
        let (first, second) = ([parse("portal.example.com"), parse("[::1]")], [parse("*.example.com")]);
        let third = [parse("*.eu.Example.com")];
        let table = HostTable::new([(&first[..], 1), (&second[..], 2), (&third[..], 3), (&[], 4)]);
        for (authority, app) in [
            ("portal.example.com", Some(1)),
            ("PORTAL.example.com:8443", Some(1)),
            ("portal.example.com.", Some(1)),
            ("[::1]:80", Some(1)),
            ("a.example.com", Some(2)),
            ("a.b.example.com", Some(2)),
            ("a.eu.example.com", Some(3)),
            ("example.com", Some(4)),
            ("portal.example.com.evil.net", Some(4)),
            ("10.0.0.1:80", Some(4)),
            ("", None),
            ("user@portal.example.com", None),
            ("portal.example.com:80a", None),
            ("portal.example.com, other", None),
            ("[::1", None),
            ("[::1]x", None),
            ("a..b", None),
        ] {
            assert_eq!(table.find(authority), app, "authority {authority:?}");
        }
        assert_eq!(table.default(), Some(4));
    }

    #[test]
    fn patterns_are_names_wildcards_and_addresses() {
        for (text, good) in [
            ("portal.example.com", true),
            ("*.example.com", true),
            ("localhost", true),
            ("127.0.0.1", true),
            ("[::1]", true),
            ("*", false),
            ("*.", false),
            ("a.*.com", false),
            ("portal.example.com:80", false),
            ("http://portal", false),
            ("", false),
        ] {
            assert_eq!(HostPattern::parse(text).is_some(), good, "pattern {text:?}");
        }
    }
}
