//! The account of flows that the test keeps: which flow each tab is in, and where it must go on. It knows nothing of pins
//! but what `DESIGN.md` 4 promises of them.

use cutover::decide::decision::StateHit;
use cutover::decide::engine::Engine as Side;

use super::{OUTSIDE, WORKFLOWS, World};

/// So long a flow that has ended still holds its steps.
const AFTERLIFE: u64 = 60;
/// A use is written down when the one before is older than this; so much longer may a pin hold than it must.
pub(super) const SLACK: u64 = 60;

/// A flow as the user sees it: from the start to the page that follows.
#[derive(Clone, Debug)]
pub(super) struct Flow {
    pub(super) workflow: usize,
    pub(super) engine: Side,
    pub(super) began: u64,
    pub(super) used: u64,
    pub(super) ended: bool,
}

impl Flow {
    /// Whether a pin must hold it.
    pub(super) fn must_hold(&self, now: u64) -> bool {
        let (_, _, idle, cap) = WORKFLOWS[self.workflow];
        !self.ended && now - self.used <= idle && now - self.began <= cap
    }

    /// Whether no pin of it can be left.
    pub(super) fn is_gone(&self, now: u64) -> bool {
        let (_, _, idle, cap) = WORKFLOWS[self.workflow];
        match self.ended {
            true => now - self.used > AFTERLIFE,
            false => now - self.used > idle + SLACK || now - self.began > cap,
        }
    }
}

impl World {
    /// Checks that a flow goes on where it is; the flow that the request is part of. Whose a path is: the `state` says,
    /// where the node knows it; or it is its workflow's alone; or it is of the flow that was used last, and the others
    /// have to wait.
    pub(super) fn goes_on(
        &mut self,
        at: usize,
        served: Side,
        page: &str,
        state: Option<StateHit>,
    ) -> Option<usize> {
        if !self.flows[at].must_hold(self.now) {
            return None;
        }
        let path = page.split('?').next().unwrap_or_default();
        if OUTSIDE.contains(&path) {
            return None;
        }
        let is_own = WORKFLOWS.iter().any(|(start, ..)| *start == path);
        let owner = match state {
            Some(hit) => self.told_by(hit),
            None if is_own => Some(at),
            None => self.owner(path),
        };
        if let Some(owner) = owner {
            assert_eq!(served, self.flows[owner].engine, "flow {owner} has strayed: {:#?}", self.story);
        }
        owner
    }

    /// The flow in which a `state` was issued. One of its workflow on the other engine is left behind.
    fn told_by(&mut self, hit: StateHit) -> Option<usize> {
        let name = &self.rules.table.workflow(self.rules.table.named_by(hit.workflow?)?).name;
        let of_it = |at: &usize| WORKFLOWS[self.flows[*at].workflow].1 == name;
        let at = self.order.iter().copied().find(of_it)?;
        if self.flows[at].engine == hit.engine && self.flows[at].must_hold(self.now) {
            return Some(at);
        }
        self.flows[at].ended = true;
        self.order.retain(|other| *other != at);
        None
    }

    /// Notes that a workflow is started: anew where a flow of it is open, which stays where it is.
    pub(super) fn begins(&mut self, workflow: usize, served: Side, session: Option<&str>) -> usize {
        let known = self.order.iter().copied().find(|at| self.flows[*at].workflow == workflow);
        if let Some(at) = known.filter(|at| self.flows[*at].must_hold(self.now)) {
            assert_eq!(served, self.flows[at].engine, "a new start has strayed: {:#?}", self.story);
            self.flows[at].began = self.now;
            return at;
        }
        let is_free = known.is_none_or(|at| self.flows[at].ended || self.flows[at].is_gone(self.now));
        if is_free && session.is_some_and(|session| session.starts_with("identity-")) {
            assert_eq!(served, Side::Identity, "going back is safe after sign-out only: {:#?}", self.story);
        }
        self.flows.push(Flow { workflow, engine: served, began: self.now, used: self.now, ended: false });
        // Its workflow has one pin.
        let flows = &self.flows;
        self.order.retain(|at| flows[*at].workflow != workflow);
        self.flows.len() - 1
    }

    /// The flow to which a path belongs that several workflows share: a step to one that goes on, a callback to one
    /// that has just ended as well, which is then for nobody to claim.
    fn owner(&self, path: &str) -> Option<usize> {
        let mut here = self.order.iter().copied().filter(|at| !self.flows[*at].is_gone(self.now));
        match path.contains("callback") {
            true => here.next().filter(|at| !self.flows[*at].ended),
            false => here.find(|at| !self.flows[*at].ended),
        }
    }
}
