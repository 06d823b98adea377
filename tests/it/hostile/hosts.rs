//! Hosts (RFC 9112 3.2).

use super::{Case, Expect, Misdirected, Passes, Refused, case};

fn lines(name: &'static str, lines: &str, expect: Expect) -> Case {
    case(name, format!("GET /hostile HTTP/1.1\r\n{lines}\r\n\r\n"), expect)
}

pub(super) fn cases() -> Vec<Case> {
    vec![
        lines("no host", "x: a", Refused),
        lines("a host that is called otherwise", "hosts: portal.example.com", Refused),
        lines("an empty host", "host:", Refused),
        lines("a host of spaces", "host:    ", Refused),
        lines("the same host twice", "host: portal.example.com\r\nhost: portal.example.com", Refused),
        lines("two hosts", "host: portal.example.com\r\nHost: evil.test", Refused),
        lines("two hosts apart", "host: evil.test\r\nx: a\r\ny: b\r\nHOST: portal.example.com", Refused),
        lines("a host and an empty one", "host: portal.example.com\r\nhost:", Refused),
        lines("a list of hosts", "host: portal.example.com, evil.test", Refused),
        lines("a list without spaces", "host: portal.example.com,evil.test", Refused),
        lines("hosts with a space between", "host: portal.example.com evil.test", Refused),
        lines("a tab before a host", "host:\tportal.example.com", Refused),
        lines("a tab behind a host", "host: portal.example.com\t", Refused),
        lines("a user in a host", "host: evil@portal.example.com", Refused),
        lines("a host that is a URL", "host: http://portal.example.com", Refused),
        lines("a path in a host", "host: portal.example.com/evil", Refused),
        lines("a query in a host", "host: portal.example.com?evil", Refused),
        lines("a fragment in a host", "host: portal.example.com#evil", Refused),
        lines("a host with an escape", "host: portal%2eexample.com", Refused),
        lines("a host with a backslash", "host: portal.example.com\\evil", Refused),
        lines("a port of letters", "host: portal.example.com:http", Refused),
        lines("a port too long", "host: portal.example.com:000080", Refused),
        lines("a negative port", "host: portal.example.com:-80", Refused),
        lines("two ports", "host: portal.example.com:80:80", Refused),
        lines("a port alone", "host: :80", Refused),
        lines("a host of dots", "host: ..", Refused),
        lines("an address cut short", "host: [::1", Refused),
        lines("an address and more", "host: [::1]evil", Refused),
        lines("a host beyond ASCII", "host: p\u{f6}rtal.example.com", Refused),
        lines("a NUL in a host", "host: portal.example.com\0.evil.test", Refused),
        case("no host beside a URL", "GET http://portal.example.com/hostile HTTP/1.1\r\n\r\n", Refused),
        case(
            "a bad host beside a URL",
            "GET http://portal.example.com/hostile HTTP/1.1\r\nhost: a b\r\n\r\n",
            Refused,
        ),
        case(
            "two hosts beside a URL",
            "GET http://portal.example.com/hostile HTTP/1.1\r\nhost: portal.example.com\r\nhost: a\r\n\r\n",
            Refused,
        ),
        case(
            "two hosts in HTTP/1.0",
            "GET /hostile HTTP/1.0\r\nhost: portal.example.com\r\nhost: portal.example.com\r\n\r\n",
            Refused,
        ),
        // Odd, and allowed.
        case(
            "another host beside a URL",
            "GET http://portal.example.com/hostile HTTP/1.1\r\nhost: evil.test\r\n\r\n",
            Passes("/hostile", ""),
        ),
        lines("a host with a port", "Host:portal.example.com:8080  ", Passes("/hostile", "")),
        lines("a host with a dot", "host: PORTAL.example.com.", Passes("/hostile", "")),
        lines("another host", "host: evil.test", Misdirected),
        lines("an address", "host: [::1]:80", Misdirected),
    ]
}
