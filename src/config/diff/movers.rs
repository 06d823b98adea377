//! Who of some subjects moves, in which workflow, which way and when: at once by the edit, or at a stage of the new
//! file.

use crate::config::diff::stages::moments_ahead;
use crate::config::diff::targets::{Rules, Side};
use crate::config::model::{App, Config};
use crate::decide::engine::Engine;
use crate::decide::stage::Schedule;
use crate::decide::subject::{KeySource, SubjectKey};

/// One subject that moves.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mover<'c> {
    /// Its position among those that were asked about.
    pub subject: usize,
    /// In which app.
    pub app: &'c str,
    /// Where which workflow starts; `None`: outside workflows.
    pub workflow: Option<&'c str>,
    /// When, in seconds since the Unix epoch; `None`: when the edit is applied.
    pub at: Option<u64>,
    /// Where to.
    pub to: Engine,
    /// Whether the old file moves it at the same moment in the same way.
    pub is_as_before: bool,
}

/// Every move that lies ahead, subject by subject. `now` is in seconds since the Unix epoch. An app that is removed, and
/// one that knows no user by a key, moves nobody here.
pub fn movers<'c>(old: &'c Config, new: &'c Config, now: u64, subjects: &[SubjectKey<'_>]) -> Vec<Mover<'c>> {
    let mut movers = Vec::new();
    let paths: Vec<Path<'_>> = new.apps.iter().flat_map(|app| paths(old, new, app, now)).collect();
    for (subject, key) in subjects.iter().enumerate() {
        for path in &paths {
            path.follow(subject, key, now, &mut movers);
        }
    }
    movers
}

/// Whether an app knows users by a key, and not browsers only.
pub fn knows_users(app: &App) -> bool {
    app.keys.iter().any(|key| *key != KeySource::Device)
}

/// What decides at one place of an app, before and after the edit, and when that may change.
struct Path<'c> {
    app: &'c str,
    workflow: Option<&'c str>,
    old: Option<(Rules<'c>, &'c Schedule)>,
    new: (Rules<'c>, &'c Schedule),
    moments: Vec<u64>,
}

fn paths<'c>(old: &'c Config, new: &'c Config, app: &'c App, now: u64) -> Vec<Path<'c>> {
    if !knows_users(app) {
        return Vec::new();
    }
    let before = old.apps.iter().find(|before| before.name == app.name);
    let rules = |config: &'c Config, app: &'c App| Rules::of(Side { app, proof: config.proof(), now });
    let path = |workflow: Option<&'c str>| {
        let schedule = |app: &'c App| app.schedule_at(workflow);
        let earlier = before.map(|before| (rules(old, before), schedule(before)));
        let later = (rules(new, app), schedule(app));
        let moments = match &earlier {
            Some((_, earlier)) => moments_ahead(earlier, later.1, now),
            None => later.1.ahead(now).iter().map(|stage| stage.at).collect(),
        };
        Path { app: &app.name, workflow, old: earlier, new: later, moments }
    };
    let gone = before.iter().flat_map(|before| &before.workflows);
    let gone = gone.filter(|gone| app.workflows.iter().all(|workflow| workflow.name != gone.name));
    let names = app.workflows.iter().chain(gone).map(|workflow| Some(workflow.name.as_str()));
    std::iter::once(None).chain(names).map(path).collect()
}

impl<'c> Path<'c> {
    fn follow(&self, subject: usize, key: &SubjectKey<'_>, now: u64, movers: &mut Vec<Mover<'c>>) {
        let place = |(rules, schedule): &(Rules<'c>, &'c Schedule)| (rules.place(key), *schedule);
        let (before, (after, schedule)) = (self.old.as_ref().map(place), place(&self.new));
        let new = |at: u64| after.engine(schedule.at(at));
        let old = |at: u64| before.map(|(placed, schedule)| placed.engine(schedule.at(at)));
        let mut push = |at, to, is_as_before| {
            let (app, workflow) = (self.app, self.workflow);
            movers.push(Mover { subject, app, workflow, at, to, is_as_before });
        };
        if old(now).is_some_and(|old| old != new(now)) {
            push(None, new(now), false);
        }
        for at in self.moments.iter().copied() {
            let (from, to) = (new(at - 1), new(at));
            if from != to {
                push(Some(at), to, old(at - 1) == Some(from) && old(at) == Some(to));
            }
        }
    }
}
