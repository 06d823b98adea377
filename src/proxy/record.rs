//! What is told of a request, on every exit: a guard that rides in the response's body to its last byte, and
//! tells when it is dropped. A request that was cancelled is told the same way.

use std::fmt;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use http::header::HOST;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, Version};

use crate::decide::bucket::Bucket;
use crate::decide::cookies::CookieNames;
use crate::decide::decision::{Decision, Reason, TicketState};
use crate::decide::engine::Engine;
use crate::decide::headers::{self, RequestId};
use crate::decide::journey::{FlowChange, FlowEvent};
use crate::decide::lesson::Lesson;
use crate::decide::subject::{KeySource, SubjectKind};
use crate::decide::ticket::Ticket;
use crate::proxy::context::{View, WorkerContext};
use crate::telemetry::access_log::AccessRecord;
use crate::telemetry::events::UpstreamFailed;
use crate::telemetry::grpc::GrpcStatus;
use crate::telemetry::kinds::{AnswerKind, MethodLabel, MoveCause, TesterOutcome, UpstreamFailure};
use crate::telemetry::metrics::AppMetrics;
use crate::telemetry::noticed::SessionCookieInBoth;
use crate::upstream::endpoint::InFlight;
use crate::upstream::head::RequestHead;
use crate::upstream::pool::WorkerEndpoint;

mod moved;

/// The status of a request whose client hung up before a response began: none was sent, and metrics show `none`.
const NO_STATUS: u16 = 0;

/// One request, as it will be told.
pub struct Record {
    worker: Rc<WorkerContext>,
    view: Rc<View>,
    app: Option<usize>,
    engine: Option<Engine>,
    method: MethodLabel,
    started: Instant,
    status: u16,
    kind: Option<AnswerKind>,
    reason: Option<Reason>,
    /// When the endpoint was asked that was asked last.
    asked: Option<Instant>,
    /// From then until the response's head.
    upstream: Option<Duration>,
    /// The endpoint that was asked last.
    at: Option<Rc<WorkerEndpoint>>,
    /// Keeps its load counted.
    load: Option<InFlight>,
    /// The ticket to give to the browser, and whether over TLS.
    issue: Option<(Ticket, bool)>,
    sent: u64,
    received: Option<Arc<AtomicU64>>,
    tries: u32,
    request_id: Option<RequestId>,
    told: Option<Box<Told>>,
    /// The workflow that it is part of, by position.
    workflow: Option<u8>,
    /// What a gRPC call was told; `None` for everything else.
    grpc: Option<GrpcStatus>,
    /// Its browser's move to the other engine is counted.
    began_anew: bool,
}

/// What is known of an endpoint that has answered.
pub struct SetAside {
    asked: Option<Instant>,
    upstream: Option<Duration>,
    at: Option<Rc<WorkerEndpoint>>,
    load: Option<InFlight>,
    tries: u32,
}

/// What only the access log wants to know; absent when it does not.
struct Told {
    method: Method,
    uri: Uri,
    version: Version,
    host: Option<HeaderValue>,
    trace: Option<String>,
    client: IpAddr,
    subject: Option<SubjectKind>,
    bucket: Option<Bucket>,
}

impl Record {
    /// Begins to record a request.
    pub fn begin(worker: &Rc<WorkerContext>, view: &Rc<View>, method: &Method, started: Instant) -> Self {
        Self {
            worker: Rc::clone(worker),
            view: Rc::clone(view),
            app: None,
            engine: None,
            method: MethodLabel::from(method),
            started,
            status: NO_STATUS,
            kind: None,
            reason: None,
            asked: None,
            upstream: None,
            at: None,
            load: None,
            issue: None,
            sent: 0,
            received: None,
            tries: 0,
            request_id: None,
            told: None,
            workflow: None,
            grpc: None,
            began_anew: false,
        }
    }

    /// Keeps what the access log wants, when it wants this request.
    pub fn begin_telling(&mut self, parts: &Parts, client: IpAddr) {
        if self.worker.access.is_wanted(self.worker.ambient.roll()) {
            self.told = Some(Box::new(Told {
                method: parts.method.clone(),
                uri: parts.uri.clone(),
                version: parts.version,
                host: parts.headers.get(HOST).cloned(),
                trace: None,
                client,
                subject: None,
                bucket: None,
            }));
        }
    }

    /// The request has got a name.
    pub fn named(&mut self, request_id: RequestId) {
        self.request_id = Some(request_id);
    }

    /// The request's name.
    pub fn request_id(&self) -> Option<&RequestId> {
        self.request_id.as_ref()
    }

    /// The request belongs to a trace.
    pub fn traced(&mut self, head: &RequestHead) {
        if let Some(told) = &mut self.told {
            told.trace = headers::trace_id(&head.headers, &head.lines).map(str::to_owned);
        }
    }

    /// The request belongs to this app.
    pub fn claimed_by(&mut self, app: usize) {
        self.app = Some(app);
    }

