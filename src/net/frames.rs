//! HTTP/2 as it comes, frame by frame, for what floods a connection.
//!
//! Frames without payload cost their sender next to nothing and us some work each: resets (CVE-2023-44487), settings
//! (CVE-2019-9515), pings (CVE-2019-9512), empty data (CVE-2019-9518), priorities. The protocol library bounds what they
//! make us keep; here is bounded how many come.

use crate::net::preface::PREFACE;
use crate::telemetry::kinds::FloodKind;

/// RFC 9113 4.1.
const HEADER: usize = 9;

/// The largest payload of a frame that we accept, which is the least that may be accepted (RFC 9113 4.2).
const FRAME: usize = 16 * 1024;

const END_STREAM: u8 = 0x1;

/// RFC 9113 6.10.
const CONTINUATION: u8 = 0x9;

/// How many frames of one kind may come at once, and how many more with every second.
#[derive(Clone, Copy, Debug)]
struct Allowance {
    at_once: u32,
    per_second: u32,
}

/// What a client has left of one allowance.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: u32,
    /// When it was filled up last, in milliseconds of the worker's coarse clock.
    filled: u64,
}

/// Follows the frames of one connection.
#[derive(Debug)]
pub struct Frames {
    header: [u8; HEADER],
    /// Bytes of the header that are there.
    known: usize,
    /// Bytes of the preface or of a payload that are to come.
    skipping: usize,
    /// CONTINUATION frames of the present header block.
    continued: usize,
    /// How many of them one may have.
    continuable: usize,
    /// The frame that has begun is one too many.
    flood: Option<FloodKind>,
    buckets: [Bucket; FloodKind::COUNT],
}

/// Browsers give up a hundred streams when a page is left, and ask nothing of the rest in such numbers.
const fn allowance(kind: FloodKind) -> Allowance {
    match kind {
        FloodKind::Reset => Allowance { at_once: 500, per_second: 100 },
        FloodKind::Settings | FloodKind::Empty => Allowance { at_once: 50, per_second: 10 },
        FloodKind::Ping | FloodKind::Priority => Allowance { at_once: 500, per_second: 50 },
        // Every frame of a download may be answered by two.
        FloodKind::WindowUpdate => Allowance { at_once: 100_000, per_second: 50_000 },
        // These are bounded otherwise: by header block, and by the protocol library.
        FloodKind::Continuation | FloodKind::Other => Allowance { at_once: u32::MAX, per_second: u32::MAX },
    }
}

impl Frames {
    /// Of a connection whose header lists may have so many bytes.
    ///
    /// A block may be cut into a few more pieces than that takes (CVE-2024-27316): one less than the protocol library lets
    /// through, which would end the connection too, but could not say why.
    pub fn new(header_bytes: usize) -> Self {
        let pieces = (header_bytes / FRAME).max(1);
        Self {
            header: [0; HEADER],
            known: 0,
            skipping: PREFACE.len(),
            continued: 0,
            continuable: (pieces + pieces / 4).max(5) - 1,
            flood: None,
            buckets: FloodKind::ALL.map(|kind| Bucket { left: allowance(kind).at_once, filled: 0 }),
        }
    }

    /// Looks at the next bytes; `now` is in milliseconds. On a flood the number says how many of them end the frame that
    /// was one too many: what follows need not be looked at.
    pub fn feed(&mut self, bytes: &[u8], now: u64) -> Result<(), (usize, FloodKind)> {
        let mut at = 0;
        while at < bytes.len() {
            if self.skipping > 0 {
                let here = self.skipping.min(bytes.len() - at);
                self.skipping -= here;
                at += here;
                continue;
            }
            if let (0, Some(kind)) = (self.known, self.flood) {
                return Err((at, kind));
            }
            let here = (HEADER - self.known).min(bytes.len() - at);
            self.header[self.known..self.known + here].copy_from_slice(&bytes[at..at + here]);
            self.known += here;
            at += here;
            if self.known == HEADER {
                self.known = 0;
                self.skipping = usize::from(self.header[0]) << 16
                    | usize::from(self.header[1]) << 8
                    | usize::from(self.header[2]);
                self.continued = if self.header[3] == CONTINUATION { self.continued + 1 } else { 0 };
                self.flood = self.flood.or(self.kind().filter(|kind| !self.take(*kind, now)));
            }
        }
        match self.flood {
            Some(kind) if self.skipping == 0 && self.known == 0 => Err((at, kind)),
            Some(_) | None => Ok(()),
        }
    }

