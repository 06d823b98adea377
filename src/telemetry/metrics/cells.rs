//! The numbers themselves: counters, gauges and histograms that one worker writes and a scrape reads.
//!
//! **One writer each.** A worker adds by a plain load and store, without the locked instruction that `fetch_add`
//! would cost: nobody else writes its cells. Two writers would lose counts (never more than that), so whatever
//! several threads count is a [`SharedCounter`].

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A number that only grows, written by one thread.
#[derive(Debug)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Nothing counted yet.
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Counts `amount` more. For the one thread that owns this counter.
    pub fn add(&self, amount: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(amount), Relaxed);
    }

    /// The count so far.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

impl Default for Counter {
    fn default() -> Self {
        Self::new()
    }
}

/// A number that only grows, written by any thread; for what happens rarely.
#[derive(Debug, Default)]
pub struct SharedCounter(AtomicU64);

impl SharedCounter {
    /// Counts `amount` more.
    pub fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Relaxed);
    }

    /// The count so far.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A number that goes up and down, written by one thread. The worker that ends a thing need not be the one that
/// began it, so one worker's part may be negative; the sum is not.
#[derive(Debug, Default)]
pub struct Gauge(AtomicI64);

impl Gauge {
    /// Goes up or down. For the one thread that owns this gauge.
    pub fn add(&self, difference: i64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(difference), Relaxed);
    }

    /// This worker's part.
    pub fn get(&self) -> i64 {
        self.0.load(Relaxed)
    }
}

/// How many finite buckets a histogram has.
pub const BUCKETS: usize = 12;

/// The upper bounds of the buckets in nanoseconds, and as both text formats write them in seconds.
pub const BOUNDS: [(u64, &str, &str); BUCKETS] = [
    (5_000_000, "0.005", "0.005"),
    (10_000_000, "0.01", "0.01"),
    (25_000_000, "0.025", "0.025"),
    (50_000_000, "0.05", "0.05"),
    (100_000_000, "0.1", "0.1"),
    (250_000_000, "0.25", "0.25"),
    (500_000_000, "0.5", "0.5"),
    (1_000_000_000, "1", "1.0"),
    (2_500_000_000, "2.5", "2.5"),
    (5_000_000_000, "5", "5.0"),
    (10_000_000_000, "10", "10.0"),
    (30_000_000_000, "30", "30.0"),
];

/// Durations by bucket, written by one thread.
#[derive(Debug, Default)]
pub struct Histogram {
    /// Each bucket alone, not yet summed up; the last is beyond all bounds.
    buckets: [Counter; BUCKETS + 1],
    /// Overflows after 584 years of waiting.
    nanoseconds: Counter,
}

impl Histogram {
    /// Counts one duration. For the one thread that owns this histogram.
    pub fn observe(&self, duration: Duration) {
        let nanoseconds = duration
            .as_secs()
            .saturating_mul(1_000_000_000)
            .saturating_add(u64::from(duration.subsec_nanos()));
        // From the smallest up: most requests end in one of the first buckets.
        let bucket = BOUNDS.iter().position(|(bound, ..)| nanoseconds <= *bound).unwrap_or(BUCKETS);
        self.buckets[bucket].add(1);
        self.nanoseconds.add(nanoseconds);
    }
}

/// The sum of several workers' histograms.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct HistogramSum {
    pub(super) buckets: [u64; BUCKETS + 1],
    pub(super) nanoseconds: u64,
}

impl HistogramSum {
    pub(super) fn of<'a>(histograms: impl Iterator<Item = &'a Histogram>) -> Self {
        let mut sum = Self::default();
        for histogram in histograms {
            for (total, bucket) in sum.buckets.iter_mut().zip(&histogram.buckets) {
                *total += bucket.get();
            }
            sum.nanoseconds = sum.nanoseconds.wrapping_add(histogram.nanoseconds.get());
        }
        sum
    }

    /// How many durations; the count is read off the buckets, so that the two always agree.
    pub(super) fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

/// The status codes in IANA's registry, and 0 for a client that left before there was an answer.
pub(super) const CODES: [u16; 64] = [
    0, 100, 101, 102, 103, 104, 200, 201, 202, 203, 204, 205, 206, 207, 208, 226, 300, 301, 302, 303, 304,
    305, 307, 308, 400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 412, 413, 414, 415, 416, 417,
    418, 421, 422, 423, 424, 425, 426, 428, 429, 431, 451, 500, 501, 502, 503, 504, 505, 506, 507, 508, 510,
    511,
];

