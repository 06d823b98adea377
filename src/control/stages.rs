//! Tells when a stage comes into force: once per process, whatever the clock does.
//!
//! The clock alone changes the share of a request; nothing here is needed for that. Times are seconds since the Unix
//! epoch, and come in, so that a test has the clock in its hands.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::config::model::Config;
use crate::decide::bucket::Share;
use crate::decide::stage::Stage;
use crate::telemetry::events::StageBegan;
use crate::telemetry::metrics::Metrics;

/// The longest sleep. A wall clock that is set while we sleep is noticed after it.
const LONGEST: Duration = Duration::from_secs(30);

/// What makes a stage the same one: app, workflow, and when it begins.
type Name = (String, Option<String>, u64);

/// A stage that lies ahead.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Awaited {
    /// Which app.
    pub app: String,
    /// Which workflow; `None`: the app itself.
    pub workflow: Option<String>,
    /// When it begins.
    pub at: u64,
    /// The share before.
    pub from: Share,
    /// The share from then on.
    pub to: Share,
}

/// The stages that are waited for, and those that were told.
#[derive(Debug, Default)]
pub struct StageWatch {
    /// In the order of their dates.
    awaited: Vec<Awaited>,
    /// Remembered so that a clock that goes back, or a reload, repeats none. One that is told has taken its time: there
    /// are never many.
    told: BTreeSet<Name>,
}

impl StageWatch {
    /// Waits for what lies ahead in a configuration that is about to run. What is past by now is no event.
    pub fn follow(&mut self, config: &Config, now: u64) {
        let mut awaited = Vec::new();
        for app in &config.apps {
            for (workflow, schedule) in app.schedules() {
                for Stage { at, share: to, shrink: _ } in schedule.ahead(now).iter().copied() {
                    let (app, workflow) = (app.name.clone(), workflow.map(str::to_owned));
                    awaited.push(Awaited { app, workflow, at, from: schedule.at(at - 1), to });
                }
            }
        }
        awaited.retain(|stage| !self.told.contains(&stage.name()));
        awaited.sort_by_key(|stage| stage.at);
        self.awaited = awaited;
    }

    /// The stages that have come into force since the last look.
    pub fn due(&mut self, now: u64) -> Vec<Awaited> {
        let due = self.awaited.partition_point(|stage| stage.at <= now);
        let due: Vec<Awaited> = self.awaited.drain(..due).collect();
        self.told.extend(due.iter().map(Awaited::name));
        due
    }

    /// Tells of them.
    pub fn tell(&mut self, now: u64, metrics: &Metrics) {
        for Awaited { app, workflow, at, from, to } in self.due(now) {
            StageBegan { app: &app, workflow: workflow.as_deref(), at, from, to }.tell(metrics);
        }
    }

    /// How long to sleep before the next look; `now` is the time since the Unix epoch.
    pub fn patience(&self, now: Duration) -> Duration {
        let next = self.awaited.first().map(|stage| Duration::from_secs(stage.at).saturating_sub(now));
        next.unwrap_or(LONGEST).min(LONGEST)
    }
}

impl Awaited {
    fn name(&self) -> Name {
        (self.app.clone(), self.workflow.clone(), self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::files::NamedFiles;
    use crate::config::parse;

    /// An app with these stages, in seconds since 2026-12-01T09:00:00Z.
    fn config(stages: &[(u64, u32)]) -> std::sync::Arc<Config> {
        let stages: Vec<String> = stages
            .iter()
            .map(|(at, percent)| {
                let date = crate::config::units::write_moment(START + at);
                format!("{{ percent = {percent}, at = {date} }}")
            })
            .collect();
        let text = format!(
            "listeners = [{{ bind = '127.0.0.1:0' }}]\n[apps.portal]\nstages = [{}]\n\
             classic.endpoints = ['http://127.0.0.1:1']\nidentity.endpoints = ['http://127.0.0.1:2']\n",
            stages.join(", ")
        );
        parse(&text, "cutover.toml", &NamedFiles::default()).expect("valid").config
    }

    const START: u64 = 1_796_115_600;

    fn due(watch: &mut StageWatch, at: u64) -> Vec<u64> {
        watch.due(START + at).iter().map(|stage| stage.at - START).collect()
    }

    #[test]
    fn a_stage_is_due_once_in_its_own_second_and_what_is_past_is_none() {
        let mut watch = StageWatch::default();
        watch.follow(&config(&[(0, 1), (10, 2), (20, 3)]), START + 10);
        assert!(due(&mut watch, 19).is_empty());
        assert_eq!(watch.patience(Duration::from_millis((START + 19) * 1000 + 900)).as_millis(), 100);
        let told = watch.due(START + 20);
        assert_eq!(told.len(), 1);
        assert_eq!((told[0].from.parts(), told[0].to.parts()), (2_000, 3_000));
        assert!(due(&mut watch, 21).is_empty());
        assert_eq!(watch.patience(Duration::from_secs(START + 21)), LONGEST);
    }

    #[test]
    fn a_clock_that_jumps_misses_none_and_repeats_none() {
        let config = config(&[(10, 1), (20, 2), (30, 3)]);
        let mut watch = StageWatch::default();
        watch.follow(&config, START);
        assert_eq!(due(&mut watch, 25), [10, 20], "forward over two of them");
        assert!(due(&mut watch, 5).is_empty(), "and back");
        assert!(due(&mut watch, 25).is_empty());
        assert!(due(&mut watch, 5).is_empty());
        watch.follow(&config, START + 5);
        assert_eq!(due(&mut watch, 30), [30], "a reload with the clock set back repeats none either");
        assert!(watch.patience(Duration::from_secs(START + 86_400)) <= LONGEST);
    }

    #[test]
    fn a_reload_waits_for_its_own_stages_only() {
        let mut watch = StageWatch::default();
        watch.follow(&config(&[(10, 1), (100, 2)]), START);
        watch.follow(&config(&[(5, 1), (50, 2)]), START + 5);
        assert_eq!(due(&mut watch, 200), [50], "5 had begun before the reload");
        assert_eq!(watch.patience(Duration::ZERO), LONGEST);
    }

    #[test]
    fn a_distant_stage_is_looked_for_again_and_again() {
        let mut watch = StageWatch::default();
        watch.follow(&config(&[(1_000_000, 1)]), START);
        assert_eq!(watch.patience(Duration::from_secs(START)), LONGEST);
    }
}
