//! A request's part in a flow: the pin that holds it, and the flow that it may begin.

use http::{HeaderMap, HeaderName, Method};

use crate::decide::cookies::CookieNames;
use crate::decide::decision::{Question, Reason, Rules};
use crate::decide::engine::Engine;
use crate::decide::evacuate::void_flows;
use crate::decide::flow::{FlowPin, Flows};
use crate::decide::presented::Presented;
use crate::decide::seal::Rejection;
use crate::decide::workflow::{Place, parameter};

/// What a flow did, for the metrics.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FlowEvent {
    /// The workflow's position.
    pub workflow: u8,
    /// Who serves it.
    pub engine: Engine,
    /// What happened.
    pub what: FlowChange,
}

/// What can happen to a flow.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FlowChange {
    /// It was started, by somebody who came back.
    Started,
    /// It ended after so many seconds.
    Ended(FlowOutcome, u32),
}

/// How a flow ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FlowOutcome {
    /// Its answer said that it is done.
    Success,
    /// Its answer said that it failed.
    Failure,
    /// The user began anew.
    Replaced,
    /// It was left unused for too long; known only of browsers that return.
    Expired,
}

/// What one request's decision needs to know of how it enters.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<'a> {
    /// The workflow that starts here.
    pub(super) start: Option<u8>,
    pub(super) loads_page: bool,
    pub(super) names: &'a CookieNames,
    pub(super) now: u32,
}

/// A request's part in a flow.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Journey {
    /// The browser's flows, without those that hold no more.
    pub flows: Flows,
    /// The workflow that the request is part of.
    pub workflow: Option<u8>,
    /// The pin that holds the request.
    pub pinned: Option<FlowPin>,
    /// The flow cookie was not genuine.
    pub rejected: Option<Rejection>,
    /// What the request alone says about flows.
    pub events: Vec<FlowEvent>,
    /// Pins that an order voids, each with its workflow and the date of the order.
    pub voided: Vec<(u8, FlowPin, u64)>,
    /// Whether an answer opens a pin.
    pub(super) begins: Begins,
}

/// Whether an answer opens a pin.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Begins {
    #[default]
    No,
    /// Whatever it says: an error answer is as sticky as a good one.
    Always,
    /// When it is no error: a link or a `state` that a client made up must not keep it on an engine.
    IfAccepted,
}

/// What the request is part of. `None` for most requests: they are for no workflow's path, and no page of one asks.
pub(super) fn journey(
    rules: &Rules,
    question: &Question<'_>,
    presented: &Presented<'_>,
    entry: &Entry<'_>,
) -> Option<Box<Journey>> {
    let place = question.place;
    let belongs = place.belongs_to_workflow();
    let asked_by = if belongs || entry.loads_page || !presented.has_flows() {
        None
    } else {
        Some(referring(rules, question.headers)?)
    };
    if !belongs && asked_by.is_none() {
        return None;
    }
    let mut journey = Box::<Journey>::default();
    match presented.flows(&rules.sealer, entry.names) {
        None => {}
        Some(Ok(flows)) => journey.flows = flows,
        Some(Err(rejection)) => journey.rejected = Some(rejection),
    }
    // What a page is made of comes in many requests at once: the next page tells what has become of flows.
    let tells = asked_by.is_none();
    for (workflow, pin) in journey.flows.prune(&rules.table, entry.now) {
        if pin.counted && tells {
            let took = pin.used.saturating_sub(pin.began);
            let what = FlowChange::Ended(FlowOutcome::Expired, took);
            journey.events.push(FlowEvent { workflow, engine: pin.engine, what });
        }
    }
    if !rules.evacuate.is_empty() {
        journey.evacuate(rules, entry.now, tells);
    }
    if !tells {
        journey.flows.leave_as_held();
    }
    let (page, with_ended) = match asked_by {
        Some(page) => (page, true),
        None => (place, place.start.is_none()),
    };
    let last_used = |with_ended| journey.flows.last_used(&rules.table, page.workflows(), with_ended);
    // A step is of a flow that goes on, if there is one: another that has just ended in a second tab must not take it.
    // A callback may come twice, and is of the flow used last.
    let found = if page.callback == 0 { last_used(false) } else { None };
    let found = found.or_else(|| last_used(with_ended)).or_else(|| {
        // An engine leads its own flows through the start of another workflow, as Okta's samples do with
        // `/login?state=`: with a `state` it is a step (`DOMAIN.md` B).
        let loops =
            place.start.is_some() && question.query.is_some_and(|query| parameter(query, "state").is_some());
        loops.then(|| journey.flows.last_used(&rules.table, u32::MAX, false)).flatten()
    });
    journey.pinned = found.map(|(_, pin)| pin);
    journey.workflow = found.map(|(at, _)| at);
    Some(journey)
}

