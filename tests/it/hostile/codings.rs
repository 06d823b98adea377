//! Codings (RFC 9112 6.1 and 7).

use super::{Case, Expect, Passes, Refused, SMUGGLED, case, post};

/// A body that ends at once for who reads chunks, and is a request for who does not.
fn coded(name: &'static str, lines: &str, expect: Expect) -> Case {
    post(name, lines, &format!("0\r\n\r\n{SMUGGLED}"), expect)
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        coded("chunked twice", "transfer-encoding: chunked\r\ntransfer-encoding: chunked", Refused),
        coded("chunked twice in a list", "transfer-encoding: chunked, chunked", Refused),
        coded("chunked behind another", "transfer-encoding: gzip, chunked", Refused),
        coded("chunked before another", "transfer-encoding: chunked, gzip", Refused),
        coded("chunked behind nothing", "transfer-encoding: , chunked", Refused),
        coded("chunked before nothing", "transfer-encoding: chunked,", Refused),
        coded("chunked behind identity", "transfer-encoding: identity, chunked", Refused),
        coded(
            "another and chunked on two lines",
            "transfer-encoding: gzip\r\ntransfer-encoding: chunked",
            Refused,
        ),
        coded(
            "chunked and another on two lines",
            "transfer-encoding: chunked\r\ntransfer-encoding: gzip",
            Refused,
        ),
        coded(
            "chunked and nothing on two lines",
            "transfer-encoding: chunked\r\ntransfer-encoding:",
            Refused,
        ),
        coded(
            "chunked and identity on two lines",
            "transfer-encoding: chunked\r\nTransfer-Encoding: identity",
            Refused,
        ),
        coded("identity", "transfer-encoding: identity", Refused),
        coded("gzip", "transfer-encoding: gzip", Refused),
        coded("xchunked", "transfer-encoding: xchunked", Refused),
        coded("chunkedx", "transfer-encoding: chunkedx", Refused),
        coded("chunke", "transfer-encoding: chunke", Refused),
        coded("chunked in quotes", "transfer-encoding: \"chunked\"", Refused),
        coded("chunked in single quotes", "transfer-encoding: 'chunked'", Refused),
        coded("chunked with a parameter", "transfer-encoding: chunked;q=1", Refused),
        coded("chunked with a semicolon", "transfer-encoding: chunked;", Refused),
        coded("chunked with a comment", "transfer-encoding: chunked (x)", Refused),
        coded("chunked behind a tab", "transfer-encoding:\tchunked", Refused),
        coded("chunked before a tab", "transfer-encoding: chunked\t", Refused),
        coded("chunked behind a vertical tab", "transfer-encoding: \x0bchunked", Refused),
        coded("chunked behind a form feed", "transfer-encoding:\x0cchunked", Refused),
        coded("chunked behind a NUL", "transfer-encoding: \0chunked", Refused),
        coded("chunked behind a DEL", "transfer-encoding: \x7fchunked", Refused),
        coded("chunked before a CR", "transfer-encoding: chunked\r", Refused),
        coded("chunked behind a no-break space", "transfer-encoding: \u{a0}chunked", Refused),
        coded("chunked with a Kelvin sign", "transfer-encoding: chun\u{212a}ed", Refused),
        coded("chunked with a space in it", "transfer-encoding: chunk ed", Refused),
        coded("an empty coding", "transfer-encoding:", Refused),
        coded("a name with a space in front", "x: a\r\n transfer-encoding: chunked", Refused),
        coded("a name with quotes", "\"transfer-encoding\": chunked", Refused),
        coded("another name that ends alike", "x: a\r\n\ttransfer-encoding: chunked", Refused),
    ];
    let old = "POST /hostile HTTP/1.0\r\nhost: portal.example.com\r\nconnection: keep-alive\r\n";
    cases.extend([
        case(
            "a coding in HTTP/1.0",
            format!("{old}transfer-encoding: chunked\r\n\r\n0\r\n\r\n{SMUGGLED}"),
            Refused,
        ),
        case(
            "a coding and a length in HTTP/1.0",
            format!("{old}content-length: 52\r\ntransfer-encoding: chunked\r\n\r\n{SMUGGLED}"),
            Refused,
        ),
        // Odd, and allowed.
        post("CHUNKED", "Transfer-Encoding:CHUNKED  ", "3\r\nabc\r\n0\r\n\r\n", Passes("/hostile", "abc")),
        post(
            "a coding that is called otherwise",
            "x-transfer-encoding: chunked\r\ncontent-length: 3",
            "abc",
            Passes("/hostile", "abc"),
        ),
    ]);
    cases
}
