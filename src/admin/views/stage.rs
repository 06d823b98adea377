//! Shares that may change by themselves: what is in force, and what comes next.

use serde::{Deserialize, Serialize};

use crate::config::model::App;
use crate::config::units::write_moment;
use crate::decide::stage::{Schedule, Stage};
use crate::decide::workflow::Workflow;

/// A stage that lies ahead.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct StageView {
    /// The share from then on, as operators write it.
    pub percent: String,
    /// The same, 0 … 1.
    pub ratio: f64,
    /// When it begins, in seconds since the Unix epoch.
    pub at: u64,
    /// The same, as operators write it.
    pub date: String,
}

/// The share where one workflow starts.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct WorkflowShareView {
    /// The workflow's name.
    pub name: String,
    /// The share in force, as operators write it.
    pub percent: String,
    /// The same, 0 … 1.
    pub ratio: f64,
    /// Whether it is the workflow's own share, and not that of the app.
    pub own: bool,
    /// What comes next.
    #[serde(default)]
    pub next_stage: Option<StageView>,
}

impl StageView {
    /// What comes next in a schedule; `now` is in seconds since the Unix epoch.
    pub fn next(schedule: &Schedule, now: u64) -> Option<Self> {
        schedule.next(now).as_ref().map(Self::of)
    }

    /// One stage.
    pub fn of(stage: &Stage) -> Self {
        let Stage { at, share, shrink: _ } = *stage;
        Self { percent: share.to_string(), ratio: share.ratio(), at, date: write_moment(at) }
    }

    /// As `10% from 2026-12-15T09:00:00Z`.
    pub fn text(&self) -> String {
        format!("{} from {}", self.percent, self.date)
    }
}

impl WorkflowShareView {
    /// Every workflow of an app, in the order of its table.
    pub fn all(app: &App, now: u64) -> Vec<Self> {
        let view = |workflow: &Workflow| {
            let schedule = workflow.share.as_ref().unwrap_or(&app.share);
            let share = schedule.at(now);
            Self {
                name: workflow.name.clone(),
                percent: share.to_string(),
                ratio: share.ratio(),
                own: workflow.share.is_some(),
                next_stage: StageView::next(schedule, now),
            }
        };
        app.workflows.iter().map(view).collect()
    }
}