    /// What the frame whose header is there could be a flood of.
    fn kind(&self) -> Option<FloodKind> {
        match (self.header[3], self.skipping) {
            (0x0, 0) if self.header[4] & END_STREAM == 0 => Some(FloodKind::Empty),
            (0x2, _) => Some(FloodKind::Priority),
            (0x3, _) => Some(FloodKind::Reset),
            (0x4, _) => Some(FloodKind::Settings),
            (0x6, _) => Some(FloodKind::Ping),
            (0x8, _) => Some(FloodKind::WindowUpdate),
            (CONTINUATION, _) => Some(FloodKind::Continuation),
            _ => None,
        }
    }

    fn take(&mut self, kind: FloodKind, now: u64) -> bool {
        if kind == FloodKind::Continuation {
            return self.continued <= self.continuable;
        }
        let Allowance { at_once, per_second } = allowance(kind);
        let bucket = &mut self.buckets[kind.index()];
        let seconds = now.saturating_sub(bucket.filled) / 1000;
        if seconds > 0 {
            let gained = u32::try_from(seconds).unwrap_or(u32::MAX).saturating_mul(per_second);
            bucket.left = bucket.left.saturating_add(gained).min(at_once);
            bucket.filled = now;
        }
        let has_one = bucket.left > 0;
        bucket.left = bucket.left.saturating_sub(1);
        has_one
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: usize) -> Vec<u8> {
        let length = u32::try_from(payload).expect("short").to_be_bytes();
        [&length[1..], &[kind, flags, 0, 0, 0, 1], &vec![0xff; payload]].concat()
    }

    fn begun() -> Frames {
        let mut frames = Frames::new(32 * 1024);
        assert_eq!(frames.feed(PREFACE, 0), Ok(()));
        frames
    }

    #[test]
    fn ordinary_frames_are_never_a_flood() {
        let mut frames = begun();
        let bytes = [frame(0, 0, 16_384), frame(0, 1, 0), frame(1, 5, 40), frame(8, 0, 4)].concat();
        for _ in 0..10_000 {
            assert_eq!(frames.feed(&bytes, 0), Ok(()));
        }
    }

    #[test]
    fn what_is_one_too_many_is_found_however_it_is_cut() {
        for (kind, flags, payload, flood) in [
            (0x3, 0, 4, FloodKind::Reset),
            (0x4, 0, 0, FloodKind::Settings),
            (0x6, 0, 8, FloodKind::Ping),
            (0x2, 0, 5, FloodKind::Priority),
            (0x0, 0, 0, FloodKind::Empty),
            (0x9, 0, 10, FloodKind::Continuation),
        ] {
            let one = frame(kind, flags, payload);
            let block = FloodKind::Continuation;
            let allowed = if flood == block { 4 } else { allowance(flood).at_once as usize };
            let bytes = one.repeat(allowed + 10);
            let end = one.len() * (allowed + 1);
            assert_eq!(begun().feed(&bytes, 0), Err((end, flood)), "{flood:?}");
            let mut frames = begun();
            let fed = bytes.chunks(7).map(|piece| frames.feed(piece, 0)).find(Result::is_err);
            assert_eq!(fed.and_then(Result::err).map(|(_, kind)| kind), Some(flood), "{flood:?} in pieces");
        }
    }

    #[test]
    fn a_header_block_may_be_cut_into_a_few_pieces_and_a_large_one_into_more() {
        let begun = |header_bytes| {
            let mut frames = Frames::new(header_bytes);
            assert_eq!(frames.feed(PREFACE, 0), Ok(()));
            frames
        };
        let block = |pieces| [frame(0x1, 0, 10), frame(CONTINUATION, 0, 10).repeat(pieces)].concat();
        assert_eq!(begun(32 * 1024).feed(&block(4).repeat(1000), 0), Ok(()));
        assert!(begun(32 * 1024).feed(&block(5), 0).is_err());
        assert_eq!(begun(1024 * 1024).feed(&block(79), 0), Ok(()));
        assert!(begun(1024 * 1024).feed(&block(80), 0).is_err());
    }

    #[test]
    fn an_allowance_comes_back_with_time() {
        let mut frames = begun();
        let second = frame(0x6, 0, 8).repeat(allowance(FloodKind::Ping).per_second as usize);
        for now in (0..100_000).step_by(1000) {
            assert_eq!(frames.feed(&second, now), Ok(()), "{now}");
        }
    }
}
