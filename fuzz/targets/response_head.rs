//! Response heads and trailer sections, as an engine that went mad might send them.
//!
//! Invariant: a head is read whole or not at all: every shorter beginning of it asks for more, more bytes behind
//! it change nothing, and what was refused stays refused. No header holds a line end, none comes from nowhere,
//! and a body's length is what every `Content-Length` says. The connection is kept exactly when the version and the
//! `Connection` lines say so.
//!
//! The first byte chooses the cut and, at its highest values, inserts a long line, to come near the limits.

#![no_main]

use cutover::upstream::framing::Framing;
use cutover::upstream::head::{MOST_BYTES, MOST_LINES, read_response, read_trailers};
use http::{HeaderMap, Method, Version};
use libfuzzer_sys::fuzz_target;

/// What was read: the headers, all else as a text, and the length.
type Read = Option<(HeaderMap, String, usize)>;

fn response(bytes: &[u8]) -> Result<Read, ()> {
    let head = read_response(bytes).map_err(|_| ())?;
    let said = |status, version, keep_alive| format!("{status} {version:?} {keep_alive}");
    Ok(head.map(|head| (head.headers, said(head.status, head.version, head.keep_alive), head.length)))
}

/// What the `Connection` lines of a head name, in lower case, by the book and without care for speed.
fn connection_options(head: &[u8]) -> Vec<Vec<u8>> {
    head.split(|byte| *byte == b'\n')
        .filter_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            line[..colon].eq_ignore_ascii_case(b"connection").then(|| &line[colon + 1..])
        })
        .flat_map(|value| value.split(|byte| *byte == b','))
        .map(|option| option.trim_ascii().to_ascii_lowercase())
        .collect()
}

fn trailers(bytes: &[u8]) -> Result<Read, ()> {
    Ok(read_trailers(bytes).map_err(|_| ())?.map(|(headers, length)| (headers, String::new(), length)))
}

fn check(bytes: &[u8], cut: usize, read: impl Fn(&[u8]) -> Result<Read, ()>) -> Option<HeaderMap> {
    let whole = read(bytes);
    let before = read(&bytes[..cut.min(bytes.len())]);
    if before.is_err() {
        assert!(whole.is_err(), "more bytes make a refused head good");
    }
    if let Ok(Some(early)) = &before {
        assert_eq!(whole, Ok(Some(early.clone())), "more bytes change a head");
    }
    let (headers, said, length) = whole.ok()??;
    assert!(length <= bytes.len() && length <= MOST_BYTES && bytes[..length].ends_with(b"\n"));
    assert!(headers.len() <= MOST_LINES);
    let head = &bytes[..length];
    // Every cut of a short head, and the likely ones of a long one.
    let cuts: Vec<usize> = match length {
        ..=100 => (0..length).collect(),
        _ => vec![0, cut % length, (cut * 7) % length, length - 3, length - 2, length - 1],
    };
    for cut in cuts {
        assert_eq!(read(&head[..cut]), Ok(None), "a head cut at {cut} of {length}");
    }
    let mut longer = head.to_vec();
    longer.extend_from_slice(b"HTTP/1.1 200 OK\r\n\r\n\0\xff");
    for alone in [head, &longer] {
        assert_eq!(read(alone), Ok(Some((headers.clone(), said.clone(), length))));
    }
    for (name, value) in &headers {
        let value = value.as_bytes();
        assert!(!value.iter().any(|byte| [b'\r', b'\n', 0].contains(byte)));
        assert!(value.is_empty() || memchr::memmem::find(head, value).is_some(), "{name} came from nowhere");
    }
    Some(headers)
}

fuzz_target!(|data: &[u8]| {
    let Some((control, bytes)) = data.split_first() else { return };
    let mut bytes = bytes.to_vec();
    if *control >= 0xf0
        && let Some(at) = memchr::memchr(b'\n', &bytes)
    {
        // From a little below the limit to a little above it.
        let size = (MOST_BYTES + usize::from(control & 0x0f) * 16).saturating_sub(bytes.len() + 100);
        let line = [b"x-long: ", &vec![b'x'; size][..], b"\r\n"].concat();
        bytes.splice(at + 1..at + 1, line);
    }
    let cut = usize::from(*control) * bytes.len() / 256;
    check(&bytes, cut, trailers);
    let Some(headers) = check(&bytes, cut, response) else { return };
    let Ok(Some(head)) = read_response(&bytes) else { return };
    let named = connection_options(&bytes[..head.length]);
    let names = |option: &[u8]| named.iter().any(|name| name == option);
    let kept = !names(b"close") && (head.version == Version::HTTP_11 || names(b"keep-alive"));
    assert_eq!(head.keep_alive, kept, "{named:?}");
    if let Ok(Framing::Length(length)) =
        Framing::of_response(&Method::GET, head.status, head.version, &headers)
        && length > 0
    {
        let lines = headers.get_all("content-length").iter().map(|line| line.to_str().expect("digits"));
        for value in lines.flat_map(|line| line.split(',')) {
            assert_eq!(value.trim().parse(), Ok(length));
        }
        assert!(!headers.contains_key("transfer-encoding"));
    }
});
