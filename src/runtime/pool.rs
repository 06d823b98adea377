//! The endpoints of one engine, in one generation.

use std::sync::{Arc, Mutex, PoisonError};

use http::StatusCode;

use crate::ambient::Moment;
use crate::config::model::{Connections, Pool as PoolConfig, Timeouts};
use crate::decide::balance::{Balance, Candidates, Fitness, Weights};
use crate::decide::health::Ejection;
use crate::decide::retry::Retries;
use crate::upstream::endpoint::Endpoint;
use crate::upstream::standing::Turn;

/// The endpoints of one engine.
#[derive(Debug)]
pub struct Pool {
    /// In file order.
    pub endpoints: Vec<Arc<Endpoint>>,
    /// `None` exactly when there are no endpoints.
    weights: Option<Weights>,
    /// The hash by which pins name an endpoint, and its place; in the order of the hashes.
    by_hash: Vec<(u32, u32)>,
    /// How requests are spread.
    pub balance: Balance,
    /// How long we wait.
    pub timeouts: Timeouts,
    /// How many connections an endpoint may cost.
    pub connections: Connections,
    /// Whether the endpoints are spoken to in HTTP/2.
    pub http2: bool,
    /// How often requests may be sent once more.
    pub retries: Retries,
    /// When requests that fail keep an endpoint away.
    ejection: Ejection,
    /// Held while an endpoint may be ejected, so that no two workers take the last room at once.
    ejecting: Mutex<()>,
}

/// Who picks, and for what.
#[derive(Clone, Copy, Debug)]
pub struct Wish<'a> {
    /// 64 even bits, or the number of the turn.
    pub number: u64,
    /// Places of endpoints that have failed this request.
    pub tried: &'a [usize],
    /// Whether the request may find out if an endpoint is well again.
    pub may_try_out: bool,
}

impl Pool {
    /// A pool as configured; `known` finds endpoints that the generation before had.
    pub fn build<'a>(config: &PoolConfig, known: impl Fn(&str) -> Option<&'a Arc<Endpoint>>) -> Self {
        let endpoints: Vec<_> = config
            .endpoints
            .iter()
            .map(|spec| match known(&spec.url.to_string()) {
                Some(endpoint) => {
                    endpoint.set_limit(&config.connections);
                    Arc::clone(endpoint)
                }
                None => Arc::new(Endpoint::new(spec.url.clone(), &config.connections)),
            })
            .collect();
        let mut by_hash: Vec<_> = (0..).zip(&endpoints).map(|(at, endpoint)| (endpoint.hash, at)).collect();
        by_hash.sort_unstable();
        Self {
            by_hash,
            endpoints,
            weights: Weights::new(config.endpoints.iter().map(|spec| spec.weight).collect()),
            balance: config.balance,
            timeouts: config.timeouts,
            connections: config.connections,
            http2: config.http2,
            retries: config.retries,
            ejection: config.ejection.clone(),
            ejecting: Mutex::default(),
        }
    }

    /// The endpoint that should serve a request. One that is ejected is asked only when nobody else is left: a doubtful
    /// answer is better than none. `None` when there is nobody to ask, or all have failed this request.
    pub fn pick(&self, wish: Wish<'_>) -> Option<usize> {
        let weights = self.weights.as_ref()?;
        let among = Among { pool: self, may_try_out: wish.may_try_out };
        match self.balance {
            Balance::LeastRequest => weights.least_request(wish.number, wish.tried, &among),
            Balance::RoundRobin => weights.round_robin(wish.number, wish.tried, &among),
        }
    }

    /// Whether anybody may be asked besides these.
    pub fn has_another(&self, tried: &[usize]) -> bool {
        let others = (0..self.endpoints.len()).filter(|at| !tried.contains(at));
        others.map(|at| self.endpoints[at].standing.fitness()).any(|fitness| fitness != Fitness::Barred)
    }

    /// The endpoint of a pin, unless it is of no use: a flow, or a session, is often known to one endpoint alone
    /// (`DOMAIN.md` 2.1).
    pub fn keeper(&self, hash: u32, may_try_out: bool) -> Option<usize> {
        let found = self.by_hash.binary_search_by_key(&hash, |(hash, _)| *hash).ok()?;
        let at = self.by_hash[found].1 as usize;
        let keeps = match self.endpoints[at].standing.fitness() {
            Fitness::Full | Fitness::Growing(_) | Fitness::Draining => true,
            Fitness::Trial => may_try_out && self.endpoints[at].standing.try_out(),
            Fitness::Reserve | Fitness::Barred => false,
        };
        keeps.then_some(at)
    }

    /// A request failed at an endpoint; `what` says how.
    pub fn failed(&self, at: usize, what: &str, now: Moment) -> Option<Turn> {
        let has_room = || {
            let away = self.endpoints.iter().filter(|endpoint| endpoint.standing.is_away()).count();
            away < self.ejection.room(self.endpoints.len())
        };
        let _alone = self.ejecting.lock().unwrap_or_else(PoisonError::into_inner);
        self.endpoints[at].standing.request_failed(&self.ejection, now, what, has_room)
    }

    /// An endpoint answered.
    pub fn answered(&self, at: usize, status: StatusCode, now: impl FnOnce() -> Moment) -> Option<Turn> {
        self.endpoints[at].reached();
        if self.ejection.status.contains(status) {
            return self.failed(at, &format!("status {}", status.as_u16()), now());
        }
        self.endpoints[at].standing.request_answered(now)
    }

    /// Since when no endpoint has been reached, each at its last try, or none should be asked; `None` while one may be
    /// there. `now` is in seconds since the Unix epoch.
    pub fn gone_since(&self, now: u64) -> Option<u64> {
        self.endpoints
            .iter()
            .map(|endpoint| endpoint.gone_since(now))
            .try_fold(0, |latest, since| Some(since?.max(latest)))
    }

    /// Whether every endpoint is ejected or disabled.
    pub fn is_barred(&self) -> bool {
        !self.endpoints.is_empty()
            && self.endpoints.iter().all(|endpoint| endpoint.standing.barred_since().is_some())
    }

    /// Whether somebody may be sent there: an endpoint is not known to be gone.
    pub fn may_serve(&self, now: u64) -> bool {
        self.endpoints.iter().any(|endpoint| endpoint.may_serve(now))
    }
}

