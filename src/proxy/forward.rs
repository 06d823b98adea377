//! Attempts: pick an endpoint, send, classify, and try once more or give up.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use http::header::{IF_MODIFIED_SINCE, IF_NONE_MATCH, SET_COOKIE};
use http::{Method, Response, StatusCode};
use http_body::Body as _;

use crate::config::model::{OnUnavailable, Timeouts};
use crate::decide::balance::Balance;
use crate::decide::decision::{Decision, Reason};
use crate::decide::engine::Engine;
use crate::decide::isolation::{self, Jar};
use crate::decide::retry::{Progress, is_repeatable, may_repeat};
use crate::net::activity::{Activity, Stall};
use crate::proxy::body::{BodyError, RequestBody};
use crate::proxy::context::{View, WorkerContext};
use crate::proxy::error::{ProxyError, failure_of};
use crate::proxy::record::Record;
use crate::proxy::restart::{self, Next};
use crate::runtime::pool::Wish;
use crate::telemetry::events::{Chain, UpstreamFailed};
use crate::telemetry::kinds::RetryOutcome;
use crate::upstream::answer::Answer;
use crate::upstream::client::Failed;
use crate::upstream::error::UpstreamError;
use crate::upstream::head::RequestHead;
use crate::upstream::pool::WorkerEndpoint;
use crate::upstream::standing::Turn;

/// What forwarding needs to know of a request.
pub struct Exchange<'a> {
    /// The worker that serves it.
    pub worker: &'a WorkerContext,
    /// The generation that it began with.
    pub view: &'a View,
    /// Position of its app.
    pub app: usize,
    /// Notices when somebody stalls.
    pub activity: &'a Arc<Activity>,
    /// Whether the client asked to switch protocols.
    pub wants_upgrade: bool,
    /// The endpoint that a pin asks for, by hash; 0: none in particular.
    pub endpoint: u32,
    /// Whether the request brings a one-time answer or link.
    pub once: bool,
    /// Whether the client reached us over TLS.
    pub secure: bool,
    /// The name of the workflow that the request is part of.
    pub workflow: Option<&'a str>,
}

impl Exchange<'_> {
    /// Whether this request goes to the engine in HTTP/2. One that asks for another protocol does not: HTTP/2 has no
    /// `Upgrade` (RFC 9113 8.6), and engines that take WebSockets nearly all take them over HTTP/1.1.
    fn speaks_http2(&self, engine: Engine) -> bool {
        !self.wants_upgrade && self.view.snapshot.apps[self.app].pool(engine).http2
    }

    /// A request is about to be sent: from its last byte on it is the engine's turn.
    fn is_asked(&self, body: &mut RequestBody, timeouts: &Timeouts) {
        body.ask(timeouts.response);
        if body.has_come() {
            self.activity.set_step_deadline(Some(timeouts.response));
        }
    }
}

/// An attempt that failed, with the body when it can still be sent.
pub(super) struct Attempt {
    pub(super) error: UpstreamError,
    pub(super) body: Option<RequestBody>,
    /// The connection came from the pool: it says little about the endpoint that it died.
    was_pooled: bool,
}

impl Attempt {
    fn failed(error: UpstreamError, body: Option<RequestBody>) -> Box<Self> {
        Box::new(Self { error, body, was_pooled: false })
    }
}

/// How often a request may meet a connection that ends before it was looked at, before that counts as a try. More than
/// once: an engine that restarts ends all its connections.
const MOST_SPARED: u32 = 3;

