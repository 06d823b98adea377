//! Hosts of a configuration and authorities of requests.
//!
//! Invariant: a pattern is printed so that it is read again as the same, and an exact one claims itself; the host
//! of an authority is a part of it, is its own host, and depends neither on port, nor on a trailing dot; the
//! table agrees with a search through all patterns, whatever the case.
//!
//! The first line is the authority, each other line a pattern; an empty line ends an app.

#![no_main]

use cutover::decide::host::{HostPattern, HostTable, host_of};
use libfuzzer_sys::fuzz_target;

/// Exact before wildcard, a longer wildcard before a shorter, the earlier app before the later.
fn search(apps: &[(Vec<HostPattern>, usize)], host: &str) -> Option<usize> {
    let all = || apps.iter().flat_map(|(hosts, app)| hosts.iter().map(move |host| (host, *app)));
    let exact = all().find(|(pattern, _)| matches!(pattern, HostPattern::Exact(name) if name == host));
    let mut longest: Option<(usize, usize)> = None;
    for (pattern, app) in all() {
        if let HostPattern::Below(domain) = pattern
            && host.strip_suffix(domain.as_str()).is_some_and(|rest| rest.ends_with('.'))
            && longest.is_none_or(|(length, _)| domain.len() > length)
        {
            longest = Some((domain.len(), app));
        }
    }
    let default = apps.iter().find(|(hosts, _)| hosts.is_empty()).map(|(_, app)| *app);
    exact.map(|(_, app)| app).or(longest.map(|(_, app)| app)).or(default)
}

fuzz_target!(|text: &str| {
    let (authority, patterns) = text.split_once('\n').unwrap_or((text, ""));
    let mut apps: Vec<(Vec<HostPattern>, usize)> = Vec::new();
    for (app, lines) in patterns.split("\n\n").take(8).enumerate() {
        apps.push((lines.lines().take(16).filter_map(HostPattern::parse).collect(), app));
    }
    for pattern in apps.iter().flat_map(|(hosts, _)| hosts) {
        let written = pattern.to_string();
        assert_eq!(HostPattern::parse(&written).as_ref(), Some(pattern));
        assert_eq!(HostPattern::parse(&written.to_ascii_uppercase()).as_ref(), Some(pattern));
        match pattern {
            HostPattern::Exact(name) => assert_eq!(host_of(name), Some(name.as_str())),
            HostPattern::Below(domain) => assert!(host_of(domain) == Some(domain) && !domain.ends_with('.')),
        }
    }

    let table = HostTable::new(apps.iter().map(|(hosts, app)| (&hosts[..], *app)));
    let found = table.find(authority);
    let Some(host) = host_of(authority) else {
        assert_eq!(found, None, "a malformed authority found an app");
        return;
    };
    let rest = authority.strip_prefix(host).expect("the host stands first");
    let rest = if host.starts_with('[') { rest } else { rest.strip_prefix('.').unwrap_or(rest) };
    assert!(rest.is_empty() || rest[1..].bytes().all(|byte| byte.is_ascii_digit()) && rest.starts_with(':'));
    assert!(!host.contains(['@', '/', '?', '#', ',', ' ', '%', '\\']) && !host.is_empty());
    assert_eq!(host_of(host), Some(host));
    for spelled in [host.to_owned(), format!("{host}:"), format!("{host}:8443"), host.to_ascii_uppercase()] {
        assert_eq!(table.find(&spelled), found, "{spelled} and {authority} are one host");
    }
    if !host.starts_with('[') {
        assert_eq!(table.find(&format!("{host}.:80")), found);
    }
    assert_eq!(found, search(&apps, &host.to_ascii_lowercase()));
});
