//! Chunks and trailers (RFC 9112 7.1, RFC 9110 6.5).

use super::{BodyRefused, Case, Expect, Passes, SMUGGLED, post};

fn chunks(name: &'static str, body: &str, expect: Expect) -> Case {
    post(name, "transfer-encoding: chunked", body, expect)
}

pub(super) fn cases() -> Vec<Case> {
    let smuggled = |before: &str| format!("{before}{SMUGGLED}");
    let mut cases = vec![
        chunks("no size", "\r\nabc\r\n0\r\n\r\n", BodyRefused),
        chunks("a size with a plus", "+3\r\nabc\r\n0\r\n\r\n", BodyRefused),
        chunks("a size with a minus", "-3\r\nabc\r\n0\r\n\r\n", BodyRefused),
        chunks("a size below nothing", "-0\r\n\r\n", BodyRefused),
        chunks("a size with 0x", "0x3\r\nabc\r\n0\r\n\r\n", BodyRefused),
        chunks("a size with an h", "3h\r\nabc\r\n0\r\n\r\n", BodyRefused),
        chunks("a size of letters that are no digits", "g\r\nabc\r\n0\r\n\r\n", BodyRefused),
        chunks("a size with a space in front", " 3\r\nabc\r\n0\r\n\r\n", BodyRefused),
        chunks("a size with a space behind", "3 \r\nabc\r\n0\r\n\r\n", BodyRefused),
        chunks("a size with a tab behind", "3\t\r\nabc\r\n0\r\n\r\n", BodyRefused),
        chunks("a size of two words", "3 3\r\nabc\r\n0\r\n\r\n", BodyRefused),
        chunks("a size with a comma", "3,3\r\nabc\r\n0\r\n\r\n", BodyRefused),
        chunks("a size with a separator", "1_0\r\n0123456789abcdef\r\n0\r\n\r\n", BodyRefused),
        chunks("a size with a point", "3.0\r\nabc\r\n0\r\n\r\n", BodyRefused),
        chunks("a size in quotes", "\"3\"\r\nabc\r\n0\r\n\r\n", BodyRefused),
        chunks("a size with a NUL", "3\0\r\nabc\r\n0\r\n\r\n", BodyRefused),
        chunks("a size in other digits", "\u{663}\r\nabc\r\n0\r\n\r\n", BodyRefused),
        chunks("a size beyond 64 bits", "10000000000000003\r\nabc\r\n0\r\n\r\n", BodyRefused),
        chunks("a size beyond 63 bits", "8000000000000000\r\nabc\r\n0\r\n\r\n", BodyRefused),
        chunks("a size that wraps around to 3", "f0000000000000003\r\nabc\r\n0\r\n\r\n", BodyRefused),
        chunks("zeros without end", &format!("{}3\r\nabc\r\n0\r\n\r\n", "0".repeat(100)), BodyRefused),
        chunks("LF behind a size", "3\nabc\r\n0\r\n\r\n", BodyRefused),
        chunks("CR behind a size", "3\rabc\r\n0\r\n\r\n", BodyRefused),
        chunks("CR CR LF behind a size", "3\r\r\nabc\r\n0\r\n\r\n", BodyRefused),
        chunks("LF behind the data", "3\r\nabc\n0\r\n\r\n", BodyRefused),
        chunks("CR behind the data", "3\r\nabc\r0\r\n\r\n", BodyRefused),
        chunks("nothing behind the data", "3\r\nabc0\r\n\r\n", BodyRefused),
        chunks("more data than the size", "3\r\nabcd\r\n0\r\n\r\n", BodyRefused),
        chunks("less data than the size", "4\r\nabc\r\n0\r\n\r\n", BodyRefused),
        chunks("two line ends behind the data", "3\r\nabc\r\n\r\n0\r\n\r\n", BodyRefused),
        chunks("LF behind the last size", "0\n\r\n", BodyRefused),
        chunks("LF for the end", "0\r\n\n", BodyRefused),
        chunks("CR for the end", "0\r\n\r\r\n\r\n", BodyRefused),
        chunks("a second last chunk", "0\r\n0\r\n\r\n", BodyRefused),
        chunks("an extension that hides a line end", "3;a\nabc\r\n0\r\n\r\n", BodyRefused),
        chunks("an extension that hides a CR", "3;a\rb\r\nabc\r\n0\r\n\r\n", BodyRefused),
        chunks("an extension in quotes that hides a line end", "3;a=\"\n\"\r\nabc\r\n0\r\n\r\n", BodyRefused),
        chunks("an extension without a name", "3;\r\nabc\r\n0\r\n\r\n", BodyRefused),
        chunks("an extension with a NUL", "3;a\0\r\nabc\r\n0\r\n\r\n", BodyRefused),
        chunks("an extension without a value", "3;a=\r\nabc\r\n0\r\n\r\n", BodyRefused),
        chunks("an extension without an end of its quotes", "3;a=\"b\r\nabc\r\n0\r\n\r\n", BodyRefused),
        chunks(
            "an extension without end",
            &format!("3;{}\r\nabc\r\n0\r\n\r\n", "a".repeat(2000)),
            BodyRefused,
        ),
        chunks("a length for a trailer", "0\r\ncontent-length: 52\r\n\r\n", BodyRefused),
        chunks("a coding for a trailer", "0\r\ntransfer-encoding: chunked\r\n\r\n", BodyRefused),
        chunks("a host for a trailer", "0\r\nhost: evil.test\r\n\r\n", BodyRefused),
        chunks("a cookie for a trailer", "0\r\ncookie: a=b\r\n\r\n", BodyRefused),
        chunks("a password for a trailer", "0\r\nAuthorization: Basic Og==\r\n\r\n", BodyRefused),
        chunks("Connection for a trailer", "0\r\nconnection: close\r\n\r\n", BodyRefused),
        chunks("an underscore in a trailer", "0\r\ncontent_length: 5\r\n\r\n", BodyRefused),
        chunks("a folded trailer", "0\r\nx: a\r\n b\r\n\r\n", BodyRefused),
        chunks("a trailer with a space before its colon", "0\r\nx : a\r\n\r\n", BodyRefused),
        chunks("a trailer without a name", "0\r\n: a\r\n\r\n", BodyRefused),
        chunks("a trailer with a NUL", "0\r\nx: a\0\r\n\r\n", BodyRefused),
        chunks("a trailer with LF", "0\r\nx: a\n\r\n", BodyRefused),
        chunks("a trailer with CR", "0\r\nx: a\rb\r\n\r\n", BodyRefused),
        chunks(
            "a trailer larger than a head",
            &format!("0\r\nx: {}\r\n\r\n", "y".repeat(9 * 1024)),
            BodyRefused,
        ),
        chunks("trailers without end", &format!("0\r\n{}\r\n", "x: y\r\n".repeat(2000)), BodyRefused),
    ];
    cases.extend([
        chunks("a request for a trailer", &smuggled("0\r\n"), BodyRefused),
        chunks("a request for a size", &smuggled("3\r\nabc\r\n"), BodyRefused),
        chunks("a request behind a short chunk", &smuggled("2\r\nabc\r\n0\r\n\r\n"), BodyRefused),
        // Odd, and allowed.
        chunks("capitals and zeros", "00A\r\n0123456789\r\n0000\r\n\r\n", Passes("/hostile", "0123456789")),
        chunks(
            "good extensions",
            "3;a;b=c;d=\"e\\\"f\" ; g\r\nabc\r\n0;h\r\n\r\n",
            Passes("/hostile", "abc"),
        ),
        chunks(
            "a trailer that nobody declared",
            "3\r\nabc\r\n0\r\nx-sum: 1\r\n\r\n",
            Passes("/hostile", "abc"),
        ),
        chunks("a request for data", &format!("34\r\n{SMUGGLED}\r\n0\r\n\r\n"), Passes("/hostile", SMUGGLED)),
    ]);
    cases
}
