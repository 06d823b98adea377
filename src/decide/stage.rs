//! A share over time: what the file says and what the clock says give the share in force.
//!
//! Pure, so replicas of one file agree without talking, and a restart changes nothing.

use crate::decide::bucket::Share;

/// One step of a schedule: from a moment on, another share is in force.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Stage {
    /// From then on, in seconds since the Unix epoch.
    pub at: u64,
    /// The share from then on.
    pub share: Share,
    /// Whether it may be below the share of the stage before: consent to moving people back.
    pub shrink: bool,
}

/// A share that may change by itself. Holds only schedules that are legal: stages in the order of their dates, and
/// none that is lower than the one before without consent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Schedule {
    /// Before the first stage; for ever, where there is none.
    initial: Share,
    stages: Box<[Stage]>,
}

/// Why stages are no schedule. Positions are those in the list of stages.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum StageFault {
    /// There is no stage.
    Empty,
    /// This stage begins no later than the one before.
    NotLater(usize),
    /// This stage is lower than the one before, and does not say `shrink`.
    Falls(usize),
    /// This stage says `shrink`, and is not lower than the one before: left there, it would consent to a later edit.
    NothingShrinks(usize),
}

impl Schedule {
    /// One share for ever.
    pub fn constant(share: Share) -> Self {
        Self { initial: share, stages: Box::default() }
    }

    /// Nobody before the first stage, then what each stage says; or every fault of the list.
    pub fn staged(stages: Vec<Stage>) -> Result<Self, Vec<StageFault>> {
        let mut faults = Vec::new();
        if stages.is_empty() {
            faults.push(StageFault::Empty);
        }
        let mut before: Option<&Stage> = None;
        for (index, stage) in stages.iter().enumerate() {
            if before.is_some_and(|before| stage.at <= before.at) {
                faults.push(StageFault::NotLater(index));
            }
            let falls = stage.share < before.map_or(Share::NONE, |before| before.share);
            match (falls, stage.shrink) {
                (true, false) => faults.push(StageFault::Falls(index)),
                (false, true) => faults.push(StageFault::NothingShrinks(index)),
                (true, true) | (false, false) => {}
            }
            before = Some(stage);
        }
        if faults.is_empty() { Ok(Self { initial: Share::NONE, stages: stages.into() }) } else { Err(faults) }
    }

    /// The share in force; `now` is in seconds since the Unix epoch. A stage is in force from its own second on.
    pub fn at(&self, now: u64) -> Share {
        match self.reached(now) {
            0 => self.initial,
            reached => self.stages[reached - 1].share,
        }
    }

    /// The stages that are still to come, in order.
    pub fn ahead(&self, now: u64) -> &[Stage] {
        &self.stages[self.reached(now)..]
    }

    /// The next stage.
    pub fn next(&self, now: u64) -> Option<Stage> {
        self.ahead(now).first().copied()
    }

    /// Every stage, in order; none of a share that never changes.
    pub fn stages(&self) -> &[Stage] {
        &self.stages
    }

    /// Whether the share never changes.
    pub fn is_constant(&self) -> bool {
        self.stages.is_empty()
    }

    /// Every share that is in force at some time.
    pub fn shares(&self) -> impl Iterator<Item = Share> {
        std::iter::once(self.initial).chain(self.stages.iter().map(|stage| stage.share))
    }

    /// How many stages have begun. Without stages there is nothing to look for.
    fn reached(&self, now: u64) -> usize {
        self.stages.partition_point(|stage| stage.at <= now)
    }
}

/// Nobody.
impl Default for Schedule {
    fn default() -> Self {
        Self::constant(Share::NONE)
    }
}

impl From<Share> for Schedule {
    fn from(share: Share) -> Self {
        Self::constant(share)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stage(at: u64, parts: u32, shrink: bool) -> Stage {
        Stage { at, share: Share::from_parts(parts).expect("within the whole"), shrink }
    }

    #[test]
    fn a_stage_is_in_force_from_its_own_second_on() {
        let schedule = Schedule::staged(vec![stage(100, 1_000, false), stage(200, 10_000, false)]);
        let schedule = schedule.expect("legal");
        for (now, parts, next) in [
            (0, 0, Some(100)),
            (99, 0, Some(100)),
            (100, 1_000, Some(200)),
            (101, 1_000, Some(200)),
            (199, 1_000, Some(200)),
            (200, 10_000, None),
            (u64::MAX, 10_000, None),
        ] {
            assert_eq!(schedule.at(now).parts(), parts, "at {now}");
            assert_eq!(schedule.next(now).map(|stage| stage.at), next, "at {now}");
        }
        assert_eq!(schedule.shares().map(Share::parts).collect::<Vec<_>>(), [0, 1_000, 10_000]);
    }

    #[test]
    fn a_share_without_stages_is_the_same_for_ever() {
        let schedule = Schedule::from(Share::WHOLE);
        assert!(schedule.is_constant() && schedule.ahead(0).is_empty());
        assert_eq!((schedule.at(0), schedule.at(u64::MAX)), (Share::WHOLE, Share::WHOLE));
    }

    #[test]
    fn every_fault_of_a_list_is_told() {
        use StageFault::{Empty, Falls, NotLater, NothingShrinks};
        for (stages, faults) in [
            (vec![], vec![Empty]),
            (vec![stage(5, 0, false), stage(5, 1, false)], vec![NotLater(1)]),
            (vec![stage(5, 9, false), stage(4, 1, false)], vec![NotLater(1), Falls(1)]),
            (vec![stage(5, 9, true), stage(6, 9, true)], vec![NothingShrinks(0), NothingShrinks(1)]),
        ] {
            assert_eq!(Schedule::staged(stages), Err(faults));
        }
        assert!(Schedule::staged(vec![stage(5, 9, false), stage(6, 1, true), stage(7, 1, false)]).is_ok());
    }

    proptest! {
        #[test]
        fn without_shrink_the_share_never_falls(
            steps in prop::collection::vec((0u64..1_000, 0u32..=100_000), 1..20),
            moments in prop::collection::vec(0u64..20_000, 2..50),
        ) {
            let mut at = 0;
            let stages = steps.into_iter().map(|(gap, parts)| {
                at += gap;
                stage(at, parts, false)
            });
            // Illegal ones are half of what is thrown: whatever is accepted must hold.
            if let Ok(schedule) = Schedule::staged(stages.collect()) {
                let mut moments = moments.clone();
                moments.sort_unstable();
                let shares: Vec<Share> = moments.iter().map(|now| schedule.at(*now)).collect();
                prop_assert!(shares.is_sorted(), "{schedule:?}");
            }
        }

        #[test]
        fn a_widening_schedule_is_legal_and_never_falls(
            gaps in prop::collection::vec(1u64..1_000, 1..20),
            parts in prop::collection::vec(0u32..=100_000, 20),
            moments in prop::collection::vec(0u64..20_000, 2..50),
        ) {
            let mut parts = parts[..gaps.len()].to_vec();
            parts.sort_unstable();
            let mut at = 0;
            let stages = gaps.iter().zip(parts).map(|(gap, parts)| {
                at += gap;
                stage(at, parts, false)
            });
            let schedule = Schedule::staged(stages.collect());
            prop_assert!(schedule.is_ok());
            let schedule = schedule.unwrap_or_default();
            let mut moments = moments.clone();
            moments.sort_unstable();
            prop_assert!(moments.iter().map(|now| schedule.at(*now)).is_sorted());
        }
    }
}
