//! Whether an endpoint is fit to be asked, from what requests and probes have seen of it.
//!
//! ```text
//!          failures in a row                 its time is up
//!  Ready ────────────────────▶ Ejected ────────────────────▶ Probation
//!    ▲   probes in a row fail                                   │  │
//!    └───────── an answer; probes in a row pass ────────────────┘  └──▶ Ejected, for twice as long
//! ```
//! An operator's word stands above all of it, and is forgotten by none of it.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use crate::decide::balance::Fitness;
use crate::decide::bucket::Share;
use crate::decide::status::Statuses;

/// So many times `ejection.base` is the longest that requests keep an endpoint away. One that has served for as long
/// begins anew at the base.
pub const LONGEST: u32 = 10;

/// How long the part of an endpoint that came back grows until it is whole again.
pub const RAMP: Duration = Duration::from_secs(10);

/// An endpoint on probation offers a trial so often: the one before may have led to nothing.
pub const TRIAL: Duration = Duration::from_secs(5);

/// When requests eject an endpoint.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ejection {
    /// So many failures in a row, over all workers; `None`: never.
    pub failures: Option<NonZeroU32>,
    /// For how long at first.
    pub base: Duration,
    /// At most this part of a pool, rounded down; but one endpoint, unless it is 0.
    pub max_ejected: Share,
    /// Answers that count as failures.
    pub status: Statuses,
}

impl Default for Ejection {
    fn default() -> Self {
        Self {
            failures: NonZeroU32::new(5),
            base: Duration::from_secs(30),
            max_ejected: Share::from_parts(50_000).unwrap_or(Share::WHOLE),
            status: Statuses::default(),
        }
    }
}

impl Ejection {
    /// How many of a pool of this size requests may keep away at once.
    pub fn room(&self, endpoints: usize) -> usize {
        let parts = u64::from(self.max_ejected.parts());
        let part = endpoints as u64 * parts / u64::from(Share::WHOLE.parts());
        if parts == 0 { 0 } else { (part as usize).max(1) }
    }
}

/// How many probes in a row make a verdict.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Thresholds {
    /// That pass.
    pub healthy: NonZeroU32,
    /// That fail.
    pub unhealthy: NonZeroU32,
}

/// What requests and probes say of an endpoint.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// It takes requests.
    Ready,
    /// It does not.
    Ejected,
    /// One request, or probe, may find out.
    Probation,
}

impl Verdict {
    /// The name in logs and in `status`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Ejected => "ejected",
            Self::Probation => "probation",
        }
    }
}

/// What an operator has it do.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Duty {
    /// It takes requests as its verdict says.
    #[default]
    Enabled,
    /// Only those that are pinned to it.
    Draining,
    /// None.
    Disabled,
}

impl Duty {
    /// The name in logs, in `status` and, as a verb, in the admin API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Draining => "draining",
            Self::Disabled => "disabled",
        }
    }
}

/// Who has ejected it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Cause {
    /// Requests that failed: until a time.
    Requests {
        /// Which.
        until: Instant,
    },
    /// Probes: until they pass.
    Probes,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    /// Since when; `None`: it has never been anything else.
    Ready(Option<Instant>),
    Ejected(Cause),
    /// When it offered a trial last.
    Probation(Instant),
}

/// What is known of an endpoint.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Health {
    state: State,
    duty: Duty,
    /// Requests in a row that failed.
    failures: u32,
    /// How often in a row requests have ejected it.
    ejections: u32,
    /// Probes in a row that had another outcome than its verdict says.
    contrary: u32,
    /// Whether probes come at all: then nobody's request is a trial.
    is_probed: bool,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            state: State::Ready(None),
            duty: Duty::Enabled,
            failures: 0,
            ejections: 0,
            contrary: 0,
            is_probed: false,
        }
    }
}

impl Health {
    /// What requests and probes say.
    pub fn verdict(&self) -> Verdict {
        match self.state {
            State::Ready(_) => Verdict::Ready,
            State::Ejected(_) => Verdict::Ejected,
            State::Probation(_) => Verdict::Probation,
        }
    }

    /// Who ejected it, while it is.
    pub fn cause(&self) -> Option<Cause> {
        match self.state {
            State::Ejected(cause) => Some(cause),
            State::Ready(_) | State::Probation(_) => None,
        }
    }

    /// What the operator says.
    pub fn duty(&self) -> Duty {
        self.duty
    }

    /// Whether an answer of it would change anything.
    pub fn heeds_answers(&self) -> bool {
        self.failures > 0 || !matches!(self.state, State::Ready(_) | State::Ejected(Cause::Probes))
    }

