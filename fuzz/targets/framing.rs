//! Bodies of responses, cut into pieces as a network may.
//!
//! Invariant: what comes out depends on the bytes alone, and not on the pieces in which they came; there is never
//! more of it than went in; what was coded as chunks is decoded as it was, and what stands behind the body stays.
//!
//! The first byte is the way of framing, the next seven are sizes of pieces, the rest are the bytes.

#![no_main]

use bytes::BytesMut;
use cutover::upstream::framing::{Chunks, Framing, Part};
use http::HeaderMap;
use libfuzzer_sys::fuzz_target;

/// Everything that a reader learns.
#[derive(Debug, PartialEq)]
struct Outcome {
    /// Of a body that is refused the end alone counts: how much came before depends on the pieces.
    body: Vec<u8>,
    trailers: Option<HeaderMap>,
    behind: Vec<u8>,
    is_done: bool,
}

fn read(mut framing: Framing, bytes: &[u8], sizes: &[u8]) -> Result<Outcome, ()> {
    let (mut buffer, mut body, mut trailers) = (BytesMut::new(), Vec::new(), None);
    let (mut rest, mut turn) = (bytes, 0);
    loop {
        let size = if sizes.is_empty() { rest.len() } else { usize::from(sizes[turn % sizes.len()]) + 1 };
        let (piece, tail) = rest.split_at(size.min(rest.len()));
        buffer.extend_from_slice(piece);
        (rest, turn) = (tail, turn + 1);
        loop {
            let held = buffer.len();
            match framing.take(&mut buffer).map_err(|_| ())? {
                Part::Data(data) => {
                    assert!(!data.is_empty() && data.len() <= held - buffer.len(), "made of nothing");
                    body.extend_from_slice(&data);
                }
                Part::Trailers(found) => assert!(trailers.replace(found).is_none(), "trailers twice"),
                Part::More => {
                    assert!(!framing.is_done());
                    break;
                }
                Part::End => {
                    assert!(framing.is_done() && framing.may_end_here());
                    break;
                }
            }
        }
        if rest.is_empty() {
            break;
        }
    }
    assert!(body.len() + buffer.len() <= bytes.len(), "more came out than went in");
    Ok(Outcome { body, trailers, behind: buffer.to_vec(), is_done: framing.is_done() })
}

fuzz_target!(|data: &[u8]| {
    let Some((control, bytes)) = data.split_first_chunk::<8>() else { return };
    let [mode, sizes @ ..] = control;
    match mode & 3 {
        // Any bytes as chunks.
        0 | 1 => {
            let framing = || Framing::Chunked(Chunks::Size);
            let whole = read(framing(), bytes, &[]);
            assert_eq!(read(framing(), bytes, sizes), whole, "pieces change what is read");
            // Byte by byte a long trailer section is read again and again: short inputs say as much.
            if bytes.len() <= 2048 {
                assert_eq!(read(framing(), bytes, &[0]), whole, "single bytes change what is read");
            }
            if let Ok(Outcome { is_done: true, behind, .. }) = &whole {
                assert!(bytes.ends_with(behind));
                let body = &bytes[..bytes.len() - behind.len()];
                assert!(!read(framing(), &body[..body.len() - 1], sizes).is_ok_and(|cut| cut.is_done));
            }
        }
        // A body that is coded by the book.
        2 => {
            let (mut coded, mut rest, mut turn) = (Vec::new(), bytes, 0);
            while !rest.is_empty() {
                let (chunk, tail) = rest.split_at((usize::from(sizes[turn % 7]) * 40 + 1).min(rest.len()));
                let extension = if turn % 3 == 1 { " ;a=\"b\"" } else { "" };
                coded.extend_from_slice(format!("{:x}{extension}\r\n", chunk.len()).as_bytes());
                coded.extend_from_slice(chunk);
                coded.extend_from_slice(b"\r\n");
                (rest, turn) = (tail, turn + 1);
            }
            coded.extend_from_slice(b"0\r\n\r\nHTTP/1.1 ");
            for sizes in [&sizes[..], &[], &[0]] {
                let found = read(Framing::Chunked(Chunks::Size), &coded, sizes).expect("by the book");
                assert!(found.body == bytes && found.behind == b"HTTP/1.1 " && found.is_done);
            }
        }
        // A length, or everything until the end.
        _ => {
            let length = usize::from(sizes[0]) * 16;
            let found = read(Framing::Length(length as u64), bytes, sizes).expect("nothing to refuse");
            let end = length.min(bytes.len());
            assert!(found.body == bytes[..end] && found.behind == bytes[end..]);
            assert_eq!(found.is_done, bytes.len() >= length);
            let found = read(Framing::UntilClose, bytes, sizes).expect("nothing to refuse");
            assert!(found.body == bytes && found.behind.is_empty() && !found.is_done);
        }
    }
});