/// Sends the request to the engine, and where policy allows it and nothing was written, to the other one.
pub async fn forward(
    exchange: &Exchange<'_>,
    decision: &mut Decision,
    mut head: RequestHead,
    body: RequestBody,
    record: &mut Record,
) -> Result<Box<Response<Answer<RequestBody>>>, ProxyError> {
    let app = &exchange.view.snapshot.apps[exchange.app];
    exchange.activity.set_exchange_deadline(exchange.view.snapshot.limits.request_timeout);
    let session = &app.rules.session;
    let jar = session.isolate.then(|| Jar::of(&head.headers));
    let unannotated = head.lines.len();
    let hand_to = |engine: Engine, reason: Reason, head: &mut RequestHead| {
        if let Some(jar) = &jar {
            jar.hand_to(engine, &session.cookies, &mut head.headers);
        }
        if app.annotate {
            head.lines.truncate(unannotated);
            head.lines.annotate(engine, reason, exchange.workflow);
        }
    };
    // What the browser has cached is of the other build.
    let turn_to = |engine: Engine, reason: Reason, head: &mut RequestHead| {
        hand_to(engine, reason, head);
        for name in [IF_NONE_MATCH, IF_MODIFIED_SINCE] {
            head.headers.remove(name);
        }
    };
    hand_to(decision.engine, decision.reason, &mut head);
    let other = decision.engine.other();
    let failed = match attempts(exchange, &head, decision.engine, body, record).await? {
        Ok(response)
            if response.status() == StatusCode::NOT_FOUND
                && decision.trail.place.is_asset
                && head.method == Method::GET
                && !app.pool(other).endpoints.is_empty() =>
        {
            turn_to(other, decision.reason, &mut head);
            if !session.shared {
                // A session that the other build does not know, it would take for a broken one, and replace.
                isolation::without_sessions(&mut head.headers, &session.cookies);
            }
            return Ok(Box::pin(of_the_other_build(exchange, &head, decision, response, record)).await);
        }
        Ok(response) => return Ok(response),
        Err(failed) => failed,
    };
    match *failed {
        Attempt { error, body: Some(body), .. }
            if app.on_unavailable == OnUnavailable::Failover
                && decision.may_be_served_by_the_other()
                && error.progress() == Progress::NothingWritten
                && !app.pool(other).endpoints.is_empty() =>
        {
            record.moved_to(other, Reason::Failover);
            turn_to(other, Reason::Failover, &mut head);
            // Boxed: rare, and the room for it would be moved about with every request.
            let again = Box::pin(attempts(exchange, &head, other, body, record));
            let response = again.await?.map_err(|failed| fault_of(failed.error))?;
            decision.is_served_by(other, exchange.worker.ambient.moment().wall);
            Ok(response)
        }
        Attempt { error, body, .. } => {
            let next = match app.on_unavailable {
                OnUnavailable::Restart => restart::next(exchange, decision, &head, &error, record),
                OnUnavailable::Error | OnUnavailable::Failover => Next::Error,
            };
            match (next, body) {
                (Next::Answer(gone), _) => Err(ProxyError::EngineGone(gone)),
                (Next::Other(anew), Some(body)) => {
                    turn_to(other, anew.reason, &mut head);
                    record.moved_to(other, anew.reason);
                    let response = Box::pin(attempts(exchange, &head, other, body, record)).await?;
                    let response = response.map_err(|failed| fault_of(failed.error))?;
                    record.begins_anew_on(other, anew.issue, exchange.secure);
                    *decision = *anew;
                    Ok(response)
                }
                (Next::Other(_) | Next::Error, _) => Err(fault_of(error)),
            }
        }
    }
}

/// A page of one engine may name a file that only its own build has, and the browser ask for it where no pin holds
/// it. The one thing that crosses: a static GET that was answered 404 is asked once of the other engine.
async fn of_the_other_build(
    exchange: &Exchange<'_>,
    head: &RequestHead,
    decision: &Decision,
    not_found: Box<Response<Answer<RequestBody>>>,
    record: &mut Record,
) -> Box<Response<Answer<RequestBody>>> {
    let other = decision.engine.other();
    let asked_first = record.set_aside();
    record.moved_to(other, decision.reason);
    match attempts(exchange, head, other, RequestBody::none(), record).await {
        Ok(Ok(mut found)) if found.status() != StatusCode::NOT_FOUND => {
            if !exchange.view.snapshot.apps[exchange.app].rules.session.shared {
                // A file signs nobody in or out.
                found.headers_mut().remove(SET_COOKIE);
            }
            found
        }
        Ok(Ok(_) | Err(_)) | Err(_) => {
            record.moved_to(decision.engine, decision.reason);
            record.put_back(asked_first);
            not_found
        }
    }
}

