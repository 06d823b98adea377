//! One upstream address, shared by all workers: its load, its standing and its connection permits.
//!
//! Outlives reloads that leave its address alone, so that counters and connections carry over.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{Notify, Semaphore};

use crate::config::model::{Connections, EndpointUrl};
use crate::decide::anew::PATIENCE;
use crate::decide::workflow::hash_of;
use crate::upstream::standing::Standing;

/// One upstream address.
#[derive(Debug)]
pub struct Endpoint {
    /// Where it is.
    pub url: EndpointUrl,
    /// The URL as it stands in metrics and logs.
    pub label: String,
    /// The hash of the label, by which pins name their endpoint.
    pub hash: u32,
    /// The address, when the URL names one; DNS names are looked up for every new connection.
    pub address: Option<SocketAddr>,
    /// Requests in flight, for balancing.
    load: AtomicUsize,
    /// Connections that lie unused in the workers' pools.
    idle: AtomicUsize,
    /// Requests that wait for a connection.
    waiting: AtomicUsize,
    /// One permit per connection that may be open. Tokio's semaphore is fair and works across runtimes, and is
    /// only asked when a connection is opened.
    permits: Arc<Semaphore>,
    /// How many permits there are, held or not.
    permit_count: Mutex<usize>,
    /// Permits that are held beyond a limit that was lowered.
    excess: AtomicUsize,
    /// Whether it could be reached, as far as requests have found out.
    reach: Reach,
    /// Whether it should be asked.
    pub standing: Standing,
    /// The workers' pools, to be woken when they should give up unused connections.
    pools: Mutex<Vec<Weak<Notify>>>,
}

impl Endpoint {
    /// An endpoint that nobody uses yet.
    pub fn new(url: EndpointUrl, connections: &Connections) -> Self {
        let address = url.host.parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, url.port));
        let label = url.to_string();
        Self {
            hash: hash_of(&label),
            label,
            url,
            address,
            load: AtomicUsize::new(0),
            idle: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            permits: Arc::new(Semaphore::new(connections.max.get())),
            permit_count: Mutex::new(connections.max.get()),
            excess: AtomicUsize::new(0),
            reach: Reach::default(),
            standing: Standing::default(),
            pools: Mutex::new(Vec::new()),
        }
    }

    /// Takes over a changed `connections.max`. Connections above a lower limit live on until they end, and their
    /// permits end with them.
    pub fn set_limit(&self, connections: &Connections) {
        let wanted = connections.max.get();
        let mut count = self.permit_count.lock().unwrap_or_else(PoisonError::into_inner);
        // What was too many before is counted again.
        *count += self.excess.swap(0, Ordering::Relaxed);
        if wanted > *count {
            self.permits.add_permits(wanted - *count);
        } else {
            let held = (*count - wanted) - self.permits.forget_permits(*count - wanted);
            self.excess.store(held, Ordering::Relaxed);
        }
        *count = wanted;
    }

    /// Whether a connection that ends should take its permit with it; asked once for each.
    pub(super) fn is_one_too_many(&self) -> bool {
        self.excess.load(Ordering::Relaxed) > 0
            && self
                .excess
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |excess| excess.checked_sub(1))
                .is_ok()
    }

    /// Requests in flight.
    pub fn load(&self) -> usize {
        self.load.load(Ordering::Relaxed)
    }

    /// Counts a request in, until the guard is dropped.
    pub fn begin(self: &Arc<Self>) -> InFlight {
        self.load.fetch_add(1, Ordering::Relaxed);
        InFlight(Arc::clone(self))
    }

    /// It could not be reached. `now` is in seconds since the Unix epoch, here and below.
    pub fn refused(&self, now: u64) {
        self.reach.refused(now);
    }

    /// It was reached.
    pub fn reached(&self) {
        self.reach.answered();
    }

    /// Since when nobody has reached it, or nobody should try; `None` when somebody has, or nobody has tried lately.
    pub fn gone_since(&self, now: u64) -> Option<u64> {
        let barred = self.standing.barred_since().map(|since| since.min(now));
        match (self.reach.gone_since(now), barred) {
            (Some(gone), Some(barred)) => Some(gone.min(barred)),
            (gone, barred) => gone.or(barred),
        }
    }

    /// Whether it is worth sending somebody there: nothing speaks against it, and the last who tried has reached it, or
    /// that is a while ago.
    pub fn may_serve(&self, now: u64) -> bool {
        self.standing.barred_since().is_none() && self.reach.may_serve(now)
    }

    pub(super) fn permits(&self) -> &Arc<Semaphore> {
        &self.permits
    }

    pub(super) fn idle(&self) -> &AtomicUsize {
        &self.idle
    }

    /// Whether requests wait for a connection: then an unused one is better closed than kept.
    pub fn is_contended(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// Counts a waiting request in until the guard is dropped. `None` when the queue is full and no other
    /// worker has an unused connection to give up.
    pub(super) fn queue(self: &Arc<Self>, limit: usize) -> Option<Waiting> {
        let others_can_help = self.idle.load(Ordering::Relaxed) > 0;
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        let waiting = Waiting(Arc::clone(self));
        if before >= limit && !others_can_help {
            return None;
        }
        if others_can_help {
            self.ask_pools_to_shed();
        }
        Some(waiting)
    }

    /// Lets a worker's pool be woken when unused connections of this endpoint are wanted elsewhere.
    pub(super) fn register(&self, pool: &Arc<Notify>) {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        pools.retain(|pool| pool.strong_count() > 0);
        if !pools.iter().any(|known| std::ptr::eq(known.as_ptr(), Arc::as_ptr(pool))) {
            pools.push(Arc::downgrade(pool));
        }
    }

    fn ask_pools_to_shed(&self) {
        for pool in self.pools.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            if let Some(pool) = pool.upgrade() {
                pool.notify_one();
            }
        }
    }
}

