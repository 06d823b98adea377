//! Lengths (RFC 9110 8.6, RFC 9112 6.3).

use super::{Case, Passes, Refused, SMUGGLED, case, post};

pub(super) fn cases() -> Vec<Case> {
    vec![
        post("differing lengths", "content-length: 3\r\ncontent-length: 4", "abcd", Refused),
        post(
            "differing lengths of which one is nothing",
            "content-length: 0\r\ncontent-length: 52",
            SMUGGLED,
            Refused,
        ),
        post("the same length twice", "content-length: 3\r\ncontent-length: 3", "abc", Refused),
        post("the same length in other words", "content-length: 3\r\nContent-Length: 03", "abc", Refused),
        post(
            "three lengths",
            "content-length: 3\r\nx: y\r\ncontent-length: 3\r\ncontent-length: 4",
            "abcd",
            Refused,
        ),
        post("a list of lengths", "content-length: 3, 3", "abc", Refused),
        post("a list of differing lengths", "content-length: 3, 4", "abcd", Refused),
        post("a list with nothing in it", "content-length: 3,", "abc", Refused),
        post("a length with a plus", "content-length: +3", "abc", Refused),
        post("a length with a minus", "content-length: -3", "abc", Refused),
        post("a length below nothing", "content-length: -0", "", Refused),
        post("a length in hexadecimal", "content-length: 0x3", "abc", Refused),
        post("a length of letters", "content-length: a", "abcdefghij", Refused),
        post("a length with a point", "content-length: 3.0", "abc", Refused),
        post("a length with an exponent", "content-length: 3e0", "abc", Refused),
        post("a length with a separator", "content-length: 1_0", "abcdefghij", Refused),
        post("a length in quotes", "content-length: \"3\"", "abc", Refused),
        post("a length with a space in it", "content-length: 1 0", "abcdefghij", Refused),
        post("a length behind a tab", "content-length:\t3", "abc", Refused),
        post("a length before a tab", "content-length: 3\t", "abc", Refused),
        post("a length with a parameter", "content-length: 3;a=b", "abc", Refused),
        post("a length with a NUL", "content-length: 3\0", "abc", Refused),
        post("a length with a vertical tab", "content-length: \x0b3", "abc", Refused),
        post("an empty length", "content-length:", "", Refused),
        post("a length of spaces", "content-length:   ", "", Refused),
        post("a length in other digits", "content-length: \u{663}", "abc", Refused),
        post("a length beyond 64 bits", "content-length: 18446744073709551616", "", Refused),
        post("a length beyond 63 bits", "content-length: 9223372036854775808", "", Refused),
        post("a length that wraps around to 3", "content-length: 18446744073709551619", "abc", Refused),
        post("a length without end", &format!("content-length: {}", "9".repeat(500)), "", Refused),
        case(
            "differing lengths in HTTP/1.0",
            "POST /hostile HTTP/1.0\r\nhost: portal.example.com\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd",
            Refused,
        ),
        // Odd, and allowed.
        post(
            "zeros in front",
            "content-length: 0000000000000000000000000003",
            "abc",
            Passes("/hostile", "abc"),
        ),
        post("spaces around a length", "Content-Length:   3   ", "abc", Passes("/hostile", "abc")),
        post("a request for a body", "content-length: 52", SMUGGLED, Passes("/hostile", SMUGGLED)),
        post("no length at all", "x: y", "", Passes("/hostile", "")),
        case(
            "a body behind GET",
            format!(
                "GET /hostile HTTP/1.1\r\nhost: portal.example.com\r\ncontent-length: 52\r\n\r\n{SMUGGLED}"
            ),
            Passes("/hostile", SMUGGLED),
        ),
        case(
            "a body behind HEAD",
            format!(
                "DELETE /hostile HTTP/1.1\r\nhost: portal.example.com\r\ncontent-length: 52\r\n\r\n{SMUGGLED}"
            ),
            Passes("/hostile", SMUGGLED),
        ),
        post("a line end behind a body", "content-length: 3", "abc\r\n", Passes("/hostile", "abc")),
    ]
}