/// Tries one engine's endpoints. The outer result is of faults that are not the engine's, and end the request
/// whatever else could be tried.
async fn attempts(
    exchange: &Exchange<'_>,
    head: &RequestHead,
    engine: Engine,
    mut body: RequestBody,
    record: &mut Record,
) -> Result<Result<Box<Response<Answer<RequestBody>>>, Box<Attempt>>, ProxyError> {
    let pool = exchange.view.snapshot.apps[exchange.app].pool(engine);
    let timeouts = &pool.timeouts;
    let metrics = &exchange.view.apps[exchange.app].metrics;
    let budget = &exchange.view.apps[exchange.app].budgets[engine.index()];
    let mut account = budget.get();
    account.earn(exchange.worker.ambient.recent());
    budget.set(account);
    let has_body = !body.is_end_stream();
    let mut tried = Vec::new();
    let mut tries = 0;
    let mut spared = 0;
    let mut fresh = false;
    loop {
        let Some((at, endpoint)) = pick(exchange, engine, &tried) else {
            return Ok(Err(Attempt::failed(UpstreamError::NoEndpoint, Some(body))));
        };
        tries += 1;
        record.asks(endpoint, endpoint.shared.begin(), tries);
        let attempt = pin!(attempt(exchange, head, engine, endpoint, body, fresh));
        let failed = match in_time(exchange, timeouts, endpoint, attempt).await? {
            Ok(response) => {
                if tries > 1 {
                    metrics.record_retry(engine, RetryOutcome::Success);
                }
                if response.status() == StatusCode::SWITCHING_PROTOCOLS && !exchange.wants_upgrade {
                    let error = UpstreamError::UpgradeUnasked { endpoint: endpoint.shared.label.clone() };
                    note_failure(exchange, endpoint, &error);
                    return Ok(Err(Attempt::failed(error, None)));
                }
                let now = || exchange.worker.ambient.moment();
                tell(endpoint, pool.answered(at, response.status(), now));
                record.answered();
                return Ok(Ok(response));
            }
            Err(failed) => failed,
        };
        fresh = true;
        let progress = failed.error.progress();
        if failed.was_pooled
            && progress == Progress::NothingWritten
            && spared < MOST_SPARED
            && let Some(untouched) = failed.body
        {
            // No attempt was made, and no endpoint failed: it closed a connection that nobody used, or that it goes
            // away from without having looked at this request.
            tries -= 1;
            spared += 1;
            body = untouched;
            continue;
        }
        note_failure(exchange, endpoint, &failed.error);
        if let Some(kind) = failure_of(&failed.error).filter(|kind| kind.is_the_endpoints()) {
            let now = exchange.worker.ambient.moment();
            if restart::is_unreachable(&failed.error) {
                endpoint.shared.refused(now.wall);
            }
            tell(endpoint, pool.failed(at, kind.as_str(), now));
        }
        if tries > 1 {
            metrics.record_retry(engine, RetryOutcome::Failure);
        }
        // An endpoint that refused a new connection is not asked again where it is alone; one that is there, and has
        // not looked at the request, is.
        let not_looked_at =
            matches!(failed.error, UpstreamError::ClosedEarly { progress: Progress::NothingWritten, .. });
        let is_there = failed.was_pooled || not_looked_at;
        tried.push(at);
        let elsewhere = pool.has_another(&tried);
        if is_there && !elsewhere {
            tried.clear();
        }
        let may = may_repeat(progress, &head.method, has_body, exchange.once, pool.retries, tries);
        // A body of nothing is as good as new.
        let is_whole = failed.body.is_some() || !has_body;
        let wanted = (is_there || elsewhere) && may && is_whole;
        let mut account = budget.get();
        let again = wanted && account.spend(pool.retries);
        budget.set(account);
        if wanted && !again {
            metrics.record_retry(engine, RetryOutcome::Exhausted);
        }
        match failed.body {
            Some(untouched) if again => body = untouched,
            None if again => body = RequestBody::none(),
            untouched => return Ok(Err(Attempt::failed(failed.error, untouched))),
        }
    }
}

fn pick<'v>(
    exchange: &Exchange<'v>,
    engine: Engine,
    tried: &[usize],
) -> Option<(usize, &'v Rc<WorkerEndpoint>)> {
    let app = &exchange.view.snapshot.apps[exchange.app];
    let (pool, view) = (app.pool(engine), &exchange.view.apps[exchange.app]);
    // What is offered once should not find out whether anybody is there.
    let may_try_out = !exchange.once;
    let keeper = if exchange.endpoint != 0 && tried.is_empty() && !app.rules.session.shared {
        pool.keeper(exchange.endpoint, may_try_out)
    } else {
        None
    };
    let at = match keeper {
        Some(at) => at,
        None => {
            let number = match pool.balance {
                Balance::LeastRequest => exchange.worker.ambient.roll(),
                Balance::RoundRobin => {
                    let turns = &view.turns[engine.index()];
                    turns.set(turns.get().wrapping_add(1));
                    turns.get()
                }
            };
            pool.pick(Wish { number, tried, may_try_out })?
        }
    };
    Some((at, &view.endpoints[engine.index()][at]))
}

