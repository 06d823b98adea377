//! What one worker counts: its shard, and in it one set of numbers per app, endpoint and listener.
//!
//! A worker looks its numbers up once, when it takes up a new generation, and then holds them: on the path of a
//! request there is no lock, no look-up, no text and no allocation but the first of a method. Every set is
//! aligned to cache lines of its own, so that two workers never write to the same one.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use crate::decide::decision::Reason;
use crate::decide::engine::Engine;
use crate::decide::ticket::Rejection;
use crate::telemetry::grpc::GrpcStatus;
use crate::telemetry::kinds::{
    AnswerKind, CloseReason, ConnectionState, FloodKind, FlowOutcomeLabel, HandshakeFailure, MethodLabel,
    MoveCause, RetryOutcome, TesterOutcome, TurnedAway, UpstreamFailure,
};
use crate::telemetry::metrics::Shared;
use crate::telemetry::metrics::cells::{Codes, Counter, Gauge, Histogram, Throttle, lock};

/// By engine and URL.
type Endpoints = BTreeMap<(Engine, Box<str>), Arc<EndpointMetrics>>;

const REASONS: usize = Reason::ALL.len();

/// The value of a label that does not apply.
pub const NONE: &str = "none";

/// The numbers of one worker.
#[derive(Debug)]
pub struct WorkerMetrics {
    shared: Arc<Shared>,
    unrouted: Arc<AppMetrics>,
    pub(super) apps: Mutex<BTreeMap<Box<str>, Arc<AppMetrics>>>,
    pub(super) listeners: Mutex<BTreeMap<Box<str>, Arc<ListenerMetrics>>>,
    pub(super) tickets_rejected: [Counter; Rejection::ALL.len()],
}

impl WorkerMetrics {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            unrouted: Arc::new(AppMetrics::new(NONE, Arc::clone(&shared))),
            apps: Mutex::default(),
            listeners: Mutex::default(),
            tickets_rejected: Default::default(),
            shared,
        }
    }

    /// The numbers of an app; those it had before, if this worker knows it. For a new generation, not for a
    /// request.
    pub fn app(&self, name: &str) -> Arc<AppMetrics> {
        let mut apps = lock(&self.apps);
        let app = apps
            .entry(name.into())
            .or_insert_with(|| Arc::new(AppMetrics::new(name, Arc::clone(&self.shared))));
        Arc::clone(app)
    }

    /// The numbers of requests that belong to no app: those for unknown hosts, and those that cannot be read.
    pub fn unrouted(&self) -> &Arc<AppMetrics> {
        &self.unrouted
    }

    /// The numbers of a listener; those it had before, if this worker knows it.
    pub fn listener(&self, name: &str) -> Arc<ListenerMetrics> {
        Arc::clone(lock(&self.listeners).entry(name.into()).or_default())
    }

    /// A cookie was no ticket.
    pub fn record_ticket_rejected(&self, rejection: Rejection) {
        self.tickets_rejected[rejection as usize].add(1);
    }
}

/// The numbers of one app, as one worker counts them.
#[derive(Debug)]
#[repr(align(64))]
pub struct AppMetrics {
    shared: Arc<Shared>,
    pub(super) name: Box<str>,
    /// Of requests outside workflows.
    pub(super) routed: Routed,
    pub(super) workflows: Mutex<BTreeMap<Box<str>, Arc<WorkflowMetrics>>>,
    pub(super) upstream: [Histogram; 2],
    pub(super) in_flight: [Gauge; 2],
    pub(super) answers: [Counter; AnswerKind::COUNT],
    /// By the engine that was left.
    pub(super) moves: [[Counter; MoveCause::COUNT]; 2],
    pub(super) session_cookies_in_both: Counter,
    pub(super) tester_links: [Counter; TesterOutcome::COUNT],
    pub(super) retries: [[Counter; RetryOutcome::COUNT]; 2],
    /// By lane; made when the first gRPC answer ends, since most apps see none.
    pub(super) grpc: OnceLock<Box<[[Counter; GrpcStatus::COUNT]; LANES.len()]>>,
    pub(super) endpoints: Mutex<Endpoints>,
}

/// Requests of one workflow, or of none.
#[derive(Debug, Default)]
pub struct Routed {
    /// By engine; the last for requests that no engine served.
    pub(super) lanes: [Lane; 3],
    pub(super) decisions: [[Counter; REASONS]; 2],
}

