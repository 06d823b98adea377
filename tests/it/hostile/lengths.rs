//! How long a body is: `Content-Length` and `Transfer-Encoding`.

use super::{Hostile, bad, odd};

fn post(version: &str, lines: &str, body: &str) -> String {
    format!("POST /x HTTP/{version}\r\nhost: portal.example.com\r\n{lines}\r\n{body}")
}

pub(crate) fn corpus() -> Vec<Hostile> {
    let chunked = "0\r\n\r\n";
    let mut corpus: Vec<Hostile> = [
        ("both, length first", "content-length: 5\r\ntransfer-encoding: chunked\r\n", chunked),
        ("both, coding first", "transfer-encoding: chunked\r\ncontent-length: 5\r\n", chunked),
        ("both, in capitals", "TRANSFER-ENCODING: CHUNKED\r\nCONTENT-LENGTH: 5\r\n", chunked),
        ("both, length 0", "content-length: 0\r\ntransfer-encoding: chunked\r\n", chunked),
        ("both, unknown coding", "content-length: 5\r\ntransfer-encoding: gzip\r\n", "abcde"),
        ("both, identity", "content-length: 5\r\ntransfer-encoding: identity\r\n", "abcde"),
        ("two differing lengths", "content-length: 3\r\ncontent-length: 5\r\n", "abcde"),
        ("two equal lengths", "content-length: 5\r\ncontent-length: 5\r\n", "abcde"),
        ("two differing lengths in one line", "content-length: 3, 5\r\n", "abcde"),
        ("two equal lengths in one line", "content-length: 5, 5\r\n", "abcde"),
        ("two lengths without a comma", "content-length: 5 5\r\n", "abcde"),
        ("lengths with an empty item", "content-length: ,5\r\n", "abcde"),
        ("no length at all", "content-length:\r\n", ""),
        ("a blank length", "content-length:   \r\n", ""),
        ("a plus before the length", "content-length: +5\r\n", "abcde"),
        ("a minus before the length", "content-length: -5\r\n", "abcde"),
        ("minus nothing", "content-length: -0\r\n", ""),
        ("hexadecimal digits", "content-length: 0x5\r\n", "abcde"),
        ("letters", "content-length: five\r\n", "abcde"),
        ("digits, then letters", "content-length: 5b\r\n", "abcde"),
        ("a fraction", "content-length: 5.0\r\n", "abcde"),
        ("an exponent", "content-length: 1e1\r\n", "abcdeabcde"),
        ("underscores between digits", "content-length: 1_0\r\n", "abcdeabcde"),
        ("quoted digits", "content-length: \"5\"\r\n", "abcde"),
        ("full-width digits", "content-length: \u{ff15}\r\n", "abcde"),
        ("a parameter behind the length", "content-length: 5;a=b\r\n", "abcde"),
        ("beyond 64 bits", "content-length: 18446744073709551616\r\n", "abcde"),
        ("just beyond 64 bits, to 5", "content-length: 18446744073709551621\r\n", "abcde"),
        ("forty digits", "content-length: 9999999999999999999999999999999999999999\r\n", ""),
        ("a vertical tab before the length", "content-length: \x0b5\r\n", "abcde"),
        ("a form feed behind the length", "content-length: 5\x0c\r\n", "abcde"),
        ("a space before the length's colon", "content-length : 5\r\n", "abcde"),
        ("a tab before the length's colon", "content-length\t: 5\r\n", "abcde"),
        ("a folded length", "content-length:\r\n 5\r\n", "abcde"),
        ("chunked twice in one line", "transfer-encoding: chunked, chunked\r\n", chunked),
        ("chunked twice", "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n", chunked),
        ("chunked, then identity", "transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n", chunked),
        ("identity, then chunked", "transfer-encoding: identity\r\ntransfer-encoding: chunked\r\n", chunked),
        ("gzip before chunked", "transfer-encoding: gzip, chunked\r\n", chunked),
        ("gzip behind chunked", "transfer-encoding: chunked, gzip\r\n", chunked),
        ("gzip alone", "transfer-encoding: gzip\r\n", "abcde"),
        ("identity alone", "transfer-encoding: identity\r\n", ""),
        ("cow", "transfer-encoding: cow\r\n", chunked),
        ("xchunked", "transfer-encoding: xchunked\r\n", chunked),
        ("chunkedx", "transfer-encoding: chunkedx\r\n", chunked),
        ("chunked with a parameter", "transfer-encoding: chunked;q=0.5\r\n", chunked),
        ("chunked in quotes", "transfer-encoding: \"chunked\"\r\n", chunked),
        ("chunked in single quotes", "transfer-encoding: 'chunked'\r\n", chunked),
        ("chunked with a comma before it", "transfer-encoding: ,chunked\r\n", chunked),
        ("chunked with a comma behind it", "transfer-encoding: chunked,\r\n", chunked),
        ("an empty coding", "transfer-encoding:\r\n", chunked),
        ("a vertical tab before chunked", "transfer-encoding: \x0bchunked\r\n", chunked),
        ("a form feed behind chunked", "transfer-encoding: chunked\x0c\r\n", chunked),
        ("NUL behind chunked", "transfer-encoding: chunked\0\r\n", chunked),
        ("a non-breaking space before chunked", "transfer-encoding: \u{a0}chunked\r\n", chunked),
        ("a bare CR behind chunked", "transfer-encoding: chunked\r\r\n", chunked),
        ("a space before the coding's colon", "transfer-encoding : chunked\r\n", chunked),
        ("a tab before the coding's colon", "transfer-encoding\t: chunked\r\n", chunked),
        ("a space before the coding's name", " transfer-encoding: chunked\r\n", chunked),
        ("a folded coding", "transfer-encoding:\r\n chunked\r\n", chunked),
        ("a coding behind a folded line", "x: a\r\n transfer-encoding: chunked\r\n", chunked),
        ("a coding behind a bare LF", "x: a\ntransfer-encoding: chunked\r\n", chunked),
        ("a coding behind a bare CR", "x: a\rtransfer-encoding: chunked\r\n", chunked),
    ]
    .into_iter()
    .map(|(name, lines, body)| bad(name, post("1.1", lines, body)))
    .collect();
    corpus.push(bad("a coding on HTTP/1.0", post("1.0", "transfer-encoding: chunked\r\n", chunked)));
    let both = "content-length: 5\r\ntransfer-encoding: chunked\r\n";
    corpus.push(bad("both on HTTP/1.0", post("1.0", both, chunked)));
    corpus.extend([
        odd("a blank behind the length", post("1.1", "content-length: 5 \t\r\n", "abcde"), "POST /x"),
        odd("zeros before the length", post("1.1", "content-length: 0005\r\n", "abcde"), "POST /x"),
        odd("a length of 0", post("1.1", "content-length: 0\r\n", ""), "POST /x"),
        odd("chunked in capitals", post("1.1", "Transfer-Encoding: Chunked\r\n", chunked), "POST /x"),
        odd(
            "an underscore for the hyphen of the coding",
            post("1.1", "transfer_encoding: chunked\r\ncontent-length: 5\r\n", "abcde"),
            "POST /x",
        ),
    ]);
    corpus
}
