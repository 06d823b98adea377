//! Request lines and header lines (RFC 9112 2, 3 and 5).

use super::{Due, Hostile, bad, odd};

const HOST: &str = "host: portal.example.com\r\n";

fn first(line: &str) -> String {
    format!("{line}\r\n{HOST}\r\n")
}

fn lines(lines: &str) -> String {
    format!("GET /x HTTP/1.1\r\n{HOST}{lines}\r\n")
}

pub(crate) fn corpus() -> Vec<Hostile> {
    let mut corpus: Vec<Hostile> = [
        ("no method", " /x HTTP/1.1"),
        ("a method with an at sign", "G@T /x HTTP/1.1"),
        ("a method in parentheses", "(GET) /x HTTP/1.1"),
        ("a method with a colon", "GET: /x HTTP/1.1"),
        ("a method with NUL", "GE\0T /x HTTP/1.1"),
        ("a method in letters beyond ASCII", "GÉT /x HTTP/1.1"),
        ("two spaces behind the method", "GET  /x HTTP/1.1"),
        ("a tab behind the method", "GET\t/x HTTP/1.1"),
        ("two spaces before the version", "GET /x  HTTP/1.1"),
        ("a tab before the version", "GET /x\tHTTP/1.1"),
        ("a space behind the version", "GET /x HTTP/1.1 "),
        ("no version", "GET /x"),
        ("an empty version", "GET /x "),
        ("HTTP/0.9", "GET /x HTTP/0.9"),
        ("HTTP/1.2", "GET /x HTTP/1.2"),
        ("HTTP/1.10", "GET /x HTTP/1.10"),
        ("HTTP/1", "GET /x HTTP/1"),
        ("HTTP/2.0", "GET /x HTTP/2.0"),
        ("HTTP/3", "GET /x HTTP/3"),
        ("HTTP/9.9", "GET /x HTTP/9.9"),
        ("HTTP/01.1", "GET /x HTTP/01.1"),
        ("HTTP/1.1 with a comma", "GET /x HTTP/1,1"),
        ("http in small letters", "GET /x http/1.1"),
        ("another protocol", "GET /x ICAP/1.0"),
        ("a version with a space in it", "GET /x HTTP /1.1"),
        ("two versions", "GET /x HTTP/1.1 HTTP/1.1"),
        ("a bare CR behind the version", "GET /x HTTP/1.1\r"),
        ("a response", "HTTP/1.1 200 OK"),
        ("an answer's head for a request", "HTTP/1.1 101 Switching Protocols"),
    ]
    .into_iter()
    .map(|(name, line)| bad(name, first(line)))
    .collect();
    corpus.extend(
        [
            ("obs-fold with a space", "x: a\r\n b\r\n"),
            ("obs-fold with a tab", "x: a\r\n\tb\r\n"),
            ("a fold of nothing but blanks", "x: a\r\n  \r\n"),
            ("a space before the colon", "x : a\r\n"),
            ("a tab before the colon", "x\t: a\r\n"),
            ("a space in a name", "x y: a\r\n"),
            ("an empty name", ": a\r\n"),
            ("a line without a colon", "nonsense\r\n"),
            ("a name with NUL", "x\0: a\r\n"),
            ("a name with a control byte", "x\x01: a\r\n"),
            ("a name with a slash", "x/y: a\r\n"),
            ("a name with an at sign", "x@y: a\r\n"),
            ("a name in brackets", "[x]: a\r\n"),
            ("a name in quotes", "\"x\": a\r\n"),
            ("a name beyond ASCII", "x\u{e9}: a\r\n"),
            ("a byte order mark before a name", "\u{feff}x: a\r\n"),
            ("NUL in a value", "x: a\0b\r\n"),
            ("a control byte in a value", "x: a\x01b\r\n"),
            ("DEL in a value", "x: a\x7fb\r\n"),
            ("an escape in a value", "x: \x1b[2J\r\n"),
            ("a bare CR in a value", "x: a\rb\r\n"),
            ("a bare CR at a value's end", "x: a\r\r\n"),
            ("a bare LF in a value", "x: a\nb: c\r\n"),
            ("a bare LF at a line's end", "x: a\n"),
            ("a bare CR for a line's end", "x: a\ry: b\r\n"),
            ("LF CR for a line's end", "x: a\n\ry: b\r\n"),
        ]
        .into_iter()
        .map(|(name, more)| bad(name, lines(more))),
    );
    corpus.extend([
        bad("every line ends in LF", "GET /x HTTP/1.1\nhost: portal.example.com\n\n"),
        bad("the request line ends in LF", format!("GET /x HTTP/1.1\n{HOST}\r\n")),
        bad("the head ends in LF", format!("GET /x HTTP/1.1\r\n{HOST}\n")),
        bad("the head ends in CR CR LF", format!("GET /x HTTP/1.1\r\n{HOST}\r\r\n")),
        bad("white space before the first header", format!("GET /x HTTP/1.1\r\n {HOST}\r\n")),
        bad("a tab before the first header", format!("GET /x HTTP/1.1\r\n\t{HOST}\r\n")),
        bad("a bare LF before the request", format!("\nGET /x HTTP/1.1\r\n{HOST}\r\n")),
        bad("a bare CR before the request", format!("\rGET /x HTTP/1.1\r\n{HOST}\r\n")),
        bad("two empty lines before the request", format!("\r\n\r\nGET /x HTTP/1.1\r\n{HOST}\r\n")),
        bad("a space before the request", format!(" GET /x HTTP/1.1\r\n{HOST}\r\n")),
        bad("a byte order mark before the request", format!("\u{feff}GET /x HTTP/1.1\r\n{HOST}\r\n")),
        bad("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
        bad("SSH", "SSH-2.0-OpenSSH_9.9\r\n\r\n"),
        bad("SMTP", "EHLO portal.example.com\r\n\r\n"),
        bad("NULs", [0; 64]),
        bad("high bytes", [0xff; 64].into_iter().chain(*b"\r\n\r\n").collect::<Vec<u8>>()),
        Hostile {
            name: "a thousand header lines",
            bytes: lines(&"x: a\r\n".repeat(1000)).into_bytes(),
            due: Due::Refused(431),
        },
        Hostile {
            name: "a header line of 64 KiB",
            bytes: lines(&format!("x: {}\r\n", "a".repeat(65536))).into_bytes(),
            due: Due::Refused(431),
        },
        odd("one empty line before the request", format!("\r\nGET /x HTTP/1.1\r\n{HOST}\r\n"), "GET /x"),
        odd("a method of one's own", first("BREW /x HTTP/1.1"), "BREW /x"),
        odd("a method in small letters", first("get /x HTTP/1.1"), "get /x"),
        odd("an empty value", lines("x:\r\n"), "GET /x"),
        odd("a value of blanks", lines("x: \t \r\n"), "GET /x"),
        odd("no blank before a value", lines("x:a\r\n"), "GET /x"),
        odd("a value with colons", lines("x: a:b: c\r\n"), "GET /x"),
        odd("a tab in a value", lines("x: a\tb\r\n"), "GET /x"),
        odd("high bytes in a value", lines("x: \u{e9}\r\n"), "GET /x"),
        odd("odd characters in a name", lines("!#$%&'*+-.^`|~9: a\r\n"), "GET /x"),
    ]);
    corpus
}
