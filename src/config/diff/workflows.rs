//! What changes in an app's workflows. A share is told under the workflow's own name, as `portal/sign-in`; so is
//! that of a workflow that follows the app's.

use crate::config::diff::change::{Change, WorkflowChange};
use crate::config::diff::stages;
use crate::config::model::App;
use crate::decide::stage::Schedule;
use crate::decide::workflow::Workflow;

pub(super) fn changes(old: &App, new: &App, now: u64, anew: bool, changes: &mut Vec<Change>) {
    let find = |app: &'_ App, name: &str| app.workflows.iter().position(|workflow| workflow.name == name);
    let names = old.workflows.iter().chain(new.workflows.iter().filter(|new| find(old, &new.name).is_none()));
    for Workflow { name, .. } in names {
        let before = find(old, name).map(|at| &old.workflows[at]);
        let after = find(new, name).map(|at| &new.workflows[at]);
        let change = match (before, after) {
            (None, _) => Some(WorkflowChange::Added),
            (_, None) => Some(WorkflowChange::Removed),
            (Some(before), Some(after)) => {
                let fields = differences(before, after);
                let (was, is) = (before.pin, after.pin);
                let pins_end_sooner = is.idle < was.idle || is.cap < was.cap;
                (!fields.is_empty()).then_some(WorkflowChange::Changed { fields, pins_end_sooner })
            }
        };
        if let Some(change) = change {
            changes.push(Change::Workflow { app: new.name.clone(), workflow: name.clone(), change });
        }
        // Where there is no such workflow, its paths follow the app.
        let schedules = (old.schedule_at(Some(name)), new.schedule_at(Some(name)));
        stages::changes(&format!("{}/{name}", new.name), schedules, now, anew, changes);
    }
}

/// The stages that lie ahead of an app that is new, held against nobody on identity.
pub(super) fn stages_of_new(app: &App, now: u64, changes: &mut Vec<Change>) {
    for (workflow, schedule) in app.schedules().filter(|(_, schedule)| !schedule.is_constant()) {
        let name = workflow.map_or_else(|| app.name.clone(), |workflow| format!("{}/{workflow}", app.name));
        // What is in force at once is told with the app.
        let from = Schedule::constant(schedule.at(now));
        stages::changes(&name, (&from, schedule), now, false, changes);
    }
}

fn differences(old: &Workflow, new: &Workflow) -> Vec<&'static str> {
    let Workflow { name: _, start, steps, callback, landing, success, failure, pin, share: _ } = old;
    let fields = [
        ("start", *start != new.start),
        ("steps", *steps != new.steps),
        ("callback", *callback != new.callback),
        ("landing", *landing != new.landing),
        ("success", *success != new.success),
        ("failure", *failure != new.failure),
        ("pin", *pin != new.pin),
    ];
    fields.into_iter().filter_map(|(name, differs)| differs.then_some(name)).collect()
}