/// Where a code stands in [`CODES`]; `UNREGISTERED` for those that do not.
static PLACES: [u8; 600] = {
    let mut places = [UNREGISTERED; 600];
    let mut place = 0;
    while place < CODES.len() {
        places[CODES[place] as usize] = place as u8;
        place += 1;
    }
    places
};
const UNREGISTERED: u8 = u8::MAX;

/// Requests by status code, written by one thread.
#[derive(Debug)]
pub(super) struct Codes {
    registered: [Counter; CODES.len()],
    /// An app may invent codes: three digits, so this cannot grow beyond 900.
    others: Mutex<BTreeMap<u16, u64>>,
}

impl Default for Codes {
    fn default() -> Self {
        Self { registered: [const { Counter::new() }; CODES.len()], others: Mutex::default() }
    }
}

impl Codes {
    pub(super) fn add(&self, code: u16) {
        let place = PLACES.get(usize::from(code)).copied().unwrap_or(UNREGISTERED);
        match self.registered.get(usize::from(place)) {
            Some(counter) => counter.add(1),
            None => *lock(&self.others).entry(code.min(999)).or_default() += 1,
        }
    }

    /// Adds what was counted to a sum by code.
    pub(super) fn add_to(&self, sum: &mut BTreeMap<u16, u64>) {
        let others = lock(&self.others);
        let registered = CODES.iter().copied().zip(self.registered.iter().map(Counter::get));
        for (code, count) in registered.chain(others.iter().map(|(code, count)| (*code, *count))) {
            if count > 0 {
                *sum.entry(code).or_default() += count;
            }
        }
    }
}

/// A lock that a panic elsewhere does not take away: what it guards are maps that are whole at every step.
pub(in crate::telemetry) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lets one thing through per second, and counts what it holds back.
#[derive(Debug, Default)]
pub struct Throttle {
    second: AtomicU64,
    held_back: AtomicU64,
}

/// Workers read the wall clock at different moments, so a second may seem to come again for a tenth of one. Only
/// a clock that went back by more than this was set back.
const CLOCK_TOLERANCE: u64 = 5;

impl Throttle {
    /// `Some` for the first in this second, with how many were held back since the last one.
    pub fn admit(&self, second: u64) -> Option<u64> {
        let last = self.second.load(Relaxed);
        let is_new = second > last || last - second > CLOCK_TOLERANCE;
        if is_new && self.second.compare_exchange(last, second, Relaxed, Relaxed).is_ok() {
            return Some(self.held_back.swap(0, Relaxed));
        }
        self.held_back.fetch_add(1, Relaxed);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_counts_in_the_first_bucket_that_holds_it() {
        for (nanoseconds, bucket) in [
            (0, 0),
            (5_000_000, 0),
            (5_000_001, 1),
            (1_000_000_000, 7),
            (30_000_000_000, 11),
            (30_000_000_001, 12),
            (u64::MAX, 12),
        ] {
            let histogram = Histogram::default();
            histogram.observe(Duration::from_nanos(nanoseconds));
            let sum = HistogramSum::of([&histogram].into_iter());
            assert_eq!(sum.buckets[bucket], 1, "{nanoseconds} ns");
            assert_eq!((sum.count(), sum.nanoseconds), (1, nanoseconds));
        }
        let histogram = Histogram::default();
        histogram.observe(Duration::MAX);
        assert_eq!(HistogramSum::of([&histogram].into_iter()).buckets[BUCKETS], 1);
    }

    #[test]
    fn the_bounds_say_the_same_thrice() {
        for (nanoseconds, text, open_metrics) in BOUNDS {
            let seconds = nanoseconds as f64 / 1e9;
            assert_eq!(text.parse(), Ok(seconds));
            assert_eq!(open_metrics.parse(), Ok(seconds));
        }
        assert!(BOUNDS.is_sorted_by_key(|(bound, ..)| *bound));
    }

    #[test]
    fn every_code_is_counted_as_itself() {
        let codes = Codes::default();
        let mut expected = BTreeMap::new();
        for code in (0..1).chain(100..=999) {
            codes.add(code);
            expected.insert(code, 1);
        }
        let mut sum = BTreeMap::new();
        codes.add_to(&mut sum);
        assert_eq!(sum, expected);
        assert!(lock(&codes.others).contains_key(&600) && !lock(&codes.others).contains_key(&451));
    }

    #[test]
    fn a_throttle_lets_one_through_per_second_and_says_how_many_it_held_back() {
        let throttle = Throttle::default();
        assert_eq!(throttle.admit(100), Some(0));
        assert_eq!(throttle.admit(100), None);
        assert_eq!(throttle.admit(99), None, "a worker whose clock is a moment behind");
        assert_eq!(throttle.admit(101), Some(2));
        assert_eq!(throttle.admit(20), Some(0), "the clock was set back");
    }
}