    /// An engine was chosen. It is counted when the request ends: policy may yet let the other one serve.
    pub fn decided(&mut self, decision: &Decision, secure: bool) {
        self.issue = decision.issue.map(|ticket| (ticket, secure));
        self.metrics().in_flight_started(decision.engine);
        if let TicketState::Rejected(rejection) = decision.trail.ticket {
            self.worker.metrics.record_ticket_rejected(rejection);
        }
        if let Some(Err(rejection)) = decision.trail.tester {
            self.worker.metrics.record_ticket_rejected(rejection);
        }
        if let Some(rejection) = decision.journey.as_ref().and_then(|journey| journey.rejected) {
            self.worker.metrics.record_ticket_rejected(rejection);
        }
        self.workflow = decision.workflow();
        self.engine = Some(decision.engine);
        self.reason = Some(decision.reason);
        if let Some(told) = &mut self.told {
            told.subject = decision.trail.subject;
            told.bucket = decision.trail.bucket;
        }
    }

    /// An engine's answer was understood: flows that began or ended are counted, and whether the browser's page
    /// comes from another engine than the one before. `now` is in seconds since the Unix epoch.
    pub fn learned(&self, decision: &Decision, lesson: &Lesson, now: u64) {
        let Some(app) = self.app else { return };
        let view = &self.view.apps[app];
        self.flows(&lesson.events);
        if let (true, false, Some(served)) = (decision.trail.loads_page, self.began_anew, self.engine)
            && let TicketState::Valid(Ticket { last: Some(before), .. }) = decision.trail.ticket
            && before != served
            && let rules = &self.view.snapshot.apps[app].rules
            && let Some(cause) = moved::cause(rules, decision, self.reason, before, now)
        {
            view.metrics.record_move(before, served, cause);
        }
    }

    /// What flows did is counted.
    pub fn flows(&self, events: &[FlowEvent]) {
        let Some(app) = self.app else { return };
        for FlowEvent { workflow, engine, what } in events {
            let metrics = &self.view.apps[app].workflows[usize::from(*workflow)];
            match what {
                FlowChange::Started => metrics.record_start(*engine),
                FlowChange::Ended(outcome, took) => {
                    metrics.record_end(*engine, (*outcome).into(), Duration::from_secs(u64::from(*took)));
                }
            }
        }
    }

    /// Both engines set this session cookie.
    pub fn session_cookie_in_both(&self, cookie: &str) {
        let app = self.app.map_or("", |app| &self.view.snapshot.apps[app].name);
        SessionCookieInBoth { app, cookie }.tell(self.metrics());
    }

    /// The browser gets this ticket, and not the one that was decided.
    pub fn issues(&mut self, ticket: Option<Ticket>, secure: bool) {
        self.issue = ticket.map(|ticket| (ticket, secure)).or(self.issue);
    }

    /// The engine that held a flow or a session is gone, and the other one is this browser's from now on.
    pub fn begins_anew_on(&mut self, engine: Engine, ticket: Option<Ticket>, secure: bool) {
        self.began_anew = true;
        self.issues(ticket, secure);
        if ticket.is_some() {
            self.metrics().record_move(engine.other(), engine, MoveCause::Restart);
        }
    }

    /// The hash of the endpoint that answered.
    pub fn endpoint_hash(&self) -> u32 {
        self.at.as_ref().map_or(0, |endpoint| endpoint.shared.hash)
    }

    /// Somebody came by a tester link.
    pub fn tester_link(&self, outcome: TesterOutcome) {
        self.metrics().record_tester_link(outcome);
    }

    /// Another engine serves after all.
    pub fn moved_to(&mut self, engine: Engine, reason: Reason) {
        let metrics = self.metrics();
        if let Some(before) = self.engine {
            metrics.in_flight_ended(before);
        }
        metrics.in_flight_started(engine);
        self.engine = Some(engine);
        self.reason = Some(reason);
    }

    /// We answer ourselves, although an engine was chosen.
    pub fn asks_nobody(&mut self) {
        if let Some(engine) = self.engine.take() {
            self.metrics().in_flight_ended(engine);
        }
    }

    /// An endpoint is asked, and for how many times any has been.
    pub fn asks(&mut self, endpoint: &Rc<WorkerEndpoint>, in_flight: InFlight, tries: u32) {
        self.at = Some(Rc::clone(endpoint));
        self.load = Some(in_flight);
        self.tries = tries;
        self.asked = Some(self.worker.ambient.instant());
    }

    /// Another endpoint is asked, whose answer may count for nothing: what is known of the one that has answered.
    pub fn set_aside(&mut self) -> SetAside {
        let (at, load) = (self.at.take(), self.load.take());
        SetAside { asked: self.asked.take(), upstream: self.upstream.take(), at, load, tries: self.tries }
    }

    /// It was that one's answer after all.
    pub fn put_back(&mut self, answered: SetAside) {
        let SetAside { asked, upstream, at, load, tries } = answered;
        (self.asked, self.upstream, self.at, self.load, self.tries) = (asked, upstream, at, load, tries);
    }

