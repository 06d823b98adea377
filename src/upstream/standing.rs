//! How an endpoint stands: one verdict for all workers.
//!
//! Requests read one word, and take no lock; what changes the verdict takes one, and is rare: failures, the answers
//! behind them, probes, an operator.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::ambient::Moment;
use crate::decide::balance::Fitness;
use crate::decide::health::{Cause, Duty, Ejection, Health, Thresholds, Verdict};
use crate::telemetry::metrics::SharedEndpoint;
use crate::telemetry::noticed::EndpointTurned;

/// How an endpoint stands.
#[derive(Debug, Default)]
pub struct Standing {
    /// Its fitness, as [`packed`]: what `kept` comes to.
    fitness: AtomicU32,
    /// Whether an answer would change anything.
    heeds_answers: AtomicBool,
    /// Whether time alone will change anything.
    moves: AtomicBool,
    /// Whether requests keep it away, on probation included.
    is_away: AtomicBool,
    /// Since when it is not to be asked, in seconds since the Unix epoch; 0: it may be.
    barred_since: AtomicU64,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    health: Health,
    why: String,
}

/// The verdict on an endpoint, or an operator's word, has changed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Turn {
    /// What requests and probes say.
    pub verdict: Verdict,
    /// What the operator says.
    pub duty: Duty,
    /// Whether it is the operator's word that changed.
    pub by_operator: bool,
    /// Whether requests go there.
    pub is_ready: bool,
    /// Why, in words; empty where there is nothing to say.
    pub why: String,
}

impl Standing {
    /// How fit it is to be picked.
    pub fn fitness(&self) -> Fitness {
        unpacked(self.fitness.load(Relaxed))
    }

    /// Takes the trial that it offers; `false` when another request was faster.
    pub fn try_out(&self) -> bool {
        let (trial, taken) = (packed(Fitness::Trial), packed(Fitness::Reserve));
        self.fitness.compare_exchange(trial, taken, Relaxed, Relaxed).is_ok()
    }

    /// Whether requests go there.
    pub fn is_ready(&self) -> bool {
        matches!(self.fitness(), Fitness::Full | Fitness::Growing(_))
    }

    /// Whether requests keep it away, as `ejection.max_ejected` counts.
    pub fn is_away(&self) -> bool {
        self.is_away.load(Relaxed)
    }

    /// Since when it is ejected or disabled, in seconds since the Unix epoch.
    pub fn barred_since(&self) -> Option<u64> {
        let since = self.barred_since.load(Relaxed);
        (since != 0).then_some(since)
    }

    /// Everything as it is now, for people.
    pub fn turn(&self) -> Turn {
        let kept = self.kept();
        Turn::of(&kept, false)
    }

    /// A request failed there; `what` says how.
    pub fn request_failed(
        &self,
        rules: &Ejection,
        now: Moment,
        what: &str,
        has_room: impl FnOnce() -> bool,
    ) -> Option<Turn> {
        self.change(now, |health| {
            let on_probation = health.verdict() == Verdict::Probation;
            health.request_failed(rules, now.monotonic, has_room);
            if on_probation {
                format!("the trial failed: {what}")
            } else {
                let failures = rules.failures.map_or(0, std::num::NonZeroU32::get);
                format!("{failures} failures in a row, the last: {what}")
            }
        })
    }

    /// A request was answered there. Called for every answer, and hardly ever does anything.
    pub fn request_answered(&self, now: impl FnOnce() -> Moment) -> Option<Turn> {
        if !self.heeds_answers.load(Relaxed) {
            return None;
        }
        let now = now();
        self.change(now, |health| {
            health.request_answered(now.monotonic);
            "a request was answered".to_owned()
        })
    }

