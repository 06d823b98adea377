//! What becomes of a request whose engine is gone, when it is held there (`DESIGN.md` 4): a flow begins anew, a
//! session waits for a while and is then given up.

use http::header::{LOCATION, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method};
use percent_encoding::{CONTROLS, utf8_percent_encode};

use crate::decide::anew::{Hold, PATIENCE, let_go, without_session};
use crate::decide::cookies::CookieNames;
use crate::decide::decision::{Decision, TicketState};
use crate::decide::evacuate::Leaving;
use crate::decide::headers::{self, Seen};
use crate::decide::ticket::Ticket;
use crate::proxy::error::failure_of;
use crate::proxy::forward::Exchange;
use crate::proxy::record::Record;
use crate::telemetry::kinds::UpstreamFailure;
use crate::telemetry::noticed::EngineGone;
use crate::upstream::endpoint::SILENCE;
use crate::upstream::error::UpstreamError;
use crate::upstream::head::RequestHead;

/// After so many seconds it is worth another try, when nothing better is known.
const TRY_AGAIN: u64 = 10;

/// Whoever waits for the minute to end comes back within so many seconds, or the endpoint would be silent for too long to
/// say that it is still gone.
const WHILE_WAITING: u64 = 20;

const _: () = assert!(WHILE_WAITING < SILENCE);

/// What to do with the request.
pub(super) enum Next {
    /// What is done with every request that no engine answers.
    Error,
    /// The other engine serves it, by this decision.
    Other(Box<Decision>),
    /// We answer.
    Answer(Box<Gone>),
}

/// Our answer to a request whose engine is gone.
#[derive(Debug, Default)]
pub struct Gone {
    /// Where to go instead: to where the workflow begins, when somebody serves that.
    pub(super) start: Option<HeaderValue>,
    /// When to come back, in seconds from now.
    retry_after: u64,
    /// The `Set-Cookie` line that takes the flow's pin away.
    flows: Option<String>,
}

impl Gone {
    fn wait(seconds: u64) -> Next {
        Next::Answer(Box::new(Self { retry_after: seconds.max(1), ..Self::default() }))
    }

    fn sent_home() -> Next {
        Next::Answer(Box::new(Self { start: Some(HeaderValue::from_static("/")), ..Self::default() }))
    }

    /// Makes an answer say so.
    pub(super) fn write(&self, headers: &mut HeaderMap) {
        match &self.start {
            Some(start) => drop(headers.insert(LOCATION, start.clone())),
            None => drop(headers.insert(RETRY_AFTER, HeaderValue::from(self.retry_after))),
        }
        if let Some(line) = &self.flows {
            headers::set_our_cookie(headers, line.clone());
        }
    }
}

/// Whether an attempt failed because the endpoint is not there. A full queue is there, and busy.
pub(super) fn is_unreachable(error: &UpstreamError) -> bool {
    matches!(error, UpstreamError::Connect { .. } | UpstreamError::ConnectTimeout { .. })
}

/// Whether it failed for no fault of the endpoint's.
fn is_busy(error: &UpstreamError) -> bool {
    match error {
        UpstreamError::NoEndpoint => false,
        error => !failure_of(error).is_some_and(UpstreamFailure::is_the_endpoints),
    }
}

/// Whether somebody who loads a page is there to see it: not what is fetched ahead (any purpose that a browser names is
/// such a one), nor what only asks about a page.
fn is_navigation(head: &RequestHead) -> bool {
    matches!(head.method, Method::GET | Method::POST) && !Seen::of(&head.headers).purpose
}

/// What to do with a request that every attempt has failed for: the last one with this error.
pub(super) fn next(
    exchange: &Exchange<'_>,
    decision: &Decision,
    head: &RequestHead,
    error: &UpstreamError,
    record: &mut Record,
) -> Next {
    let app = &exchange.view.snapshot.apps[exchange.app];
    let now = exchange.worker.ambient.moment().wall;
    let gone = decision.engine;
    let pool = app.pool(gone);
    // Where all are ejected or disabled, any failure confirms it; else only that nobody is there.
    let is_gone = is_unreachable(error) || (pool.is_barred() && !is_busy(error));
    let Some(since) = pool.gone_since(now).filter(|_| is_gone) else { return Next::Error };
    let waited = now.saturating_sub(since);
    let hold = decision.hold(&app.rules);
    let is_shown = decision.trail.loads_page && is_navigation(head);
    let departure = decision.evacuation.as_ref().and_then(|evacuation| evacuation.session);
    let leaving = departure.map(|departure| departure.leaving);
    let next = match hold {
        Hold::Nothing => return Next::Error,
        Hold::Page => Gone::wait(TRY_AGAIN),
        // Nobody has seen that it cannot go on: the page that asks is still there, and so may be the engine, soon.
        Hold::Flow(..) if !is_shown => Gone::wait(TRY_AGAIN),
        Hold::Session(_) if leaving == Some(Leaving::SignsOut) => {
            // Our answer ends the pin, and there is nobody to sign out of. A client that may not keep that answer's ticket
            // could be sent round.
            let is_known = matches!(decision.trail.ticket, TicketState::Valid(_));
            if is_shown && is_known { Gone::sent_home() } else { Gone::wait(TRY_AGAIN) }
        }
        // A session that is to end is not waited for.
        Hold::Session(_) if leaving.is_none() && waited < PATIENCE => {
            Gone::wait((PATIENCE - waited).min(WHILE_WAITING))
        }
        Hold::Session(_) if decision.is_one_time() => Gone::wait(TRY_AGAIN),
        Hold::Session(_) => {
            let anew = without_session(&app.rules, decision, now);
            if anew.engine == gone {
                // Nobody else would have this user: the session may as well be there when the engine is back.
                Gone::wait(TRY_AGAIN)
            } else {
                Next::Other(Box::new(anew))
            }
        }
        Hold::Flow(workflow, pin) => {
            let is_over = waited >= PATIENCE;
            let let_go = let_go(&app.rules, decision, (workflow, pin), is_over, now);
            record.flows(&let_go.events);
            let names = CookieNames::for_scheme(exchange.secure);
            let flows = app.rules.sealer.set_flow_cookie(names, &let_go.flows);
            let start = let_go.start.filter(|(_, engine)| {
                head.method == Method::GET && *engine != gone && app.pool(*engine).may_serve(now)
            });
            if let Some((_, engine)) = &start {
                // Who serves the start is no news then: the move is counted here.
                let ticket = decision.held().map(|held| Ticket {
                    session: held.session.filter(|pin| !(is_over && pin.engine == gone)),
                    last: None,
                    issued: u32::try_from(now).unwrap_or(u32::MAX),
                    is_current: true,
                    ..held
                });
                record.begins_anew_on(*engine, ticket, exchange.secure);
            }
            let start = start.and_then(|(path, _)| {
                HeaderValue::try_from(utf8_percent_encode(&path, CONTROLS).to_string()).ok()
            });
            Next::Answer(Box::new(Gone { start, retry_after: TRY_AGAIN, flows }))
        }
    };
    let told = match (&next, hold) {
        (Next::Other(_), _) => "sessions are given up",
        (Next::Answer(answer), Hold::Flow(..)) if answer.start.is_some() => "flows begin anew",
        (Next::Answer(answer), _) if answer.start.is_some() => "sessions are given up",
        (Next::Answer(_) | Next::Error, _) => "whom it holds must wait",
    };
    exchange.worker.engine_gone(&EngineGone { app: &app.name, engine: gone, told, since, wall: now });
    next
}