    /// Whether time alone will change how fit it is.
    pub fn moves(&self, now: Instant) -> bool {
        match self.state {
            State::Ready(since) => since.is_some_and(|since| now.saturating_duration_since(since) < RAMP),
            State::Ejected(Cause::Requests { .. }) | State::Probation(_) => true,
            State::Ejected(Cause::Probes) => false,
        }
    }

    /// How fit it is to be picked.
    pub fn fitness(&self, now: Instant) -> Fitness {
        match (self.duty, self.state) {
            (Duty::Disabled, _) => Fitness::Barred,
            (_, State::Ejected(_)) => Fitness::Reserve,
            (Duty::Draining, State::Ready(_)) => Fitness::Draining,
            (Duty::Enabled, State::Probation(_)) if !self.is_probed => Fitness::Trial,
            (_, State::Probation(_)) => Fitness::Reserve,
            (Duty::Enabled, State::Ready(None)) => Fitness::Full,
            (Duty::Enabled, State::Ready(Some(since))) => grown(now.saturating_duration_since(since)),
        }
    }

    /// A request failed there. `has_room` says whether one endpoint more of the pool may be kept away; it is asked only
    /// when that matters.
    pub fn request_failed(&mut self, rules: &Ejection, now: Instant, has_room: impl FnOnce() -> bool) {
        let Some(most) = rules.failures else { return };
        self.failures = self.failures.saturating_add(1);
        let longest = rules.base.saturating_mul(LONGEST);
        match self.state {
            State::Ready(since) if self.failures >= most.get() && has_room() => {
                if since.is_none_or(|since| now.saturating_duration_since(since) >= longest) {
                    self.ejections = 0;
                }
            }
            // It was counted among the ejected when it went on probation, and still is.
            State::Probation(_) => {}
            State::Ready(_) | State::Ejected(_) => return,
        }
        let away = rules.base.saturating_mul(1 << self.ejections.min(16)).min(longest);
        self.ejections = self.ejections.saturating_add(1);
        self.failures = 0;
        self.state = State::Ejected(Cause::Requests { until: now + away });
    }

    /// A request was answered there. That ends what requests have said, but not what probes say.
    pub fn request_answered(&mut self, now: Instant) {
        self.failures = 0;
        if matches!(self.state, State::Probation(_) | State::Ejected(Cause::Requests { .. })) {
            self.comes_back(now);
        }
    }

    /// A probe passed.
    pub fn probe_passed(&mut self, thresholds: Thresholds, now: Instant) {
        self.is_probed = true;
        match self.state {
            State::Ready(_) | State::Ejected(Cause::Requests { .. }) => self.contrary = 0,
            State::Probation(_) => self.comes_back(now),
            State::Ejected(Cause::Probes) => {
                self.contrary += 1;
                if self.contrary >= thresholds.healthy.get() {
                    self.comes_back(now);
                }
            }
        }
    }

    /// A probe failed.
    pub fn probe_failed(&mut self, thresholds: Thresholds) {
        self.is_probed = true;
        if self.state == State::Ejected(Cause::Probes) {
            self.contrary = 0;
            return;
        }
        self.contrary += 1;
        if self.contrary >= thresholds.unhealthy.get() {
            self.contrary = 0;
            self.failures = 0;
            self.state = State::Ejected(Cause::Probes);
        }
    }

    /// Nobody probes it any more: what probes have said is void.
    pub fn unprobed(&mut self, now: Instant) {
        self.is_probed = false;
        self.contrary = 0;
        if self.state == State::Ejected(Cause::Probes) {
            self.comes_back(now);
        }
    }

    /// Time has passed.
    pub fn pass(&mut self, now: Instant) {
        match self.state {
            State::Ejected(Cause::Requests { until }) if now >= until => self.state = State::Probation(now),
            State::Probation(offered) if now.saturating_duration_since(offered) >= TRIAL => {
                self.state = State::Probation(now);
            }
            State::Ready(_) | State::Ejected(_) | State::Probation(_) => {}
        }
    }

    /// An operator's word. One that takes requests again begins slowly.
    pub fn set_duty(&mut self, duty: Duty, now: Instant) {
        if duty == Duty::Enabled && self.duty != Duty::Enabled && matches!(self.state, State::Ready(_)) {
            self.state = State::Ready(Some(now));
        }
        self.duty = duty;
    }

    fn comes_back(&mut self, now: Instant) {
        self.contrary = 0;
        self.failures = 0;
        self.state = State::Ready(Some(now));
    }
}

/// The part of an endpoint that came back so long ago: from a sixteenth to the whole, evenly.
fn grown(since: Duration) -> Fitness {
    const LEAST: u128 = 1 << 12;
    const WHOLE: u128 = 1 << 16;
    let part = LEAST + (WHOLE - LEAST) * since.as_millis() / RAMP.as_millis();
    u16::try_from(part).map_or(Fitness::Full, Fitness::Growing)
}

#[cfg(test)]
mod tests;