    /// A probe ended; the error says how it failed.
    pub fn probed(&self, thresholds: Thresholds, outcome: Result<(), String>, now: Moment) -> Option<Turn> {
        self.change(now, |health| match outcome {
            Ok(()) => {
                health.probe_passed(thresholds, now.monotonic);
                "probes pass".to_owned()
            }
            Err(what) => {
                health.probe_failed(thresholds);
                format!("{} failed probes in a row, the last: {what}", thresholds.unhealthy)
            }
        })
    }

    /// Nobody probes it any more.
    pub fn unprobed(&self, now: Moment) -> Option<Turn> {
        self.change(now, |health| {
            health.unprobed(now.monotonic);
            "it is not probed any more".to_owned()
        })
    }

    /// An operator's word.
    pub fn set_duty(&self, duty: Duty, now: Moment) -> Option<Turn> {
        self.change(now, |health| {
            health.set_duty(duty, now.monotonic);
            "an operator says so".to_owned()
        })
    }

    /// Time has passed. Called for every endpoint at every tick, and hardly ever does anything.
    pub fn pass(&self, now: impl FnOnce() -> Moment) -> Option<Turn> {
        if !self.moves.load(Relaxed) {
            return None;
        }
        let now = now();
        self.change(now, |health| {
            health.pass(now.monotonic);
            "its time is over: one request or probe finds out".to_owned()
        })
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets something happen, whose reason is only kept when it changes what is told.
    fn change(&self, now: Moment, happens: impl FnOnce(&mut Health) -> String) -> Option<Turn> {
        let mut kept = self.kept();
        let before = kept.health;
        let why = happens(&mut kept.health);
        let health = kept.health;
        // A trial that somebody has taken stays taken until another is offered.
        if health != before || health.verdict() != Verdict::Probation {
            self.show(&health, now.monotonic);
        }
        let by_operator = health.duty() != before.duty();
        let differs = health.verdict() != before.verdict() || health.cause() != before.cause();
        if !differs && !by_operator {
            return None;
        }
        kept.why = why;
        let is_barred = health.verdict() == Verdict::Ejected || health.duty() == Duty::Disabled;
        match (is_barred, self.barred_since.load(Relaxed)) {
            (false, _) => self.barred_since.store(0, Relaxed),
            (true, 0) => self.barred_since.store(now.wall.max(1), Relaxed),
            (true, _) => {}
        }
        Some(Turn::of(&kept, by_operator))
    }

    fn show(&self, health: &Health, now: Instant) {
        let by_requests = matches!(health.cause(), Some(Cause::Requests { .. }));
        self.is_away.store(by_requests || health.verdict() == Verdict::Probation, Relaxed);
        self.heeds_answers.store(health.heeds_answers(), Relaxed);
        self.moves.store(health.moves(now), Relaxed);
        self.fitness.store(packed(health.fitness(now)), Relaxed);
    }
}

impl Turn {
    /// Tells of it.
    pub fn tell(&self, endpoint: &SharedEndpoint) {
        let Self { verdict, duty, by_operator, is_ready, why } = self;
        EndpointTurned {
            endpoint,
            verdict: *verdict,
            duty: *duty,
            by_operator: *by_operator,
            is_ready: *is_ready,
            why,
        }
        .tell();
    }

