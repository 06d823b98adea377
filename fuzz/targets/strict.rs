//! HTTP/1.1 as it comes, before the parser.
//!
//! Invariant: however the bytes are cut, a fault is found, or none. A message without a fault has one meaning: httparse,
//! and a reader of bodies that knows nothing of this one, find the same ends.

#![no_main]

use cutover::net::strict::checker::{Checker, Refused};
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

/// What a head may have.
const HEAD: usize = 32 * 1024;

fuzz_target!(|data: &[u8]| {
    let Some((cut, bytes)) = data.split_first() else { return };
    let whole = Checker::new(HEAD).feed(bytes);
    // In pieces. One that is not judged to its end waits for an engine.
    let mut checker = Checker::new(HEAD);
    let mut pieces = Ok(0);
    for piece in bytes.chunks(usize::from(*cut).max(1)) {
        match checker.feed(piece) {
            Ok(judged) => {
                pieces = pieces.map(|before: usize| before + judged);
                if judged < piece.len() {
                    break;
                }
            }
            Err(refused) => {
                pieces = Err(refused.fault);
                break;
            }
        }
    }
    // Of a line with two faults, such as one too long that ends in a bare LF, either may be told.
    assert_eq!(whole.as_ref().ok(), pieces.as_ref().ok());
    let good = match whole {
        Ok(judged) => judged,
        Err(Refused { passes, .. }) => passes,
    };
    // One message after another, as long as both readers find a whole one within what is good.
    let mut at = 0;
    while let Some(end) = end_of_first(&bytes[at..good]) {
        let alone = Checker::new(HEAD).feed(&bytes[at..at + end]);
        assert_eq!(alone.ok(), Some(end), "{:?}", String::from_utf8_lossy(&bytes[at..at + end]));
        at += end;
        if at == good {
            break;
        }
    }
});
