//! Deciding anew when an engine is gone: the rows of [`decide`](crate::decide::decision::decide) once more, without
//! the pins that point there (`DESIGN.md` 4).
//!
//! Everything that the rows look at was seen the first time and is in the trail, so the request is not read again.

use http::Method;

use crate::decide::decision::{Decision, Reason, Rules, SessionState, Trail};
use crate::decide::engine::Engine;
use crate::decide::flow::{FlowPin, Flows};
use crate::decide::journey::{FlowChange, FlowEvent, FlowOutcome};
use crate::decide::ticket::{SessionPin, Ticket};
use crate::decide::workflow::Place;

/// For so many seconds an engine that is gone may come back before the sessions that it holds are given up.
pub const PATIENCE: u64 = 60;

/// What holds a request to its engine, of all that could be let go when that engine is gone.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Hold {
    /// A flow of the browser's own.
    Flow(u8, FlowPin),
    /// A page of a flow has asked for something outside all workflows: nothing of the flow is lost with it.
    Page,
    /// Its signed-in session.
    Session(SessionPin),
    /// Nothing, or what is proof whoever serves: a tester token, a link, a `state` of somebody.
    Nothing,
}

impl Decision {
    /// What holds the request.
    pub fn hold(&self, rules: &Rules) -> Hold {
        let journey = self.journey.as_deref();
        let own = journey.and_then(|journey| {
            let workflow = journey.workflow?;
            let pin = journey.flows.of(rules.table.hash(workflow))?;
            (pin.engine == self.engine).then_some((workflow, *pin))
        });
        match (self.reason, own, self.trail.session) {
            (Reason::Flow, Some(_), _) if !self.trail.place.is_in_workflow() => Hold::Page,
            (Reason::Flow | Reason::State, Some((workflow, pin)), _) => Hold::Flow(workflow, pin),
            (Reason::Session, _, SessionState::Held(pin)) => Hold::Session(pin),
            _others => Hold::Nothing,
        }
    }

    /// Whether the request brings a one-time answer or link, which is never offered twice.
    pub fn is_one_time(&self) -> bool {
        self.trail.place.is_one_time()
    }
}

/// The decision without the session pin that held the request, and the ticket that says so.
pub fn without_session(rules: &Rules, decision: &Decision, now: u64) -> Decision {
    let trail = Trail { session: SessionState::None, ..decision.trail };
    // Rows above that of the session had nothing to say, or it would not have decided.
    let (engine, reason) = rules.last_rows(trail.target, trail.bucket, trail.share);
    let engine = rules.only.unwrap_or(engine);
    let seconds = u32::try_from(now).unwrap_or(u32::MAX);
    let last = trail.loads_page.then_some(engine);
    let issue = decision.held();
    let issue = issue.map(|held| Ticket {
        session: None,
        leaves: false,
        last: last.or(held.last.filter(|last| *last == engine)),
        issued: seconds,
        is_current: true,
        ..held
    });
    let journey = decision.journey.clone();
    // What was to end has ended.
    Decision { engine, reason, trail, issue, journey, endpoint: 0, evacuation: None }
}

/// A flow that is let go.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LetGo {
    /// The flows that the browser keeps.
    pub flows: Flows,
    /// What is told of it.
    pub events: Vec<FlowEvent>,
    /// Where the workflow begins, and who serves that.
    pub start: Option<(String, Engine)>,
}

/// Lets go of a flow whose engine is gone. `session_is_over`: so is the session that this engine held.
pub fn let_go(
    rules: &Rules,
    decision: &Decision,
    (workflow, pin): (u8, FlowPin),
    session_is_over: bool,
    now: u64,
) -> LetGo {
    let journey = decision.journey.as_deref();
    let mut flows = journey.map(|journey| journey.flows.clone()).unwrap_or_default();
    let mut events = journey.map(|journey| journey.events.clone()).unwrap_or_default();
    flows.close(pin.workflow);
    if pin.counted && !pin.ended {
        let took = u32::try_from(now).unwrap_or(u32::MAX).saturating_sub(pin.began);
        let what = FlowChange::Ended(FlowOutcome::Failure, took);
        events.push(FlowEvent { workflow, engine: pin.engine, what });
    }
    let start = start_of(rules, workflow).map(|(path, place)| {
        let engine = at_start(rules, &decision.trail, &flows, place, pin.engine, session_is_over, now);
        (path, engine)
    });
    LetGo { flows, events, start }
}

/// The first literal path at which GET begins a workflow.
fn start_of(rules: &Rules, workflow: u8) -> Option<(String, Place)> {
    let starts = rules.table.workflow(workflow).start.iter().filter_map(|pattern| pattern.literal_get());
    starts
        .map(|path| {
            let place = rules.table.place(&Method::GET, &path, None);
            (path, place)
        })
        .find(|(_, place)| place.start == Some(workflow))
}

/// Who serves this browser at a start, asked without `state`.
fn at_start(
    rules: &Rules,
    trail: &Trail,
    flows: &Flows,
    place: Place,
    gone: Engine,
    session_is_over: bool,
    now: u64,
) -> Engine {
    let flow = flows.last_used(&rules.table, place.workflows(), false).map(|(_, pin)| pin.engine);
    let flow = flow.filter(|engine| *engine != gone);
    let landing = place.landing.and_then(|landing| rules.table.landing(landing).owner(now));
    let session = match trail.session {
        SessionState::Held(pin) | SessionState::GivesWay(pin) if !(session_is_over && pin.engine == gone) => {
            match SessionState::at(&rules.table, place.start, pin) {
                SessionState::Held(pin) => Some(pin.engine),
                SessionState::GivesWay(_) | SessionState::None => None,
            }
        }
        SessionState::Held(_) | SessionState::GivesWay(_) | SessionState::None => None,
    };
    let tester = trail.tester.and_then(Result::ok).map(|tester| tester.engine);
    let pinned = tester.or(flow).or(landing).or(session);
    let share = rules.share_at(place.start, now);
    let engine = pinned.unwrap_or_else(|| rules.last_rows(trail.target, trail.bucket, share).0);
    rules.only.unwrap_or(engine)
}
