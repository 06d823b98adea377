//! What an answer teaches: flows begun and ended, the session made and given up.

use crate::decide::answer::AnswerFacts;
use crate::decide::cookies;
use crate::decide::decision::{Decision, Reason, Rules, TicketState};
use crate::decide::engine::Engine;
use crate::decide::evacuate::as_of;
use crate::decide::flow::{FlowPin, Flows};
use crate::decide::journey::{Begins, FlowChange, FlowEvent, FlowOutcome, Journey};
use crate::decide::ticket::{SessionPin, Ticket};
use crate::decide::workflow::Ended;

/// What an answer taught us: what the browser should hold from now on, and what is told of it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Lesson {
    /// The ticket to give, when something is new or due.
    pub ticket: Option<Ticket>,
    /// The flow pins to give, or to take away, when something is new.
    pub flows: Option<Flows>,
    /// What flows did.
    pub events: Vec<FlowEvent>,
    /// Whether no cache may keep the answer.
    pub no_store: bool,
    /// Whether it sets a session cookie, where those pin somebody.
    pub sets_session: bool,
    /// Whether the user has signed out, where sessions pin somebody.
    pub signed_out: bool,
}

/// Learns from an answer. `served` is who gave it, `endpoint` the hash of its endpoint.
pub fn learn(
    rules: &Rules,
    decision: &Decision,
    answer: &AnswerFacts<'_>,
    served: Engine,
    endpoint: u32,
) -> Lesson {
    let now = u32::try_from(answer.now).unwrap_or(u32::MAX);
    let endpoint = if rules.session.shared { 0 } else { endpoint };
    let heard = Heard { rules, decision, answer, served, endpoint, now };
    let place = decision.trail.place;
    let mut lesson =
        Lesson { no_store: place.belongs_to_workflow(), ticket: decision.issue, ..Lesson::default() };
    let mut ended = None;
    if let Some(journey) = &decision.journey {
        lesson.events.extend_from_slice(&journey.events);
        if let Some(workflow) = journey.workflow {
            ended = heard.flow_after(journey, workflow, &mut lesson);
        }
        if lesson.flows.is_none() && (journey.flows.is_due() || journey.rejected.is_some()) {
            lesson.flows = Some(journey.flows.clone());
        }
    }
    if rules.session.pins() {
        let held = decision.held();
        let cookies = heard.session_cookies();
        lesson.sets_session = cookies.0;
        lesson.signed_out = heard.signs_out(ended);
        let pin = heard.session_after(ended, cookies);
        if let Some(pin) = pin
            && held.map(|held| held.session) != Some(pin)
            && (held.is_some() || pin.is_some())
        {
            let held = held.unwrap_or(Ticket::new(now));
            lesson.ticket =
                Some(Ticket { session: pin, leaves: held.leaves && pin.is_none(), issued: now, ..held });
        }
    }
    lesson
}

/// An answer, and what was decided for its request.
struct Heard<'a> {
    rules: &'a Rules,
    decision: &'a Decision,
    answer: &'a AnswerFacts<'a>,
    served: Engine,
    endpoint: u32,
    now: u32,
}

impl Heard<'_> {
    /// What the answer does to the flow of its workflow; how that ended, if it did.
    fn flow_after(&self, journey: &Journey, workflow: u8, lesson: &mut Lesson) -> Option<(u8, Ended)> {
        let Self { rules, decision, answer, served, endpoint, now } = *self;
        let hash = rules.table.hash(workflow);
        let trail = &decision.trail;
        if !trail.place.belongs_to_workflow() {
            return None;
        }
        let accepted = !answer.status.is_client_error() && !answer.status.is_server_error();
        let begins = match journey.begins {
            Begins::No => false,
            Begins::Always => true,
            Begins::IfAccepted => accepted,
        };
        let mut tell = |engine, what| lesson.events.push(FlowEvent { workflow, engine, what });
        let held = journey.flows.of(hash);
        let known = held.copied().filter(|pin| !pin.ended);
        let pin = match known {
            // A `state` or a link leads to the other engine: the old flow is left behind.
            Some(pin) if begins && pin.engine != served => {
                if pin.counted {
                    let took = now.saturating_sub(pin.began);
                    tell(pin.engine, FlowChange::Ended(FlowOutcome::Replaced, took));
                }
                None
            }
            Some(pin) => Some(FlowPin { endpoint, ..pin }),
            None => None,
        };
        let mut pin = match pin {
            Some(pin) => pin,
            None if begins => {
                // A browser that brings a ticket of ours has come back already.
                let known =
                    matches!(trail.ticket, TicketState::Valid(_)) && decision.reason != Reason::Landing;
                if known {
                    tell(served, FlowChange::Started);
                }
                let began = as_of(rules, decision, served, now);
                FlowPin { endpoint, counted: known, began, ..FlowPin::new(hash, served, now) }
            }
            None => return None,
        };
        let is_callback = trail.place.callback & (1 << workflow) != 0;
        let ended = rules.table.ending(workflow, is_callback, answer);
        if let Some(ended) = ended {
            if pin.counted {
                let outcome = match ended {
                    Ended::Success => FlowOutcome::Success,
                    Ended::Failure => FlowOutcome::Failure,
                };
                tell(pin.engine, FlowChange::Ended(outcome, now.saturating_sub(pin.began)));
            }
            (pin.ended, pin.used) = (true, now);
        }
        if held != Some(&pin) {
            // Most steps change nothing, and nothing is copied for them.
            lesson.flows.insert(journey.flows.clone()).open(pin);
        }
        ended.map(|ended| (workflow, ended))
    }

    /// Whether an answer sets a session cookie, and whether it deletes one.
    fn session_cookies(&self) -> (bool, bool) {
        let Self { rules, answer, .. } = *self;
        let names = &rules.session.cookies;
        let (mut sets, mut deletes) = (false, false);
        for line in cookies::set_lines(answer.headers) {
            if names.iter().any(|name| name.matches(line.name)) {
                let deletion = line.is_deletion(answer.now);
                deletes |= deletion;
                sets |= !deletion;
            }
        }
        (sets, deletes)
    }

    /// Whether the answer ends a sign-out well.
    fn signs_out(&self, ended: Option<(u8, Ended)>) -> bool {
        let Some((workflow, Ended::Success)) = ended else { return false };
        self.rules.table.signs_out(workflow)
    }

    /// Who owns the session after an answer: `None` when that says nothing of it.
    fn session_after(
        &self,
        ended: Option<(u8, Ended)>,
        (sets, deletes): (bool, bool),
    ) -> Option<Option<SessionPin>> {
        let Self { rules, decision, answer, served, endpoint, now } = *self;
        let owner = decision.held().and_then(|held| held.session);
        let is_owner = owner.is_none_or(|pin| pin.engine == served);
        let holds = !is_owner && served == Engine::Classic;
        if self.signs_out(ended) {
            return Some(None);
        }
        match ended {
            // Without a cookie of its own a flow of classic takes nobody from identity: it may be a registration in
            // an old tab, or a mail's link, that signs nobody in.
            Some((_, Ended::Success))
                if sets || (decision.trail.has_session_cookie[served.index()] && !deletes && !holds) =>
            {
                let made = as_of(rules, decision, served, now);
                return Some(Some(SessionPin { engine: served, made, endpoint }));
            }
            Some((_, Ended::Success | Ended::Failure)) | None => {}
        }
        let place = decision.trail.place;
        let turned_away =
            decision.trail.loads_page && !place.belongs_to_workflow() && rules.table.sends_to_sign_in(answer);
        (is_owner && ((deletes && !sets) || turned_away)).then_some(None)
    }
}