/// Tells of a verdict that has changed.
fn tell(endpoint: &WorkerEndpoint, turn: Option<Turn>) {
    if let Some(turn) = turn {
        turn.tell(endpoint.metrics.shared());
    }
}

/// One attempt at one endpoint.
async fn attempt(
    exchange: &Exchange<'_>,
    head: &RequestHead,
    engine: Engine,
    endpoint: &Rc<WorkerEndpoint>,
    mut body: RequestBody,
    fresh: bool,
) -> Result<Box<Response<Answer<RequestBody>>>, Box<Attempt>> {
    let timeouts = &exchange.view.snapshot.apps[exchange.app].pool(engine).timeouts;
    let has_body = !body.is_end_stream();
    let repeatable = !has_body && is_repeatable(&head.method);
    if exchange.speaks_http2(engine) {
        let slot = match endpoint.stream(timeouts, !repeatable).await {
            Ok(slot) => slot,
            Err(error) => return Err(Attempt::failed(error, Some(body))),
        };
        exchange.is_asked(&mut body, timeouts);
        return answered(exchange, slot.send(head, body).await);
    }
    let unused = if fresh { None } else { endpoint.unused(timeouts, !repeatable) };
    let connection = match unused {
        Some(connection) => connection,
        None => match Box::pin(endpoint.another(timeouts)).await {
            Ok(connection) => connection,
            Err(error) => return Err(Attempt::failed(error, Some(body))),
        },
    };
    exchange.is_asked(&mut body, timeouts);
    answered(exchange, connection.send(head, body).await)
}

/// What became of an attempt.
fn answered(
    exchange: &Exchange<'_>,
    sent: Result<Box<Response<Answer<RequestBody>>>, Box<Failed<RequestBody>>>,
) -> Result<Box<Response<Answer<RequestBody>>>, Box<Attempt>> {
    match sent {
        Ok(response) => {
            exchange.activity.set_step_deadline(None);
            Ok(response)
        }
        Err(failed) => {
            let Failed { error, body, reused } = *failed;
            Err(Box::new(Attempt { error, body, was_pooled: reused }))
        }
    }
}

/// Runs an attempt until somebody stalls. A step that is late is the endpoint's failure; everything else ends
/// the request.
async fn in_time<T>(
    exchange: &Exchange<'_>,
    timeouts: &Timeouts,
    endpoint: &WorkerEndpoint,
    mut attempt: Pin<&mut impl Future<Output = Result<T, Box<Attempt>>>>,
) -> Result<Result<T, Box<Attempt>>, ProxyError> {
    poll_fn(|context| {
        if let Poll::Ready(outcome) = attempt.as_mut().poll(context) {
            return Poll::Ready(Ok(outcome));
        }
        let limits = &exchange.view.snapshot.limits;
        match exchange.activity.stall() {
            None | Some(Stall::Idle | Stall::Head | Stall::Tunnel) => Poll::Pending,
            Some(Stall::Body) => Poll::Ready(Err(ProxyError::SlowBody)),
            Some(Stall::Reader) => Poll::Ready(Err(ProxyError::ClientGone)),
            Some(Stall::Exchange) => Poll::Ready(Err(ProxyError::RequestTimeout {
                limit: limits.request_timeout.unwrap_or_default(),
            })),
            Some(Stall::Step) => {
                let endpoint = endpoint.shared.label.clone();
                let error = UpstreamError::ResponseTimeout { endpoint, after: timeouts.response };
                Poll::Ready(Ok(Err(Attempt::failed(error, None))))
            }
        }
    })
    .await
}

fn note_failure(exchange: &Exchange<'_>, endpoint: &WorkerEndpoint, error: &UpstreamError) {
    if let Some(kind) = failure_of(error) {
        let wall = exchange.worker.ambient.moment().wall;
        UpstreamFailed { endpoint: &endpoint.metrics, kind, error: &Chain(error), wall }.tell();
    }
}

/// Whose fault a failed attempt was in the end.
fn fault_of(error: UpstreamError) -> ProxyError {
    let UpstreamError::RequestBody { source } = &error else { return ProxyError::Upstream(error) };
    match source.downcast_ref::<BodyError>() {
        Some(BodyError::TooLarge { limit }) => ProxyError::BodyTooLarge { limit: *limit },
        Some(BodyError::Cut) => ProxyError::ClientGone,
        Some(BodyError::Malformed(_)) | None => ProxyError::MalformedBody,
    }
}
