//! What an edit changes, and what that means for people: a pure function of two configurations and the time.
//!
//! `cutover plan`, the log of a reload and the reload itself share it, so that they cannot disagree.

mod app;
mod change;
mod movers;
mod server;
mod show;
mod stages;
mod targets;
mod verdict;
mod workflows;

use std::fmt;

use crate::config::model::Config;

pub use change::{Cause, Change, SigningChange, TargetChange, WorkflowChange};
pub use movers::{Mover, knows_users, movers};
pub use stages::{ScheduleChange, Step};
pub use targets::Moves;
pub use verdict::{Applies, Verdict};

/// Everything that an edit changes.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Plan {
    /// In the order of the configuration file: what all apps share, then app by app.
    pub changes: Vec<Change>,
}

/// A change that a reload refuses to make.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refusal {
    /// What would happen.
    pub message: String,
    /// How to consent, or to avoid it.
    pub hint: String,
}

/// Message, and hint on a line of its own.
impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}\n  hint: {}", self.message, self.hint)
    }
}

/// What changes from one configuration to the next; `now` is in seconds since the Unix epoch, and says which stages
/// lie ahead.
pub fn diff(old: &Config, new: &Config, now: u64) -> Plan {
    let mut changes = Vec::new();
    server::changes(old, new, &mut changes);
    app::changes(old, new, now, &mut changes);
    Plan { changes }
}

impl Plan {
    /// Whether both configurations mean the same.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The worst that happens to anybody.
    pub fn verdict(&self) -> Verdict {
        self.changes.iter().map(Change::verdict).max().unwrap_or(Verdict::Unchanged)
    }

    /// What a reload must not do without consent; consent lives in the file.
    pub fn refusals(&self) -> Vec<Refusal> {
        self.changes.iter().filter_map(Change::refusal).collect()
    }

    /// What a log has room for: one change a line, and behind a schedule one line for each moment that lies ahead, with
    /// the place that it is about.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for change in &self.changes {
            lines.push(change.to_string());
            if let Change::Schedule(ScheduleChange { app, steps, .. }) = change {
                lines.extend(steps.iter().map(|step| format!("{app} {step}")));
            }
        }
        lines
    }

    /// What a reload cannot do: it takes effect after a restart.
    pub fn deferred(&self) -> impl Iterator<Item = &Change> {
        self.changes.iter().filter(|change| change.applies() == Applies::AfterRestart)
    }
}

/// One change a line; below a schedule, one line for each moment that lies ahead.
impl fmt::Display for Plan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, change) in self.changes.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(formatter, "{separator}{change}")?;
            if let Change::Schedule(ScheduleChange { steps, .. }) = change {
                steps.iter().try_for_each(|step| write!(formatter, "\n  {step}"))?;
            }
        }
        Ok(())
    }
}
