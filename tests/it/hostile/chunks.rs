//! Chunked bodies (RFC 9112 7.1).

use super::{Hostile, bad, odd};

fn chunked(body: &str) -> String {
    format!("POST /x HTTP/1.1\r\nhost: portal.example.com\r\ntransfer-encoding: chunked\r\n\r\n{body}")
}

pub(crate) fn corpus() -> Vec<Hostile> {
    let long = format!("3;{}\r\nabc\r\n0\r\n\r\n", "a".repeat(4096));
    let trailers = format!("0\r\n{}\r\n", "x: y\r\n".repeat(4096));
    let mut corpus: Vec<Hostile> = [
        ("no size", "\r\nabc\r\n0\r\n\r\n"),
        ("a size that is no number", "g\r\nabc\r\n0\r\n\r\n"),
        ("a plus before the size", "+3\r\nabc\r\n0\r\n\r\n"),
        ("a minus before the size", "-3\r\nabc\r\n0\r\n\r\n"),
        ("0x before the size", "0x3\r\nabc\r\n0\r\n\r\n"),
        ("a blank before the size", " 3\r\nabc\r\n0\r\n\r\n"),
        ("a blank behind the size", "3 \r\nabc\r\n0\r\n\r\n"),
        ("a tab behind the size", "3\t\r\nabc\r\n0\r\n\r\n"),
        ("an underscore in the size", "0_3\r\nabc\r\n0\r\n\r\n"),
        ("a size beyond 64 bits", "10000000000000003\r\nabc\r\n0\r\n\r\n"),
        ("a size of sixteen digits", "8000000000000003\r\nabc\r\n0\r\n\r\n"),
        ("a size behind many zeros", "00000000000000000000000000000003\r\nabc\r\n0\r\n\r\n"),
        ("a size with a comma", "3,4\r\nabc\r\n0\r\n\r\n"),
        ("a size in quotes", "\"3\"\r\nabc\r\n0\r\n\r\n"),
        ("a size that ends in LF", "3\nabc\r\n0\r\n\r\n"),
        ("a size that ends in CR", "3\rabc\r\n0\r\n\r\n"),
        ("a size that ends in CR CR LF", "3\r\r\nabc\r\n0\r\n\r\n"),
        ("an extension with LF", "3;a\nb\r\nabc\r\n0\r\n\r\n"),
        ("an extension with CR", "3;a\rb\r\nabc\r\n0\r\n\r\n"),
        ("an extension with NUL", "3;a\0\r\nabc\r\n0\r\n\r\n"),
        ("an extension with a control byte", "3;a=\x7f\r\nabc\r\n0\r\n\r\n"),
        ("an endless extension", &long),
        ("data longer than its size", "3\r\nabcd\r\n0\r\n\r\n"),
        ("data shorter than its size", "5\r\nabc\r\n0\r\n\r\n"),
        ("data that end in LF", "3\r\nabc\n0\r\n\r\n"),
        ("data that end in CR", "3\r\nabc\r0\r\n\r\n"),
        ("data that end in nothing", "3\r\nabc0\r\n\r\n"),
        ("data that end in two lines", "3\r\nabc\r\n\r\n0\r\n\r\n"),
        ("a last chunk that ends in LF", "3\r\nabc\r\n0\n\r\n"),
        ("a trailer that ends in LF", "0\r\nx: y\n\r\n"),
        ("a trailer section that ends in LF", "0\r\nx: y\r\n\n"),
        ("a trailer without a colon", "0\r\nnonsense\r\n\r\n"),
        ("a trailer with a blank in its name", "0\r\nx y: z\r\n\r\n"),
        ("a folded trailer", "0\r\nx: y\r\n z\r\n\r\n"),
        ("a trailer with NUL", "0\r\nx: y\0\r\n\r\n"),
        ("endless trailers", &trailers),
    ]
    .into_iter()
    .map(|(name, body)| bad(name, chunked(body)))
    .collect();
    corpus.extend([
        odd("an extension", chunked("3;a=b;c=\"d e\"\r\nabc\r\n0;last\r\n\r\n"), "POST /x"),
        odd("a size in capitals with zeros", chunked("00A\r\nabcdeabcde\r\n000\r\n\r\n"), "POST /x"),
        odd("data that look like chunks", chunked("7\r\n0\r\n\r\nGE\r\n0\r\n\r\n"), "POST /x"),
        odd(
            "data that look like a request",
            chunked("13\r\nGET /y HTTP/1.1\r\n\r\n\r\n0\r\n\r\n"),
            "POST /x",
        ),
        odd("a trailer that names a length", chunked("0\r\ncontent-length: 9\r\n\r\n"), "POST /x"),
        odd("a trailer that names a coding", chunked("0\r\ntransfer-encoding: chunked\r\n\r\n"), "POST /x"),
        odd("a trailer that names a host", chunked("0\r\nhost: evil.example\r\n\r\n"), "POST /x"),
    ]);
    corpus
}
