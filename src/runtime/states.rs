//! The index of `state` values: which engine issued the one that a callback brings.
//!
//! A value is kept as an HMAC under a key that dies with the process, never itself. The index is bounded by count
//! and by time: the oldest go first. Sharded, so that workers seldom meet; no lock is held across an await.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::ambient::fresh_key;
use crate::decide::decision::StateHit;

/// More than an identity provider's `state` has: a longer one is not remembered.
const LONGEST_STATE: usize = 4096;
const SHARDS: usize = 16;
/// 100,000 values of 72 bytes, in the table and in the queue, stay under 16 MiB with their free places.
const CAPACITY: usize = 100_000;

type Digest = [u8; 16];

/// The index of a process.
pub struct States {
    mac: Hmac<Sha256>,
    capacity: usize,
    shards: [Mutex<Shard>; SHARDS],
}

#[derive(Default)]
struct Shard {
    known: HashMap<Digest, Entry>,
    /// By age. A value that was issued again stands here twice, and leaves with its newer place.
    order: VecDeque<(Digest, u64)>,
}

#[derive(Clone, Copy)]
struct Entry {
    hit: StateHit,
    expires: u64,
}

impl Default for States {
    fn default() -> Self {
        Self::with_capacity(CAPACITY)
    }
}

impl States {
    /// An index of at most so many values.
    pub fn with_capacity(capacity: usize) -> Self {
        let mac = Hmac::new_from_slice(&fresh_key()).expect("HMAC takes keys of any length");
        Self { mac, capacity: capacity.div_ceil(SHARDS), shards: Default::default() }
    }

    fn digest(&self, app: &str, state: &[u8]) -> Digest {
        let mac = self.mac.clone().chain_update(app).chain_update([0]).chain_update(state);
        *mac.finalize().into_bytes().first_chunk().expect("SHA-256 gives 32 bytes")
    }

    fn shard(&self, digest: &Digest) -> MutexGuard<'_, Shard> {
        // A panic cannot leave half an entry behind: entries are whole values.
        self.shards[usize::from(digest[0]) % SHARDS].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers who issued a value, decoded, until `expires`. Times are seconds since the Unix epoch.
    pub fn remember(&self, app: &str, state: &[u8], hit: StateHit, now: u64, expires: u64) {
        if state.is_empty() || state.len() > LONGEST_STATE {
            return;
        }
        let digest = self.digest(app, state);
        let mut shard = self.shard(&digest);
        shard.known.insert(digest, Entry { hit, expires });
        shard.order.push_back((digest, expires));
        let Shard { known, order } = &mut *shard;
        while let Some((oldest, until)) = order.front().copied() {
            let is_over = until < now;
            if !is_over && order.len() <= self.capacity {
                break;
            }
            order.pop_front();
            // Unless it was issued again since.
            if known.get(&oldest).is_some_and(|entry| entry.expires == until) {
                known.remove(&oldest);
            }
        }
    }

    /// Who issued a value, as far as this process saw it.
    pub fn find(&self, app: &str, state: &[u8], now: u64) -> Option<StateHit> {
        if state.is_empty() || state.len() > LONGEST_STATE {
            return None;
        }
        let digest = self.digest(app, state);
        let entry = self.shard(&digest).known.get(&digest).copied()?;
        (entry.expires >= now).then_some(entry.hit)
    }

    /// How many values are known.
    pub fn len(&self) -> usize {
        let count = |shard: &Mutex<Shard>| shard.lock().unwrap_or_else(PoisonError::into_inner).known.len();
        self.shards.iter().map(count).sum()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl fmt::Debug for States {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "States({})", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::engine::Engine;

    const HIT: StateHit = StateHit { engine: Engine::Identity, workflow: Some(1), endpoint: 2, issued: 100 };

    #[test]
    fn a_value_is_known_for_its_app_until_it_expires() {
        let states = States::default();
        states.remember("portal", b"s1", HIT, 100, 200);
        assert_eq!(states.find("portal", b"s1", 200), Some(HIT));
        assert_eq!(states.find("portal", b"s1", 201), None);
        assert_eq!(states.find("other", b"s1", 100), None);
        assert_eq!(states.find("portal", b"s2", 100), None);
        states.remember("portal", &[b'x'; 100 * 1024], HIT, 100, 200);
        assert_eq!(states.len(), 1);
    }

    #[test]
    fn the_oldest_of_a_million_go_first() {
        let states = States::with_capacity(1600);
        for number in 0..1_000_000u32 {
            states.remember("portal", &number.to_be_bytes(), HIT, 100, 200);
        }
        assert!(states.len() <= 1600, "{}", states.len());
        assert_eq!(states.find("portal", &0u32.to_be_bytes(), 100), None);
        assert_eq!(states.find("portal", &999_999u32.to_be_bytes(), 100), Some(HIT));
    }

    #[test]
    fn a_value_that_is_issued_again_is_young_again() {
        let states = States::with_capacity(32);
        states.remember("portal", b"s", HIT, 100, 200);
        states.remember("portal", b"s", HIT, 150, 250);
        states.remember("portal", b"other", HIT, 240, 340);
        assert_eq!(states.find("portal", b"s", 240), Some(HIT));
    }

    #[test]
    fn a_full_index_stays_under_16_mib() {
        let entry = size_of::<(Digest, Entry)>() + 1;
        let place = size_of::<(Digest, u64)>();
        // A table doubles when it is seven eighths full, a queue when it is full: at worst half of each is free.
        let most = CAPACITY * 2 * (entry * 8 / 7 + place);
        assert!(most < 16 * 1024 * 1024, "{most} bytes");
    }
}
