//! Places a subject on the line 0 … 99 999, and says how much of that line belongs to the Identity engine.
//!
//! Pure and for ever: the same key and salt give the same bucket on every machine and in every release.
//! `tests/golden/buckets_v1.csv` is the proof, and is only ever added to.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::decide::engine::Engine;
use crate::decide::subject::SubjectKey;

/// Length of the line: percentages have a resolution of 0.001 %.
const LINE: u32 = 100_000;

/// A subject's place on the line 0 … 99 999.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Bucket(u32);

impl Bucket {
    /// Bucket version 1 (`DESIGN.md` 3): the first eight bytes of SHA-256 over `salt ":" key`, read as a
    /// big-endian integer and scaled to the line by multiplication, in integers.
    pub fn of(salt: &str, key: &SubjectKey<'_>) -> Self {
        let digest = Sha256::new()
            .chain_update(salt.as_bytes())
            .chain_update(b":")
            .chain_update(key.as_bytes())
            .finalize();
        let (first, _) = digest.split_first_chunk::<8>().expect("SHA-256 gives 32 bytes");
        Self::from_roll(u64::from_be_bytes(*first))
    }

    /// A place for somebody without a key: 64 even bits scaled to the line.
    pub fn from_roll(roll: u64) -> Self {
        // The product is below 2^64 × 100 000, its upper half below 100 000: the cast cannot lose anything.
        Self(((u128::from(roll) * u128::from(LINE)) >> 64) as u32)
    }

    /// `None` beyond the end of the line: a place that does not exist cannot be built.
    pub fn new(place: u32) -> Option<Self> {
        (place < LINE).then_some(Self(place))
    }

    /// The place as a number, 0 … 99 999.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The smallest share under which this bucket belongs to the Identity engine.
    pub fn flips_at(self) -> Share {
        Share(self.0 + 1)
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// How much of the line belongs to the Identity engine, in parts per 100,000.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Share(u32);

impl Share {
    /// Nobody.
    pub const NONE: Self = Self(0);
    /// Everybody.
    pub const WHOLE: Self = Self(LINE);

    /// `None` above the whole: a share that cannot be true cannot be built.
    pub fn from_parts(parts: u32) -> Option<Self> {
        (parts <= LINE).then_some(Self(parts))
    }

    /// Parts per 100,000.
    pub const fn parts(self) -> u32 {
        self.0
    }

    /// The share as a ratio 0 … 1, for metrics; decisions never use it.
    pub fn ratio(self) -> f64 {
        f64::from(self.0) / f64::from(LINE)
    }

    /// Which engine a bucket belongs to: the cohort is all buckets *below* the share.
    pub const fn engine_for(self, bucket: Bucket) -> Engine {
        if bucket.0 < self.0 { Engine::Identity } else { Engine::Classic }
    }
}

/// As operators write it: `12.5%`, never more digits than it takes.
impl fmt::Display for Share {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, thousandths) = (self.0 / 1000, self.0 % 1000);
        if thousandths == 0 {
            write!(formatter, "{whole}%")
        } else {
            let digits = format!("{thousandths:03}");
            write!(formatter, "{whole}.{}%", digits.trim_end_matches('0'))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_prints_as_operators_write_it() {
        for (parts, text) in [
            (0, "0%"),
            (1, "0.001%"),
            (12_500, "12.5%"),
            (10_000, "10%"),
            (33_333, "33.333%"),
            (100_000, "100%"),
        ] {
            assert_eq!(Share::from_parts(parts).expect("within the whole").to_string(), text);
        }
    }

    #[test]
    fn the_ends_of_the_line_are_where_they_should_be() {
        assert_eq!(Bucket::from_roll(0).get(), 0);
        assert_eq!(Bucket::from_roll(u64::MAX).get(), 99_999);
        assert_eq!(Share::NONE.engine_for(Bucket(0)), Engine::Classic);
        assert_eq!(Share::WHOLE.engine_for(Bucket(99_999)), Engine::Identity);
        assert_eq!(Bucket::new(100_000), None);
        assert_eq!(Share::from_parts(100_001), None);
    }

    #[test]
    fn a_bucket_is_identity_from_the_share_at_which_it_flips() {
        let bucket = Bucket(71_213);
        assert_eq!(bucket.flips_at().engine_for(bucket), Engine::Identity);
        assert_eq!(Share(71_213).engine_for(bucket), Engine::Classic);
    }
}
