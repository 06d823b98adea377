//! What an answer teaches: pins made and ended, `state` issued; and what follows for its headers.

use http::header::CACHE_CONTROL;
use http::{HeaderMap, HeaderValue, StatusCode};
use percent_encoding::percent_decode_str;

use crate::decide::answer::{AnswerFacts, state_issued};
use crate::decide::cookies::{self, CookieNames};
use crate::decide::decision::{Decision, StateHit};
use crate::decide::engine::Engine;
use crate::decide::evacuate::as_of;
use crate::decide::farewell;
use crate::decide::headers;
use crate::decide::isolation;
use crate::decide::lesson::{Lesson, learn};
use crate::runtime::snapshot::{App, Snapshot};

/// A `state` that was issued outside workflows is known for as long as an identity provider's page stands
/// (`DOMAIN.md` 2.2: one hour).
const STATE_LIFE: u64 = 60 * 60;

/// What is known of an exchange when its answer comes.
#[derive(Clone, Copy, Debug)]
pub struct Answered<'a> {
    /// The generation.
    pub snapshot: &'a Snapshot,
    /// The app.
    pub app: &'a App,
    /// What was decided.
    pub decision: &'a Decision,
    /// The host that the request was for.
    pub host: Option<&'a HeaderValue>,
    /// Whether the client reached us over TLS.
    pub secure: bool,
    /// Who answered.
    pub served: Engine,
    /// The hash of the endpoint that did.
    pub endpoint: u32,
    /// Seconds since the Unix epoch.
    pub now: u64,
    /// The session cookies that a request to sign out brings.
    pub sessions: &'a [Box<str>],
}

/// Learns from an answer, and makes its headers say what follows.
pub fn from_answer(answered: &Answered<'_>, status: StatusCode, headers: &mut HeaderMap) -> Lesson {
    let Answered { app, decision, secure, .. } = *answered;
    let lesson = lesson(answered, status, headers);
    let session = &app.rules.session;
    if session.isolate {
        isolation::keep_apart(headers, answered.served, &session.cookies, answered.now);
    }
    if lesson.signed_out {
        farewell::expire(headers, answered.sessions, secure);
    }
    let names = CookieNames::for_scheme(secure);
    let sealer = &app.rules.sealer;
    let ticket = lesson.ticket.and_then(|ticket| sealer.set_cookie(names, &ticket));
    let flows = lesson.flows.as_ref();
    let flows = flows.and_then(|flows| sealer.set_flow_cookie(names, flows));
    for line in [ticket, flows].into_iter().flatten() {
        headers::set_our_cookie(headers, line);
    }
    if lesson.no_store {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    debug_assert!(
        decision.journey.is_some() || lesson.events.is_empty(),
        "only journeys have something to tell"
    );
    lesson
}

/// The session cookies of an answer that both engines are seen to set for the first time.
pub fn cookies_in_both<'a>(answered: &Answered<'a>, headers: &HeaderMap) -> Vec<&'a str> {
    let Answered { app, served, now, .. } = *answered;
    let set = cookies::set_lines(headers).filter(|line| !line.is_deletion(now));
    set.filter_map(|line| app.sightings.note(served, line.name)).collect()
}

fn lesson(answered: &Answered<'_>, status: StatusCode, headers: &HeaderMap) -> Lesson {
    let Answered { snapshot, app, decision, host, served, endpoint, now, .. } = *answered;
    let rules = &app.rules;
    if rules.table.is_empty() && !rules.session.pins() {
        return Lesson { ticket: decision.issue, ..Lesson::default() };
    }
    let host = host.and_then(|host| host.to_str().ok()).unwrap_or_default();
    let facts = AnswerFacts::of(status, headers, host, now);
    if facts.redirects
        && let Some(state) = state_issued(headers)
    {
        let workflow = decision.workflow();
        let life = workflow.map_or(STATE_LIFE, |at| u64::from(rules.table.workflow(at).pin.cap));
        let workflow = workflow.map(|at| rules.table.hash(at));
        let issued = as_of(rules, decision, served, u32::try_from(now).unwrap_or(u32::MAX));
        let hit = StateHit { engine: served, workflow, endpoint, issued };
        let state: Vec<u8> = percent_decode_str(state).collect();
        snapshot.states.remember(&app.name, &state, hit, now, now.saturating_add(life));
    }
    learn(rules, decision, &facts, served, endpoint)
}
