//! How many connections each client address has open, over all workers.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

/// Addresses are spread over so many tables, so that workers rarely wait for one another.
const TABLES: usize = 64;

/// The connections of all clients, by address. As large as there are connections, and no larger.
#[derive(Debug)]
pub struct Crowd([Mutex<HashMap<u64, usize>>; TABLES]);

impl Default for Crowd {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Mutex::default()))
    }
}

impl Crowd {
    /// Counts a connection in, until the guard is dropped; `None` when its address has `limit` open already.
    pub fn enter(self: &Arc<Self>, address: IpAddr, limit: NonZeroUsize) -> Option<Member> {
        let key = key_of(address);
        let mut table = self.table(key);
        let count = table.entry(key).or_default();
        if *count >= limit.get() {
            return None;
        }
        *count += 1;
        Some(Member { crowd: Arc::clone(self), key })
    }

    fn table(&self, key: u64) -> std::sync::MutexGuard<'_, HashMap<u64, usize>> {
        // Fibonacci hashing: neighbours must not share a table.
        let at = key.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 58;
        self.0[at as usize].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An IPv4 address, or the network of 64 bits that a subscriber has of IPv6 (RFC 6177 2): its addresses cost nothing.
fn key_of(address: IpAddr) -> u64 {
    match address.to_canonical() {
        // No network of IPv6 begins with 64 zeros but those that are none.
        IpAddr::V4(address) => u64::from(u32::from(address)),
        IpAddr::V6(address) => (u128::from(address) >> 64) as u64,
    }
}

/// One connection, counted.
#[derive(Debug)]
pub struct Member {
    crowd: Arc<Crowd>,
    key: u64,
}

impl Drop for Member {
    fn drop(&mut self) {
        if let Entry::Occupied(mut count) = self.crowd.table(self.key).entry(self.key) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_has_its_own_count_and_leaves_nothing_behind() {
        let crowd = Arc::<Crowd>::default();
        let limit = NonZeroUsize::new(2).expect("above 0");
        let enter = |address: &str| crowd.enter(address.parse().expect("an address"), limit);
        let first = enter("192.0.2.1");
        let second = enter("::ffff:192.0.2.1");
        assert!(first.is_some() && second.is_some());
        assert!(enter("192.0.2.1").is_none());
        assert!(enter("192.0.2.2").is_some());
        drop(first);
        assert!(enter("192.0.2.1").is_some());
        let held = [enter("2001:db8::1"), enter("2001:db8::2")];
        assert!(enter("2001:db8::3").is_none(), "one network of 64 bits is one client");
        assert!(enter("2001:db8:0:1::1").is_some());
        drop((second, held));
        assert!(crowd.0.iter().all(|table| table.lock().expect("no panic").is_empty()));
    }
}