/// The endpoints of a pool, as one request picks among them.
struct Among<'a> {
    pool: &'a Pool,
    may_try_out: bool,
}

impl Candidates for Among<'_> {
    fn fitness(&self, at: usize) -> Fitness {
        self.pool.endpoints[at].standing.fitness()
    }

    fn load(&self, at: usize) -> usize {
        self.pool.endpoints[at].load()
    }

    fn try_out(&self, at: usize) -> bool {
        self.may_try_out && self.pool.endpoints[at].standing.try_out()
    }
}

#[cfg(test)]
mod tests {
    use std::num::{NonZeroU32, NonZeroUsize};
    use std::time::Duration;

    use super::*;
    use crate::ambient::Ambient;
    use crate::config::model::{EndpointSpec, EndpointUrl};
    use crate::decide::health::{Duty, Verdict};

    fn pool(endpoints: u16) -> Pool {
        let second = Duration::from_secs(1);
        let url = |port| EndpointUrl { host: "127.0.0.1".to_owned(), port };
        let config = PoolConfig {
            endpoints: (1..=endpoints).map(|port| EndpointSpec { url: url(port), weight: 1 }).collect(),
            balance: Balance::LeastRequest,
            timeouts: Timeouts { connect: second, response: second, idle: second },
            connections: Connections { idle: 1, max: NonZeroUsize::MIN, queue: 1, queue_timeout: second },
            http2: false,
            health: None,
            retries: Retries::default(),
            ejection: Ejection {
                failures: NonZeroU32::new(1),
                status: "502-503".parse().expect("statuses"),
                ..Ejection::default()
            },
        };
        Pool::build(&config, |_| None)
    }

    fn wish(number: u64) -> Wish<'static> {
        Wish { number, tried: &[], may_try_out: true }
    }

    #[test]
    fn requests_eject_at_most_their_part_of_a_pool() {
        let (pool, now) = (pool(4), Ambient::system().moment());
        let ejected: Vec<bool> = (0..4).map(|at| pool.failed(at, "refused", now).is_some()).collect();
        assert_eq!(ejected, [true, true, false, false], "half of it");
        assert!((0..64).all(|roll| pool.pick(wish(roll << 58 | roll << 26)).is_some_and(|at| at >= 2)));
        assert!(pool.answered(0, StatusCode::OK, || now).is_some_and(|turn| turn.is_ready));
        assert!(pool.failed(3, "refused", now).is_some(), "there is room again");
    }

    #[test]
    fn a_status_counts_as_a_failure_where_that_is_configured() {
        let (pool, now) = (pool(2), Ambient::system().moment());
        assert_eq!(pool.answered(0, StatusCode::INTERNAL_SERVER_ERROR, || now), None);
        let turn = pool.answered(0, StatusCode::BAD_GATEWAY, || now).expect("it turned");
        assert_eq!(
            (turn.verdict, turn.why.as_str()),
            (Verdict::Ejected, "1 failures in a row, the last: status 502")
        );
    }

    #[test]
    fn a_pin_finds_its_endpoint_unless_that_is_of_no_use() {
        let (pool, now) = (pool(3), Ambient::system().moment());
        for at in 0..3 {
            assert_eq!(pool.keeper(pool.endpoints[at].hash, true), Some(at));
        }
        assert_eq!(pool.keeper(1, true), None, "nobody's hash");
        let hash = pool.endpoints[1].hash;
        for (duty, keeper) in [(Duty::Draining, Some(1)), (Duty::Disabled, None), (Duty::Enabled, Some(1))] {
            let _ = pool.endpoints[1].standing.set_duty(duty, now);
            assert_eq!(pool.keeper(hash, true), keeper, "{duty:?}");
        }
        let _ = pool.failed(1, "refused", now);
        assert_eq!(pool.keeper(hash, true), None, "it is ejected");
        let back = Moment { monotonic: now.monotonic + Duration::from_secs(30), ..now };
        assert!(pool.endpoints[1].standing.pass(|| back).is_some());
        assert_eq!(
            [false, true, true].map(|may_try_out| pool.keeper(hash, may_try_out)),
            [None, Some(1), None]
        );
    }

    #[test]
    fn a_pool_is_gone_when_each_of_its_endpoints_is_unreachable_ejected_or_disabled() {
        let (pool, now) = (pool(3), Ambient::system().moment());
        pool.endpoints[0].refused(now.wall);
        let _ = pool.failed(1, "no answer", now);
        assert_eq!((pool.gone_since(now.wall), pool.may_serve(now.wall)), (None, true));
        let _ = pool.endpoints[2].standing.set_duty(Duty::Disabled, now);
        assert_eq!((pool.gone_since(now.wall), pool.may_serve(now.wall)), (Some(now.wall), false));
        assert!(!pool.is_barred() && pool.pick(wish(7)) == Some(0));
        assert_eq!(pool.pick(Wish { tried: &[0], ..wish(7) }), Some(1), "nobody else is left");
        assert_eq!(pool.pick(Wish { tried: &[0, 1], ..wish(7) }), None);
    }
}