    /// The engine that serves, once one was chosen.
    pub fn engine(&self) -> Option<Engine> {
        self.engine
    }

    /// The bytes of the request's body are counted there.
    pub fn receives(&mut self, received: Option<Arc<AtomicU64>>) {
        self.received = received;
    }

    /// The `Set-Cookie` line that gives the browser its ticket, when one is due.
    pub fn set_cookie(&self) -> Option<String> {
        let (ticket, secure) = self.issue.as_ref()?;
        let sealer = &self.view.snapshot.apps[self.app?].rules.sealer;
        sealer.set_cookie(CookieNames::for_scheme(*secure), ticket)
    }

    /// The endpoint's load, for a tunnel that outlives this record.
    pub fn take_load(&mut self) -> Option<InFlight> {
        self.load.take()
    }

    /// The endpoint that was asked has answered.
    pub fn answered(&mut self) {
        let Some(asked) = self.asked else { return };
        let upstream = self.worker.ambient.instant().saturating_duration_since(asked);
        if let Some(engine) = self.engine {
            self.metrics().record_upstream(engine, upstream);
        }
        self.upstream = Some(upstream);
    }

    /// A response begins.
    pub fn responds(&mut self, status: StatusCode, kind: Option<AnswerKind>) {
        self.status = status.as_u16();
        self.kind = kind;
        if let Some(kind) = kind {
            self.metrics().record_answer(kind);
        }
    }

    /// The client hung up before a response began: nobody hears our answer, and it is not counted as one.
    pub fn client_gone(&mut self) {
        self.status = NO_STATUS;
    }

    /// The response is one of gRPC, and its head may say already how the call ended.
    pub fn answers_grpc(&mut self, status: GrpcStatus) {
        self.grpc = Some(status);
    }

    /// Trailers came: those of a gRPC call say how it ended.
    pub fn trailed(&mut self, trailers: &HeaderMap) {
        if self.grpc == Some(GrpcStatus::Unsaid) {
            self.grpc = Some(GrpcStatus::said_in(trailers));
        }
    }

    /// Bytes of the response's body went out.
    pub fn sent(&mut self, bytes: usize) {
        self.sent += bytes as u64;
    }

    /// The response broke off in the middle.
    pub fn broke_off(&mut self, kind: UpstreamFailure) {
        if let Some(endpoint) = &self.at {
            let wall = self.worker.ambient.moment().wall;
            let error: &dyn fmt::Display = &"the response broke off";
            UpstreamFailed { endpoint: &endpoint.metrics, kind, error, wall }.tell();
        }
    }

    fn metrics(&self) -> &AppMetrics {
        match self.app {
            Some(app) => &self.view.apps[app].metrics,
            None => &self.view.no_app,
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let took = self.worker.ambient.instant().saturating_duration_since(self.started);
        let metrics = self.metrics();
        let routed = match (self.app, self.workflow) {
            (Some(app), Some(at)) => &self.view.apps[app].workflows[usize::from(at)].routed,
            (_, _) => metrics.routed(),
        };
        routed.record_request(self.engine, self.method, self.status, took);
        if let Some(status) = self.grpc {
            metrics.record_grpc(self.engine, status);
        }
        if let Some(engine) = self.engine {
            metrics.in_flight_ended(engine);
            if let Some(reason) = self.reason {
                routed.record_decision(engine, reason);
            }
        }
        let Some(told) = &self.told else { return };
        // A query that may hold a subject's key is nobody's business.
        let has_query_key = |app: usize| {
            let keys = &self.view.snapshot.apps[app].rules.keys;
            keys.iter().any(|key| matches!(key, KeySource::Query(_)))
        };
        let tells_query = !self.app.is_some_and(has_query_key);
        self.worker.access.record(&AccessRecord {
            unix_millis: self.worker.ambient.unix_millis(),
            app: self.app.map(|app| self.view.snapshot.apps[app].name.as_str()),
            workflow: self
                .app
                .zip(self.workflow)
                .map(|(app, at)| self.view.snapshot.apps[app].rules.table.workflow(at).name.as_str()),
            engine: self.engine,
            reason: self.reason,
            subject: told.subject,
            bucket: told.bucket,
            method: &told.method,
            host: told.host.as_ref().map_or(b"", HeaderValue::as_bytes),
            target: if tells_query {
                told.uri.path_and_query().map_or("/", |target| target.as_str())
            } else {
                told.uri.path()
            },
            status: self.status,
            kind: self.kind,
            duration: took,
            upstream_duration: self.upstream,
            bytes_in: self.received.as_ref().map_or(0, |received| received.load(Ordering::Relaxed)),
            bytes_out: self.sent,
            client: told.client,
            endpoint: self.at.as_ref().map(|endpoint| endpoint.shared.label.as_str()),
            retries: self.tries.saturating_sub(1),
            request_id: self.request_id.as_ref().map_or(b"", RequestId::as_bytes),
            trace_id: told.trace.as_deref(),
            protocol: told.version,
        });
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Record").field("status", &self.status).finish_non_exhaustive()
    }
}
