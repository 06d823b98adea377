//! May a failed attempt be repeated on another endpoint? (`DESIGN.md` 10)

use std::time::{Duration, Instant};

use http::Method;

use crate::decide::bucket::Share;

/// How far an attempt had come when it failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Progress {
    /// Not one byte of the request was written.
    NothingWritten,
    /// Some of the request was written, and no byte of a response came.
    Written,
    /// A response had begun.
    Answering,
}

/// How often requests may be sent once more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Retries {
    /// Extra tries of one request.
    pub attempts: u32,
    /// Extra tries of all requests, as a share of those.
    pub budget: Share,
}

impl Default for Retries {
    fn default() -> Self {
        Self { attempts: 1, budget: Share::from_parts(20_000).unwrap_or(Share::WHOLE) }
    }
}

/// Requests and extra tries are counted by periods, of which the present one and the last count.
const PERIOD: Duration = Duration::from_secs(10);

/// So many extra tries are allowed in any case, in those two periods: hardly any traffic must not mean no second try.
pub const RESERVE: u32 = 10;

/// What one worker has spent on extra tries at one engine: when that fails as a whole, they must not double what it has
/// to bear.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    began: Instant,
    /// In this period, and in the one before.
    requests: [u32; 2],
    tries: [u32; 2],
}

impl Budget {
    /// Nothing is spent yet.
    pub const fn new(now: Instant) -> Self {
        Self { began: now, requests: [0; 2], tries: [0; 2] }
    }

    /// A request comes, which earns a part of an extra try.
    pub fn earn(&mut self, now: Instant) {
        let since = now.saturating_duration_since(self.began);
        if since >= PERIOD {
            let is_next = since < PERIOD * 2;
            let before = |counted: [u32; 2]| [0, if is_next { counted[0] } else { 0 }];
            *self = Self { began: now, requests: before(self.requests), tries: before(self.tries) };
        }
        self.requests[0] = self.requests[0].saturating_add(1);
    }

    /// Spends an extra try, if there is one left.
    pub fn spend(&mut self, rules: Retries) -> bool {
        let sum = |counted: [u32; 2]| u64::from(counted[0]) + u64::from(counted[1]);
        let parts = u64::from(rules.budget.parts());
        let earned = sum(self.requests) * parts / u64::from(Share::WHOLE.parts());
        let is_left = sum(self.tries) < earned + u64::from(RESERVE);
        if is_left {
            self.tries[0] += 1;
        }
        is_left
    }
}

/// Whether a request may be sent once more after it failed. `has_body` is whether it carries one, `once` whether it
/// brings a one-time answer or link.
///
/// What was written may have been acted upon, even when the connection closed without a word: only methods
/// that RFC 9110 9.2.2 calls idempotent are sent twice, of those only the ones that engines treat so, and only
/// without a body, since that was consumed.
pub fn may_repeat(
    progress: Progress,
    method: &Method,
    has_body: bool,
    once: bool,
    rules: Retries,
    tries_so_far: u32,
) -> bool {
    if tries_so_far > rules.attempts {
        return false;
    }
    match progress {
        Progress::NothingWritten => true,
        Progress::Written => !has_body && !once && is_repeatable(method),
        Progress::Answering => false,
    }
}

/// Methods of which a second copy does no harm.
pub fn is_repeatable(method: &Method) -> bool {
    [Method::GET, Method::HEAD, Method::OPTIONS, Method::PUT, Method::DELETE].contains(method)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_cannot_do_harm_is_sent_twice() {
        use Progress::{Answering, NothingWritten, Written};
        for (progress, method, has_body, tries, allowed) in [
            (NothingWritten, Method::POST, true, 1, true),
            (NothingWritten, Method::POST, true, 2, false),
            (Written, Method::GET, false, 1, true),
            (Written, Method::GET, false, 2, false),
            (Written, Method::GET, true, 1, false),
            (Written, Method::DELETE, false, 1, true),
            (Written, Method::PUT, true, 1, false),
            (Written, Method::POST, false, 1, false),
            (Written, Method::PATCH, false, 1, false),
            (Written, Method::TRACE, false, 1, false),
            (Answering, Method::GET, false, 1, false),
        ] {
            let may = |once, attempts| {
                let rules = Retries { attempts, ..Retries::default() };
                may_repeat(progress, &method, has_body, once, rules, tries)
            };
            assert_eq!(may(false, 1), allowed, "{progress:?} {method} body {has_body} after {tries}");
            assert_eq!(may(true, 1), allowed && progress == NothingWritten, "{progress:?} {method} once");
            assert!(!may(false, 0), "no extra try at all");
            let never =
                progress == Answering || (progress == Written && (has_body || !is_repeatable(&method)));
            assert_eq!(may(false, 5), !never, "{progress:?} {method} body {has_body} of five");
        }
    }

    #[test]
    fn extra_tries_are_a_part_of_the_requests_and_ten_in_any_case() {
        let now = crate::ambient::Ambient::system().instant();
        let spent = |budget: &mut Budget, rules| (0..10_000).filter(|_| budget.spend(rules)).count();
        for (parts, requests, tries) in
            [(20_000, 0, 10), (20_000, 100, 30), (20_000, 4, 10), (0, 1000, 10), (100_000, 100, 110)]
        {
            let rules = Retries { attempts: 1, budget: Share::from_parts(parts).expect("a part") };
            let mut budget = Budget::new(now);
            (0..requests).for_each(|_| budget.earn(now));
            assert_eq!(spent(&mut budget, rules), tries, "{parts} of {requests}");
        }
        let mut budget = Budget::new(now);
        for (seconds, requests, tries, why) in [
            (0, 100, 30, "ten, and a fifth"),
            (9, 100, 20, "a fifth"),
            (10, 100, 20, "the period before counts on"),
            (20, 100, 30, "what is older does not: neither what it earned nor what it spent"),
            (999, 0, 0, "no request has come since, so it is still that time"),
            (1000, 1, 10, "after a silence"),
        ] {
            (0..requests).for_each(|_| budget.earn(now + Duration::from_secs(seconds)));
            assert_eq!(spent(&mut budget, Retries::default()), tries, "at {seconds} s: {why}");
        }
    }
}