/// What requests have found out about reaching an endpoint. Nobody asks on purpose, so news grows old.
#[derive(Debug, Default)]
struct Reach {
    /// Since when connects have failed, without an answer in between and without a silence in which the endpoint may
    /// have been back; 0: the last one has not.
    since: AtomicU64,
    /// When the last connect failed.
    last: AtomicU64,
}

/// A failed connect says so many seconds later that the endpoint is better not asked.
const SHUNNED: u64 = 10;

/// It says so many seconds later that the endpoint is still gone.
const REMEMBERED: u64 = 600;

/// A failed connect so many seconds after the one before is of another outage, for all we know: nobody has asked in
/// between. Whoever waits for an engine must be told to come back sooner than that.
pub const SILENCE: u64 = PATIENCE / 2;

impl Reach {
    fn refused(&self, now: u64) {
        let now = now.max(1);
        let (since, last) = (self.since.load(Ordering::Relaxed), self.last.swap(now, Ordering::Relaxed));
        // A clock that was set back begins anew, too.
        if since == 0 || since > now || now.saturating_sub(last) > SILENCE {
            self.since.store(now, Ordering::Relaxed);
        }
    }

    fn answered(&self) {
        // Looked at with every answer, and hardly ever written.
        if self.since.load(Ordering::Relaxed) != 0 {
            self.since.store(0, Ordering::Relaxed);
        }
    }

    fn gone_since(&self, now: u64) -> Option<u64> {
        let (since, last) = (self.since.load(Ordering::Relaxed), self.last.load(Ordering::Relaxed));
        (since != 0 && now.saturating_sub(last) <= REMEMBERED).then_some(since.min(now))
    }

    fn may_serve(&self, now: u64) -> bool {
        let (since, last) = (self.since.load(Ordering::Relaxed), self.last.load(Ordering::Relaxed));
        since == 0 || now.saturating_sub(last) > SHUNNED
    }
}

/// A request in flight at an endpoint.
#[derive(Debug)]
pub struct InFlight(Arc<Endpoint>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.load.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A request that waits for a connection.
#[derive(Debug)]
pub(super) struct Waiting(Arc<Endpoint>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_endpoint_is_gone_from_the_first_refusal_until_somebody_gets_an_answer() {
        let reach = Reach::default();
        assert_eq!((reach.gone_since(1000), reach.may_serve(1000)), (None, true));
        reach.refused(1000);
        reach.refused(1020);
        reach.refused(1050);
        assert_eq!((reach.gone_since(1055), reach.may_serve(1055)), (Some(1000), false));
        assert_eq!((reach.gone_since(1061), reach.may_serve(1061)), (Some(1000), true), "worth a try");
        assert_eq!(reach.gone_since(1651), None, "old news");
        reach.refused(1651);
        assert_eq!(reach.gone_since(1651), Some(1651), "another outage");
        reach.refused(900);
        assert_eq!(reach.gone_since(900), Some(900), "the clock was set back");
        reach.answered();
        assert_eq!((reach.gone_since(900), reach.may_serve(900)), (None, true));
    }

    #[test]
    fn refusals_that_do_not_keep_coming_are_of_two_outages() {
        let reach = Reach::default();
        reach.refused(1000);
        reach.refused(1085);
        assert_eq!(reach.gone_since(1085), Some(1085), "it may have been back");
        for now in (1085..=1085 + PATIENCE).step_by(SILENCE as usize) {
            reach.refused(now);
            assert_eq!(reach.gone_since(now), Some(1085));
        }
        reach.answered();
        reach.refused(1150);
        assert_eq!(reach.gone_since(1150), Some(1150), "it was back");
    }

    #[test]
    fn a_lowered_limit_holds_once_connections_above_it_have_ended() {
        let limit = |max| Connections {
            idle: 1,
            max: NonZeroUsize::new(max).expect("above 0"),
            queue: 0,
            queue_timeout: Duration::ZERO,
        };
        let endpoint = Endpoint::new(EndpointUrl { host: "127.0.0.1".to_owned(), port: 80 }, &limit(4));
        let held: Vec<_> =
            (0..3).map(|_| Arc::clone(endpoint.permits()).try_acquire_owned().expect("free")).collect();
        endpoint.set_limit(&limit(1));
        for permit in held {
            if endpoint.is_one_too_many() {
                permit.forget();
            }
        }
        assert_eq!(endpoint.permits().available_permits(), 1);
        endpoint.set_limit(&limit(3));
        assert_eq!(endpoint.permits().available_permits(), 3);
    }
}