impl Routed {
    /// A request ended. `engine` is `None` when no engine was asked; `status` is 0 when the client left before
    /// there was an answer.
    pub fn record_request(&self, engine: Option<Engine>, method: MethodLabel, status: u16, took: Duration) {
        let lane = &self.lanes[engine.map_or(LANES.len() - 1, Engine::index)];
        lane.duration.observe(took);
        lane.codes[method.index()].get_or_init(Box::default).add(status);
    }

    /// An engine was chosen.
    pub fn record_decision(&self, engine: Engine, reason: Reason) {
        self.decisions[engine.index()][reason.index()].add(1);
    }
}

/// The numbers of one workflow of an app, as one worker counts them.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct WorkflowMetrics {
    /// Its requests.
    pub routed: Routed,
    pub(super) started: [Counter; 2],
    pub(super) ended: [[Counter; FlowOutcomeLabel::COUNT]; 2],
    pub(super) duration: [Histogram; 2],
}

impl WorkflowMetrics {
    /// A flow was started.
    pub fn record_start(&self, engine: Engine) {
        self.started[engine.index()].add(1);
    }

    /// A flow ended, this long after its start.
    pub fn record_end(&self, engine: Engine, outcome: FlowOutcomeLabel, took: Duration) {
        self.ended[engine.index()][outcome.index()].add(1);
        self.duration[engine.index()].observe(took);
    }
}

/// Requests that went one way.
#[derive(Debug, Default)]
pub(super) struct Lane {
    pub(super) duration: Histogram,
    /// By method; made when the first request of a method ends, since most apps see two or three.
    pub(super) codes: [OnceLock<Box<Codes>>; MethodLabel::COUNT],
}

/// The labels of the lanes, in their order.
pub(super) const LANES: [&str; 3] = [Engine::Classic.as_str(), Engine::Identity.as_str(), NONE];

impl AppMetrics {
    fn new(name: &str, shared: Arc<Shared>) -> Self {
        Self {
            shared,
            name: name.into(),
            routed: Routed::default(),
            workflows: Mutex::default(),
            upstream: Default::default(),
            in_flight: Default::default(),
            answers: Default::default(),
            moves: Default::default(),
            session_cookies_in_both: Counter::default(),
            tester_links: Default::default(),
            retries: Default::default(),
            grpc: OnceLock::new(),
            endpoints: Mutex::default(),
        }
    }

    /// The numbers of requests outside workflows.
    pub fn routed(&self) -> &Routed {
        &self.routed
    }

    /// The numbers of a workflow; those it had before, if this worker knows it. For a new generation, not for a
    /// request.
    pub fn workflow(&self, name: &str) -> Arc<WorkflowMetrics> {
        Arc::clone(lock(&self.workflows).entry(name.into()).or_default())
    }

    /// An engine's response began, this long after the request was sent.
    pub fn record_upstream(&self, engine: Engine, took: Duration) {
        self.upstream[engine.index()].observe(took);
    }

    /// We answered ourselves.
    pub fn record_answer(&self, kind: AnswerKind) {
        self.answers[kind.index()].add(1);
    }

    /// A browser that was served by one engine goes to the other. Staying is no move, and is not counted.
    pub fn record_move(&self, from: Engine, to: Engine, cause: MoveCause) {
        if from != to {
            self.moves[from.index()][cause.index()].add(1);
        }
    }

    /// Both engines set a session cookie. Its event does so and logs it too.
    pub(in crate::telemetry) fn record_session_cookie_in_both(&self) {
        self.session_cookies_in_both.add(1);
    }

    /// Somebody came by a tester link.
    pub fn record_tester_link(&self, outcome: TesterOutcome) {
        self.tester_links[outcome.index()].add(1);
    }

    /// A further attempt ended.
    pub fn record_retry(&self, engine: Engine, outcome: RetryOutcome) {
        self.retries[engine.index()][outcome.index()].add(1);
    }

    /// A gRPC call got its answer, or what there was of it. `engine` is `None` when no engine was asked.
    pub fn record_grpc(&self, engine: Option<Engine>, status: GrpcStatus) {
        let lane = engine.map_or(LANES.len() - 1, Engine::index);
        self.grpc.get_or_init(Default::default)[lane][status.index()].add(1);
    }

    /// A request is on its way to an engine. Every start needs its end.
    pub fn in_flight_started(&self, engine: Engine) {
        self.in_flight[engine.index()].add(1);
    }

    /// It is over, whatever became of it.
    pub fn in_flight_ended(&self, engine: Engine) {
        self.in_flight[engine.index()].add(-1);
    }