/// What the page that asks is, when it is one of this site (RFC 9110 10.1.3).
fn referring(rules: &Rules, headers: &HeaderMap) -> Option<Place> {
    let referer = headers.get(http::header::REFERER)?.to_str().ok()?;
    let host = headers.get(http::header::HOST)?.to_str().ok()?;
    let (_, rest) = referer.split_once("://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    if !rest[..end].eq_ignore_ascii_case(host) {
        return None;
    }
    let page = rest[end..].split('#').next().unwrap_or_default();
    let (path, query) = page.split_once('?').map_or((page, None), |(path, query)| (path, Some(query)));
    let place = rules.table.place(&Method::GET, path, query);
    place.is_in_workflow().then_some(place)
}

/// What the browser only fetches ahead (`Sec-Purpose`, Fetch 3.1.7, and the older names of it).
pub(super) fn is_prefetch(question: &Question<'_>) -> bool {
    const NAMES: [HeaderName; 3] = [
        HeaderName::from_static("sec-purpose"),
        HeaderName::from_static("purpose"),
        HeaderName::from_static("x-moz"),
    ];
    let headers = question.headers;
    question.seen.purpose
        && NAMES.iter().any(|name| {
            headers
                .get(name)
                .is_some_and(|value| memchr::memmem::find(value.as_bytes(), b"prefetch").is_some())
        })
}

impl Journey {
    /// Takes away the pins that orders void. The user begins anew, so such a flow counts as replaced: it says nothing
    /// of how well its engine did.
    fn evacuate(&mut self, rules: &Rules, now: u32, tells: bool) {
        self.voided = void_flows(rules, &mut self.flows, now);
        for (workflow, pin, _) in self.voided.iter().filter(|(_, pin, _)| tells && pin.counted && !pin.ended)
        {
            let what = FlowChange::Ended(FlowOutcome::Replaced, now.saturating_sub(pin.began));
            self.events.push(FlowEvent { workflow: *workflow, engine: pin.engine, what });
        }
    }

    /// Which engine serves is known now: does the request go on with a flow, or begin one?
    pub(super) fn decided(
        &mut self,
        rules: &Rules,
        question: &Question<'_>,
        entry: &Entry<'_>,
        reason: Reason,
    ) {
        let place = question.place;
        if !place.belongs_to_workflow() {
            // A page of the flow asks for a picture.
            return;
        }
        let is_real = *question.method != Method::HEAD && !is_prefetch(question);
        let by_state = question.state.and_then(|hit| rules.table.named_by(hit.workflow?));
        if let Some(pin) = self.pinned
            && reason == Reason::Flow
        {
            self.goes_on(question, entry, pin, is_real);
            return;
        }
        if reason == Reason::State
            && let Some(workflow) = by_state.or(self.workflow)
            && let Some(pin) = self.flows.of(rules.table.hash(workflow)).copied()
            && question.state.is_some_and(|hit| hit.engine == pin.engine)
        {
            // The browser's own flow, by another proof; one that has ended is not begun again.
            self.workflow = Some(workflow);
            self.goes_on(question, entry, pin, is_real);
            return;
        }
        let by_path = entry.start.or(place.landing.map(|(at, _)| at));
        let only = |set: u32| (set.count_ones() == 1).then(|| set.trailing_zeros() as u8);
        let may_begin = entry.loads_page || !matches!(*question.method, Method::GET | Method::OPTIONS);
        let (workflow, begins) = match reason {
            Reason::State => (by_state.or(self.workflow), Begins::IfAccepted),
            Reason::Landing => (place.landing.map(|(at, _)| at), Begins::IfAccepted),
            Reason::Override | Reason::Session | Reason::Target | Reason::Cohort if may_begin => {
                (by_path, Begins::Always)
            }
            Reason::Override | Reason::Session | Reason::Target | Reason::Cohort | Reason::Default => {
                (by_path, Begins::No)
            }
            Reason::Flow | Reason::Failover => (self.workflow, Begins::No),
        };
        self.workflow = workflow.or_else(|| only(place.workflows()));
        if workflow.is_some() && is_real {
            self.begins = begins;
        }
    }

    fn goes_on(&mut self, question: &Question<'_>, entry: &Entry<'_>, mut pin: FlowPin, is_real: bool) {
        let Some(workflow) = self.workflow else { return };
        if pin.ended {
            return;
        }
        let query = question.query.unwrap_or_default();
        let begins_anew = entry.start == Some(workflow)
            && *question.method == Method::GET
            && entry.loads_page
            && is_real
            && parameter(query, "state").is_none()
            && parameter(query, "otp").is_none();
        if is_real && !pin.counted {
            pin.counted = true;
            self.tell(workflow, pin.engine, FlowChange::Started);
        }
        if begins_anew {
            let took = entry.now.saturating_sub(pin.began);
            self.tell(workflow, pin.engine, FlowChange::Ended(FlowOutcome::Replaced, took));
            self.tell(workflow, pin.engine, FlowChange::Started);
            pin.began = entry.now;
        }
        self.flows.touch(pin, entry.now);
    }

    fn tell(&mut self, workflow: u8, engine: Engine, what: FlowChange) {
        self.events.push(FlowEvent { workflow, engine, what });
    }
}
