//! What changes in an app's workflows. A share is told under the workflow's own name, as `portal/sign-in`; so is
//! that of a workflow that follows the app's.

use crate::config::diff::change::{Change, WorkflowChange};
use crate::config::model::App;
use crate::decide::workflow::Workflow;

pub(super) fn changes(old: &App, new: &App, anew: bool, changes: &mut Vec<Change>) {
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
                (!fields.is_empty()).then_some(WorkflowChange::Changed(fields))
            }
        };
        if let Some(change) = change {
            changes.push(Change::Workflow { app: new.name.clone(), workflow: name.clone(), change });
        }
        // Where there is no such workflow, its paths follow the app.
        let from = before.and_then(|workflow| workflow.share).unwrap_or(old.share);
        let to = after.and_then(|workflow| workflow.share).unwrap_or(new.share);
        if from != to {
            changes.push(Change::Share { app: format!("{}/{name}", new.name), from, to, anew });
        }
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
