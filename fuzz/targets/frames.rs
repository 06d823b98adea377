//! HTTP/2 as it comes, frame by frame, and what a plain connection begins with.
//!
//! Invariant: however the bytes are cut, the same flood is found at the same place, which is the end of a frame.

#![no_main]

use cutover::net::frames::Frames;
use cutover::net::preface::is_http2;
use libfuzzer_sys::fuzz_target;

/// What a header list may have.
const HEADER_BYTES: usize = 32 * 1024;

const PREFACE: usize = 24;

fuzz_target!(|data: &[u8]| {
    for length in 0..data.len().min(PREFACE) {
        // What is clear stays clear.
        if let Some(answer) = is_http2(&data[..length]) {
            assert_eq!(is_http2(data), Some(answer));
        }
    }
    let Some(([cut, kind, flags, length], rest)) = data.split_first_chunk::<4>() else { return };
    // Few inputs would be long enough for a flood: one frame, again and again, before the rest.
    let mut frame = vec![0, 0, length % 16, *kind, *flags, 0, 0, 0, 1];
    frame.resize(9 + usize::from(length % 16), 0);
    let bytes = [&[0; PREFACE][..], &frame.repeat(usize::from(*cut) * 4), rest].concat();
    let whole = Frames::new(HEADER_BYTES).feed(&bytes, 0);
    let mut frames = Frames::new(HEADER_BYTES);
    let (mut at, mut pieces) = (0, Ok(()));
    for piece in bytes.chunks(usize::from(cut % 32) + 1) {
        match frames.feed(piece, 0) {
            Ok(()) => at += piece.len(),
            Err((good, kind)) => {
                pieces = Err((at + good, kind));
                break;
            }
        }
    }
    assert_eq!(whole, pieces);
});
