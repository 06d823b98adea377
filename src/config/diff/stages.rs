//! What an edit does to a share: at once, and at every stage that lies ahead in the old file or the new one.

use std::fmt;

use crate::config::diff::change::Change;
use crate::config::diff::show::thousandths;
use crate::config::diff::verdict::Verdict;
use crate::config::units::{write_moment, write_schedule};
use crate::decide::bucket::Share;
use crate::decide::stage::Schedule;

/// A share follows other stages than before.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ScheduleChange {
    /// The app, or `app/workflow`.
    pub app: String,
    /// The schedule before.
    pub from: Schedule,
    /// The schedule after.
    pub to: Schedule,
    /// Every stage of either that lies ahead, in order.
    pub steps: Vec<Step>,
}

/// One moment at which a stage begins, in the old file, the new one, or both.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Step {
    /// When, in seconds since the Unix epoch.
    pub at: u64,
    /// The shares just before and from then on, as the old file says.
    pub old: (Share, Share),
    /// The same as the new file says: between the two lie those who move.
    pub new: (Share, Share),
}

/// Tells how a share changes. `now` is in seconds since the Unix epoch; `anew`: everybody gets another place on the
/// line by the same edit.
pub(super) fn changes(
    app: &str,
    (old, new): (&Schedule, &Schedule),
    now: u64,
    anew: bool,
    changes: &mut Vec<Change>,
) {
    let (from, to) = (old.at(now), new.at(now));
    if from != to {
        changes.push(Change::Share { app: app.to_owned(), from, to, anew });
    }
    if old != new && !(old.is_constant() && new.is_constant()) {
        let steps = moments_ahead(old, new, now).into_iter().map(|at| Step::of(old, new, at));
        changes.push(Change::Schedule(ScheduleChange {
            app: app.to_owned(),
            from: old.clone(),
            to: new.clone(),
            steps: steps.collect(),
        }));
    }
}

/// When stages of either begin, as far as that lies ahead; in order, each once.
pub(super) fn moments_ahead(old: &Schedule, new: &Schedule, now: u64) -> Vec<u64> {
    let mut moments: Vec<u64> = old.ahead(now).iter().chain(new.ahead(now)).map(|stage| stage.at).collect();
    moments.sort_unstable();
    moments.dedup();
    moments
}

impl ScheduleChange {
    /// The worst that happens to anybody at a stage.
    pub(super) fn verdict(&self) -> Verdict {
        self.steps.iter().map(Step::verdict).max().unwrap_or(Verdict::Unchanged)
    }
}

impl Step {
    fn of(old: &Schedule, new: &Schedule, at: u64) -> Self {
        let around = |schedule: &Schedule| (schedule.at(at.saturating_sub(1)), schedule.at(at));
        Self { at, old: around(old), new: around(new) }
    }

    /// Whether the old file says the same of this moment.
    pub fn is_as_before(&self) -> bool {
        self.old == self.new
    }

    /// Moving back counts where the old file did not announce it: a `shrink` that is new, or a share that stays below
    /// what the old file has from then on, since an edit that is applied later than planned takes people back.
    pub fn verdict(&self) -> Verdict {
        let ((old_from, old_to), (from, to)) = (self.old, self.new);
        let was_announced = old_to <= to && from <= old_from;
        if to < old_to || (to < from && !was_announced) {
            Verdict::MovesBack
        } else if to > old_to {
            Verdict::Widens
        } else {
            Verdict::Unchanged
        }
    }
}

/// One line: the schedules whole.
impl fmt::Display for ScheduleChange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { app, from, to, steps: _ } = self;
        write!(formatter, "{app} schedule {} → {}", write_schedule(from), write_schedule(to))
    }
}

/// One line: who moves then.
impl fmt::Display for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, old: (old_from, old_to), new: (from, to) } = self;
        write!(formatter, "at {} ", write_moment(*at))?;
        if from == to {
            write!(formatter, "it stays at {to}")?;
        } else {
            write!(formatter, "{}", Moving(*from, *to))?;
        }
        if self.is_as_before() {
            return formatter.write_str(" (as before the edit)");
        }
        if old_from == old_to {
            write!(formatter, " (before the edit it stays at {old_to}")?;
        } else {
            write!(formatter, " (before the edit {old_from} → {old_to}")?;
        }
        if to < old_to && to >= from {
            let back = thousandths(old_to.parts() - to.parts());
            write!(formatter, "; applied after that, the edit takes {back}% back")?;
        }
        formatter.write_str(")")
    }
}

/// A share that becomes another: which part of the line moves which way.
pub(super) struct Moving(pub(super) Share, pub(super) Share);

impl fmt::Display for Moving {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(from, to) = self;
        if to >= from {
            let moved = thousandths(to.parts() - from.parts());
            write!(formatter, "{from} → {to}: {moved}% of subjects move to identity, 0 back")
        } else {
            let moved = thousandths(from.parts() - to.parts());
            write!(formatter, "{from} → {to}: 0 move to identity, {moved}% back")
        }
    }
}