    /// The numbers of an endpoint; those it had before, if this worker knows it. For a new generation, not for a
    /// request.
    pub fn endpoint(&self, engine: Engine, endpoint: &str) -> Arc<EndpointMetrics> {
        let shared = self.shared.endpoint(&self.name, engine, endpoint);
        let mut endpoints = lock(&self.endpoints);
        let metrics = endpoints
            .entry((engine, endpoint.into()))
            .or_insert_with(|| Arc::new(EndpointMetrics::new(shared)));
        Arc::clone(metrics)
    }
}

/// The numbers of one endpoint, as one worker counts them.
#[derive(Debug)]
#[repr(align(64))]
pub struct EndpointMetrics {
    pub(super) shared: Arc<SharedEndpoint>,
    pub(super) connections: [Gauge; ConnectionState::COUNT],
    pub(super) failures: [Counter; UpstreamFailure::COUNT],
    pub(super) interim: Counter,
}

impl EndpointMetrics {
    fn new(shared: Arc<SharedEndpoint>) -> Self {
        Self {
            shared,
            connections: Default::default(),
            failures: Default::default(),
            interim: Counter::default(),
        }
    }

    /// A connection came into a state: one that opens for a request is `Active`, one given back is `Idle`.
    pub fn connection_entered(&self, state: ConnectionState) {
        self.connections[state.index()].add(1);
    }

    /// A connection left a state, for the other or for ever.
    pub fn connection_left(&self, state: ConnectionState) {
        self.connections[state.index()].add(-1);
    }

    /// Counts interim (1xx) responses, which are dropped.
    pub fn record_interim(&self, responses: u32) {
        self.interim.add(u64::from(responses));
    }

    /// Counts a failure. [`UpstreamFailed`](crate::telemetry::events::UpstreamFailed) does so and logs it too.
    pub(in crate::telemetry) fn record_failure(&self, kind: UpstreamFailure) {
        self.failures[kind.index()].add(1);
    }

    /// What all workers say about it together.
    pub fn shared(&self) -> &SharedEndpoint {
        &self.shared
    }
}

/// What all workers say about an endpoint together.
#[derive(Debug)]
pub struct SharedEndpoint {
    pub(in crate::telemetry) app: Box<str>,
    pub(in crate::telemetry) engine: Engine,
    pub(in crate::telemetry) url: Box<str>,
    ready: AtomicBool,
    /// By kind of failure: what keeps a dead endpoint from filling the log.
    pub(in crate::telemetry) throttles: [Throttle; UpstreamFailure::COUNT],
}

impl SharedEndpoint {
    /// Ready until somebody says otherwise.
    pub(super) fn new(app: &str, engine: Engine, url: &str) -> Self {
        Self {
            app: app.into(),
            engine,
            url: url.into(),
            ready: AtomicBool::new(true),
            throttles: Default::default(),
        }
    }

    /// Whether requests may go there.
    pub fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Relaxed);
    }

    pub(super) fn is_ready(&self) -> bool {
        self.ready.load(Relaxed)
    }
}

/// The numbers of one listener, as one worker counts them.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct ListenerMetrics {
    pub(super) open: Gauge,
    pub(super) total: Counter,
    pub(super) handshake_failures: [Counter; HandshakeFailure::COUNT],
    pub(super) turned_away: [Counter; TurnedAway::COUNT],
    pub(super) closed: [Counter; CloseReason::COUNT],
    pub(super) floods: [Counter; FloodKind::COUNT],
}

impl ListenerMetrics {
    /// A connection was accepted. Every one needs its end.
    pub fn connection_opened(&self) {
        self.open.add(1);
        self.total.add(1);
    }

    /// A connection was turned away.
    pub fn turned_away(&self, reason: TurnedAway) {
        self.turned_away[reason.index()].add(1);
    }

    /// We ended a connection that was served.
    pub fn record_closed(&self, reason: CloseReason) {
        self.closed[reason.index()].add(1);
    }

    /// An HTTP/2 connection was ended for a flood.
    pub fn flooded(&self, kind: FloodKind) {
        self.floods[kind.index()].add(1);
    }

    /// A TLS handshake failed.
    pub fn handshake_failed(&self, failure: HandshakeFailure) {
        self.handshake_failures[failure.index()].add(1);
    }

    /// It is closed.
    pub fn connection_closed(&self) {
        self.open.add(-1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_that_nobody_visits_costs_a_worker_less_than_2_kib() {
        let size = size_of::<AppMetrics>();
        assert!(size <= 1_792, "{size} bytes; with names, map and lock this must stay below 2 KiB");
    }
}