    fn of(kept: &Kept, by_operator: bool) -> Self {
        let Kept { health, why } = kept;
        let (verdict, duty) = (health.verdict(), health.duty());
        let is_ready = verdict == Verdict::Ready && duty == Duty::Enabled;
        let why = if is_ready && !by_operator { String::new() } else { why.clone() };
        Self { verdict, duty, by_operator, is_ready, why }
    }
}

/// The parts of an endpoint that grows lie between the whole, which is 0, and the rest.
const fn packed(fitness: Fitness) -> u32 {
    match fitness {
        Fitness::Full => 0,
        Fitness::Growing(part) => part as u32,
        Fitness::Trial => 1 << 16,
        Fitness::Reserve => 2 << 16,
        Fitness::Draining => 3 << 16,
        Fitness::Barred => 4 << 16,
    }
}

const fn unpacked(word: u32) -> Fitness {
    match word {
        0 => Fitness::Full,
        part if part < 1 << 16 => Fitness::Growing(part as u16),
        word => match word >> 16 {
            1 => Fitness::Trial,
            2 => Fitness::Reserve,
            3 => Fitness::Draining,
            _ => Fitness::Barred,
        },
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::time::Duration;

    use super::*;
    use crate::ambient::Ambient;

    fn rules() -> Ejection {
        Ejection { failures: NonZeroU32::new(1), ..Ejection::default() }
    }

    fn later(now: Moment, seconds: u64) -> Moment {
        Moment { monotonic: now.monotonic + Duration::from_secs(seconds), wall: now.wall + seconds, ..now }
    }

    #[test]
    fn a_verdict_is_told_once_and_read_without_a_lock() {
        let (standing, now) = (Standing::default(), Ambient::system().moment());
        assert_eq!((standing.fitness(), standing.request_answered(|| now)), (Fitness::Full, None));
        let turn = standing.request_failed(&rules(), now, "refused", || true).expect("it turned");
        assert_eq!(turn.why, "1 failures in a row, the last: refused");
        assert_eq!((turn.verdict, turn.is_ready, standing.is_away()), (Verdict::Ejected, false, true));
        assert_eq!(standing.request_failed(&rules(), now, "refused", || true), None, "no news");
        assert_eq!((standing.barred_since(), standing.fitness()), (Some(now.wall), Fitness::Reserve));
        assert_eq!(standing.pass(|| later(now, 29)), None);
        assert_eq!(standing.pass(|| later(now, 30)).map(|turn| turn.verdict), Some(Verdict::Probation));
        assert_eq!([(); 3].map(|()| standing.try_out()), [true, false, false], "one trial");
        assert_eq!((standing.pass(|| later(now, 34)), standing.fitness()), (None, Fitness::Reserve));
        assert_eq!((standing.pass(|| later(now, 36)), standing.fitness()), (None, Fitness::Trial), "another");
        let turn = standing.request_answered(|| later(now, 37)).expect("it turned");
        assert_eq!((turn.is_ready, turn.why.as_str(), standing.barred_since()), (true, "", None));
        assert_eq!(standing.fitness(), Fitness::Growing(1 << 12));
        assert_eq!((standing.pass(|| later(now, 42)), standing.fitness()), (None, Fitness::Growing(34_816)));
        assert_eq!((standing.pass(|| later(now, 47)), standing.fitness()), (None, Fitness::Full));
        assert_eq!(standing.pass(|| panic!("nothing moves any more")), None);
    }

    #[test]
    fn an_operators_word_outlives_what_requests_and_probes_say() {
        let (standing, now) = (Standing::default(), Ambient::system().moment());
        let turn = standing.set_duty(Duty::Disabled, now).expect("it turned");
        assert_eq!(
            (turn.by_operator, turn.is_ready, turn.why.as_str()),
            (true, false, "an operator says so")
        );
        let _ = standing.request_failed(&rules(), now, "refused", || true);
        let _ = standing.request_answered(|| now);
        assert_eq!((standing.fitness(), standing.barred_since()), (Fitness::Barred, Some(now.wall)));
        assert_eq!(standing.set_duty(Duty::Disabled, now), None, "no news");
        assert!(standing.set_duty(Duty::Enabled, now).is_some_and(|turn| turn.is_ready));
    }

    #[test]
    fn every_fitness_is_read_as_it_was_written() {
        for fitness in [
            Fitness::Full,
            Fitness::Growing(1),
            Fitness::Growing(u16::MAX),
            Fitness::Trial,
            Fitness::Reserve,
            Fitness::Draining,
            Fitness::Barred,
        ] {
            assert_eq!(unpacked(packed(fitness)), fitness);
        }
    }
}
