//! HTTP/1 as clients send it.
//!
//! Invariant: however the bytes are cut, the same requests are read, and a fault is found, or none. A message without a
//! fault has one meaning: httparse, and a reader of bodies that knows nothing of this one, find the same lines and ends.

#![no_main]

use bytes::BytesMut;
use cutover::net::strict::body::{BodyReader, Part};
use cutover::net::strict::head::{Head, HeadReader};
use libfuzzer_sys::fuzz_target;

/// The end of the first message, by httparse and the plainest reading of RFC 9112 6; `None` where it is not whole, or
/// httparse refuses it.
fn end_of_first(bytes: &[u8]) -> Option<usize> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(head) = request.parse(bytes).ok()? else { return None };
    let value = |name: &str| {
        let found = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(found.value).ok().map(|value| value.trim().to_ascii_lowercase())
    };
    if value("transfer-encoding").is_some_and(|coding| coding == "chunked") {
        let mut at = head;
        loop {
            let line = at + bytes.get(at..)?.windows(2).position(|pair| pair == b"\r\n")?;
            let size = bytes[at..line].split(|byte| *byte == b';').next()?;
            let size = usize::from_str_radix(std::str::from_utf8(size).ok()?, 16).ok()?;
            at = line + 2;
            if size == 0 {
                loop {
                    let end = at + bytes.get(at..)?.windows(2).position(|pair| pair == b"\r\n")?;
                    let is_last = end == at;
                    at = end + 2;
                    if is_last {
                        return Some(at);
                    }
                }
            }
            at = at.checked_add(size)?.checked_add(2)?;
            bytes.get(..at)?;
        }
    }
    let length: usize = value("content-length").map_or(Some(0), |length| length.parse().ok())?;
    let end = head.checked_add(length)?;
    bytes.get(..end).map(|_| end)
}

/// Bytes and lines that a head may have.
const MOST: (usize, usize) = (32 * 1024, 64);

/// A request: its head, its body, and how many of the bytes before and in it were read.
struct Request {
    head: Head,
    body: Vec<u8>,
    end: usize,
}

/// The whole requests in bytes that come in pieces of a size, and whether a fault ended them.
fn requests(bytes: &[u8], piece: usize) -> (Vec<Request>, bool) {
    let mut heads = HeadReader::new(MOST.0, MOST.1);
    let mut received = BytesMut::new();
    let (mut found, mut begun, mut came) = (Vec::new(), None, 0);
    for piece in bytes.chunks(piece) {
        received.extend_from_slice(piece);
        came += piece.len();
        loop {
            let Some((head, mut reader, mut body)) = begun.take() else {
                match heads.read(&mut received) {
                    Ok(Some(head)) => {
                        let reader = BodyReader::new(head.framing, MOST.0, MOST.1);
                        begun = Some((head, reader, Vec::new()));
                        continue;
                    }
                    Ok(None) => break,
                    Err(_) => return (found, true),
                }
            };
            match reader.take(&mut received) {
                Ok(Part::Data(data)) => body.extend_from_slice(&data),
                Ok(Part::Trailers(_)) => {}
                Ok(Part::More) => {
                    begun = Some((head, reader, body));
                    break;
                }
                Ok(Part::End) => {
                    found.push(Request { head, body, end: came - received.len() });
                    continue;
                }
                Err(_) => return (found, true),
            }
            begun = Some((head, reader, body));
        }
    }
    (found, false)
}

fuzz_target!(|data: &[u8]| {
    let Some((cut, bytes)) = data.split_first() else { return };
    let (whole, is_faulty) = requests(bytes, usize::MAX);
    let (pieces, pieces_are_faulty) = requests(bytes, usize::from(*cut).max(1));
    assert_eq!((whole.len(), is_faulty), (pieces.len(), pieces_are_faulty));
    let mut at = 0;
    for (one, other) in whole.iter().zip(&pieces) {
        assert_eq!(one.head.headers, other.head.headers);
        assert_eq!((&one.head.method, &one.head.uri, &one.body, one.end), (&other.head.method, &other.head.uri, &other.body, other.end));
        // As others read it.
        let message = &bytes[at..one.end];
        at = one.end;
        assert_eq!(end_of_first(message), Some(message.len()), "{:?}", String::from_utf8_lossy(message));
        let mut lines = [httparse::EMPTY_HEADER; 64];
        let mut request = httparse::Request::new(&mut lines);
        request.parse(message).expect("read above");
        assert_eq!(request.method, Some(one.head.method.as_str()));
        assert_eq!(request.headers.len(), one.head.headers.len());
        for line in request.headers.iter() {
            let values = one.head.headers.get_all(line.name);
            assert!(values.iter().any(|value| value.as_bytes() == line.value), "{}", line.name);
        }
    }
});
