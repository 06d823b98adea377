//! Request targets and `Host` (RFC 9112 3.2, RFC 9110 7.2).

use super::{Due, Hostile, bad, odd};

const HOST: &str = "host: portal.example.com\r\n";

fn target(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\n{HOST}\r\n")
}

fn hosts(lines: &str) -> String {
    format!("GET /x HTTP/1.1\r\n{lines}\r\n")
}

fn misdirected(name: &'static str, bytes: String) -> Hostile {
    Hostile { name, bytes: bytes.into_bytes(), due: Due::Answered(421) }
}

pub(crate) fn corpus() -> Vec<Hostile> {
    let mut corpus: Vec<Hostile> = [
        ("no target", ""),
        ("a target without a slash", "x"),
        ("a target that is a host", "portal.example.com"),
        ("a target that is a host and a port", "portal.example.com:80"),
        ("an asterisk for GET", "*"),
        ("a space in the target", "/x y"),
        ("NUL in the target", "/x\0"),
        ("a control byte in the target", "/x\x01"),
        ("DEL in the target", "/x\x7f"),
        ("a tab in the target", "/x\ty"),
        ("a bare CR in the target", "/x\ry"),
        ("a bare LF in the target", "/x\ny"),
        ("a fragment", "/x#y"),
        ("a fragment in a query", "/x?a#y"),
        ("user information in an absolute target", "http://user@portal.example.com/x"),
        ("a password in an absolute target", "http://user:pass@portal.example.com/x"),
        ("an absolute target without a host", "http:///x"),
        ("an absolute target of another scheme", "ftp://portal.example.com/x"),
        ("an absolute target of a file", "file:///etc/passwd"),
        ("a target of a script", "javascript:alert(1)"),
        ("a port beyond 16 bits", "http://portal.example.com:655360/x"),
        ("a port of letters", "http://portal.example.com:http/x"),
    ]
    .into_iter()
    .map(|(name, line)| bad(name, target(line)))
    .collect();
    corpus.extend(
        [
            ("no host", ""),
            ("two equal hosts", "host: portal.example.com\r\nhost: portal.example.com\r\n"),
            ("two differing hosts", "host: portal.example.com\r\nhost: evil.example\r\n"),
            ("two hosts, in two cases", "host: portal.example.com\r\nHOST: evil.example\r\n"),
            ("two hosts in one line", "host: portal.example.com, evil.example\r\n"),
            ("two hosts with a comma alone", "host: portal.example.com,evil.example\r\n"),
            ("two hosts with a space", "host: portal.example.com evil.example\r\n"),
            ("an empty host", "host:\r\n"),
            ("a host of blanks", "host:  \r\n"),
            ("a host with a path", "host: portal.example.com/x\r\n"),
            ("a host with a query", "host: portal.example.com?x\r\n"),
            ("a host with a fragment", "host: portal.example.com#x\r\n"),
            ("a host with a backslash", "host: portal.example.com\\x\r\n"),
            ("a host with a scheme", "host: http://portal.example.com\r\n"),
            ("a host with user information", "host: user@portal.example.com\r\n"),
            ("a host with an at sign behind", "host: portal.example.com@evil.example\r\n"),
            ("a host with two ports", "host: portal.example.com:80:80\r\n"),
            ("a host with a port of letters", "host: portal.example.com:x\r\n"),
            ("a host with a signed port", "host: portal.example.com:+80\r\n"),
            ("a host with a percent sign", "host: portal%2eexample.com\r\n"),
            ("a host with an empty label", "host: portal..example.com\r\n"),
            ("a host that begins with a dot", "host: .portal.example.com\r\n"),
            ("a host that ends in two dots", "host: portal.example.com..\r\n"),
            ("a host in quotes", "host: \"portal.example.com\"\r\n"),
            ("a host beyond ASCII", "host: p\u{f6}rtal.example.com\r\n"),
            ("a wildcard for a host", "host: *.example.com\r\n"),
            ("a host with an asterisk", "host: *\r\n"),
            ("an open bracket", "host: [::1\r\n"),
            ("no address in brackets", "host: [portal.example.com]\r\n"),
            ("a host with NUL", "host: portal.example.com\0\r\n"),
            ("a host with a control byte", "host: portal.example.com\x01\r\n"),
            ("a folded host", "host: portal.example.com\r\n .evil.example\r\n"),
            ("a space before the host's colon", "host : portal.example.com\r\n"),
            ("a host behind a space", " host: portal.example.com\r\n"),
        ]
        .into_iter()
        .map(|(name, lines)| bad(name, hosts(lines))),
    );
    let absolute = |lines: &str| format!("GET http://portal.example.com/x HTTP/1.1\r\n{lines}\r\n");
    corpus.extend([
        bad("an absolute target without Host", absolute("")),
        bad("an absolute target with two hosts", absolute("host: portal.example.com\r\nhost: a.example\r\n")),
        bad("an absolute target with a bad host", absolute("host: a b\r\n")),
        bad("CONNECT", "CONNECT portal.example.com:443 HTTP/1.1\r\nhost: portal.example.com:443\r\n\r\n"),
        bad("CONNECT with a path", format!("CONNECT /x HTTP/1.1\r\n{HOST}\r\n")),
        bad("a host for OPTIONS", format!("OPTIONS portal.example.com HTTP/1.1\r\n{HOST}\r\n")),
        misdirected("a host that nobody claims", hosts("host: evil.example\r\n")),
        misdirected("a host below ours", hosts("host: x.portal.example.com\r\n")),
        Hostile {
            name: "HTTP/1.0 without a host",
            bytes: b"GET /x HTTP/1.0\r\n\r\n".to_vec(),
            due: Due::Refused(421),
        },
        Hostile {
            name: "a target of 64 KiB",
            bytes: target(&format!("/{}", "a".repeat(65536))).into_bytes(),
            due: Due::Refused(431),
        },
        odd("an absolute target", absolute(HOST), "GET /x"),
        odd("an absolute target and another host", absolute("host: evil.example\r\n"), "GET /x"),
        odd(
            "an absolute target in capitals",
            format!("GET HTTP://PORTAL.EXAMPLE.COM/x HTTP/1.1\r\n{HOST}\r\n"),
            "GET /x",
        ),
        odd("an asterisk for OPTIONS", format!("OPTIONS * HTTP/1.1\r\n{HOST}\r\n"), "OPTIONS *"),
        odd("a host with a dot behind", hosts("host: portal.example.com.\r\n"), "GET /x"),
        odd("a host in capitals", hosts("HOST: PORTAL.EXAMPLE.COM\r\n"), "GET /x"),
        odd("a host with an empty port", hosts("host: portal.example.com:\r\n"), "GET /x"),
        odd("two slashes", target("//evil.example/x"), "GET //evil.example/x"),
        odd("dots in the target", target("/a/../x"), "GET /a/../x"),
        odd("encoded dots and slashes", target("/a%2f%2e%2e%2Fx%00"), "GET /a%2f%2e%2e%2Fx%00"),
        odd("a broken percent sign", target("/%zz%"), "GET /%zz%"),
        odd("a backslash", target("/a\\..\\x"), "GET /a\\..\\x"),
        odd("what browsers leave as it is", target("/a[0]|'?q={b}^`|"), "GET /a[0]|'?q={b}^`|"),
    ]);
    corpus
}
