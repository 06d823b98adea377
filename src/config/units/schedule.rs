//! Schedules in words: what is in force, what comes next, and all of it.

use crate::config::units::write_moment;
use crate::decide::stage::{Schedule, Stage};

/// A stage, as `10% from 2026-12-15T09:00:00Z`.
pub fn write_stage(stage: &Stage) -> String {
    format!("{} from {}", stage.share, write_moment(stage.at))
}

/// A whole schedule: `10%`, or each of its stages.
pub fn write_schedule(schedule: &Schedule) -> String {
    if schedule.is_constant() {
        return schedule.at(0).to_string();
    }
    schedule.stages().iter().map(write_stage).collect::<Vec<_>>().join(", ")
}

/// What is in force and what comes next: `1% (10% from 2026-12-15T09:00:00Z)`. `now` is in seconds since the Unix
/// epoch.
pub fn write_share(schedule: &Schedule, now: u64) -> String {
    let share = schedule.at(now);
    match schedule.next(now) {
        Some(next) => format!("{share} ({})", write_stage(&next)),
        None => share.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::bucket::Share;

    #[test]
    fn a_schedule_reads_as_its_stages_and_a_share_as_one_number() {
        let share = |parts| Share::from_parts(parts).expect("within the whole");
        let stage = |at, parts| Stage { at, share: share(parts), shrink: false };
        let stages = vec![stage(1_796_115_600, 1_000), stage(1_797_325_200, 10_000)];
        let schedule = Schedule::staged(stages).expect("legal");
        assert_eq!(write_schedule(&schedule), "1% from 2026-12-01T09:00:00Z, 10% from 2026-12-15T09:00:00Z");
        for (now, text) in [
            (0, "0% (1% from 2026-12-01T09:00:00Z)"),
            (1_796_115_600, "1% (10% from 2026-12-15T09:00:00Z)"),
            (1_797_325_200, "10%"),
        ] {
            assert_eq!(write_share(&schedule, now), text);
        }
        assert_eq!(write_schedule(&share(12_500).into()), "12.5%");
    }
}
