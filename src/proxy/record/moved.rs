//! Why a browser is served by another engine than before.

use crate::decide::decision::{Decision, Reason, Rules, TicketState};
use crate::decide::engine::Engine;
use crate::decide::evacuate;
use crate::telemetry::kinds::MoveCause;

/// Why a browser's page comes from another engine than the one before. `None` where nobody was moved: a flow, a
/// link or a `state` leads to the engine that has begun something, and back again. `now` is in seconds since the
/// Unix epoch.
pub(super) fn cause(
    rules: &Rules,
    decision: &Decision,
    reason: Option<Reason>,
    before: Engine,
    now: u64,
) -> Option<MoveCause> {
    let trail = &decision.trail;
    let TicketState::Valid(held) = trail.ticket else { return None };
    match reason? {
        Reason::Target | Reason::Cohort | Reason::Default if evacuate::has_freed(decision, before) => {
            Some(MoveCause::Evacuated)
        }
        Reason::State | Reason::Flow | Reason::Landing | Reason::Default => None,
        Reason::Override => Some(MoveCause::Override),
        Reason::Session => Some(MoveCause::Session),
        Reason::Target => Some(MoveCause::Target),
        Reason::Failover => Some(MoveCause::Failover),
        Reason::Cohort if held.bucket.is_some() && held.bucket != trail.bucket => Some(MoveCause::Identified),
        Reason::Cohort => {
            let bucket = trail.bucket?;
            let shares = rules.table.workflows().iter().filter_map(|workflow| workflow.share.as_ref());
            let mut shares = shares.chain([&rules.share]);
            let by_workflow = shares.any(|share| share.at(now).engine_for(bucket) == before);
            Some(if by_workflow { MoveCause::Workflow } else { MoveCause::Share })
        }
    }
}
