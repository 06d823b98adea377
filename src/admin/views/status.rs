//! What runs, and whether it is ready.

use serde::{Deserialize, Serialize};

use crate::admin::AdminState;
use crate::admin::views::{ListenerView, LookView, StageView, WorkflowShareView};
use crate::ambient::Moment;
use crate::config::model::App as AppConfig;
use crate::config::units::write_moment;
use crate::control::LastLook;
use crate::decide::engine::Engine;
use crate::decide::evacuate::Order;
use crate::runtime::pool::Pool;
use crate::runtime::snapshot::{App, Snapshot};
use crate::telemetry::noticed::SessionCookieInBoth;
use crate::upstream::endpoint::Endpoint;
use crate::upstream::standing::Turn;

/// Something for each of the two engines.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ByEngine<T> {
    /// For the Classic engine.
    pub classic: T,
    /// For the Identity engine.
    pub identity: T,
}

impl<T> ByEngine<T> {
    fn of(mut view: impl FnMut(Engine) -> T) -> Self {
        Self { classic: view(Engine::Classic), identity: view(Engine::Identity) }
    }
}

/// `GET /readyz`
#[derive(Clone, Debug, Serialize)]
pub struct ReadyView {
    /// Whether new requests are welcome.
    pub ready: bool,
    /// Whether the process is about to end.
    pub draining: bool,
    /// The apps, in file order.
    pub apps: Vec<AppReadyView>,
}

/// What of an app is ready.
#[derive(Clone, Debug, Serialize)]
pub struct AppReadyView {
    /// Its name.
    pub name: String,
    /// Its engines.
    pub engines: ByEngine<PoolReadyView>,
}

/// What of an engine is ready.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct PoolReadyView {
    /// How many endpoints it has.
    pub endpoints: usize,
    /// To how many of them requests go.
    pub ready: usize,
}

impl ReadyView {
    /// As it is now.
    pub fn of(state: &AdminState) -> Self {
        let draining = state.drain.has_begun();
        let apps = state.live.load().apps.iter().map(AppReadyView::of).collect();
        Self { ready: !draining, draining, apps }
    }
}

impl AppReadyView {
    fn of(app: &App) -> Self {
        let engines = ByEngine::of(|engine| PoolReadyView::of(app.pool(engine)));
        Self { name: app.name.clone(), engines }
    }
}

impl PoolReadyView {
    /// As it is now.
    pub fn of(pool: &Pool) -> Self {
        let ready = pool.endpoints.iter().filter(|endpoint| endpoint.standing.is_ready()).count();
        Self { endpoints: pool.endpoints.len(), ready }
    }
}

/// `GET /api/v1/status`
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct StatusView {
    /// The program's version.
    pub version: String,
    /// The number of the running configuration.
    pub generation: u64,
    /// Its digest, by which replicas are compared.
    pub hash: String,
    /// When the process started, in seconds since the Unix epoch.
    pub started_at: u64,
    /// For how long it has run.
    pub uptime_seconds: u64,
    /// How many workers run.
    pub workers: usize,
    /// Where requests are accepted, as configured.
    pub listeners: Vec<String>,
    /// What each of them speaks and shows.
    #[serde(default)]
    pub edge: Vec<ListenerView>,
    /// Downstream connections that are open.
    pub connections: usize,
    /// Whether the process is about to end.
    pub draining: bool,
    /// The newest look at the configuration.
    pub configuration: ConfigurationView,
    /// The apps, in file order.
    pub apps: Vec<AppView>,
}

/// The newest look at the configuration.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ConfigurationView {
    /// When, in seconds since the Unix epoch.
    pub looked_at: u64,
    /// What made us look: `start`, `file`, `signal` or `admin`.
    pub origin: String,
    /// What became of it.
    #[serde(flatten)]
    pub look: LookView,
}

/// One app.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct AppView {
    /// Its name.
    pub name: String,
    /// The hosts it claims; empty: every host that no other app claims.
    pub hosts: Vec<String>,
    /// The share of the Identity engine that is in force, as operators write it.
    pub percent: String,
    /// The same, 0 … 1.
    pub ratio: f64,
    /// What comes next, where that is scheduled.
    #[serde(default)]
    pub next_stage: Option<StageView>,
    /// The shares of its workflows.
    #[serde(default)]
    pub workflows: Vec<WorkflowShareView>,
    /// Where it looks for a subject's key.
    pub keys: Vec<String>,
    /// Raised to forget every ticket.
    pub epoch: u32,
    /// The names of its targets, in order.
    pub targets: Vec<String>,
    /// Orders to evacuate one of its engines, in file order.
    #[serde(default)]
    pub evacuate: Vec<OrderView>,
    /// Its engines.
    pub engines: ByEngine<PoolView>,
    /// What was noticed about it while it ran; absent when nothing was.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<WarningView>,
}

/// Something that was noticed.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct WarningView {
    /// What.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

impl WarningView {
    fn all(app: &App) -> Vec<Self> {
        let told = app.cookies_in_both().map(|cookie| Self {
            message: format!("both engines set the session cookie {cookie}"),
            hint: SessionCookieInBoth::HINT.to_owned(),
        });
        told.collect()
    }
}

/// An order to evacuate an engine.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct OrderView {
    /// Which engine.
    pub engine: String,
    /// The date, as the configuration writes it.
    pub at: String,
    /// Where signed-in browsers are sent first.
    #[serde(default)]
    pub sign_out: Option<String>,
    /// Whether the date has come.
    pub in_force: bool,
}

impl OrderView {
    /// As it stands at a time, in seconds since the Unix epoch.
    pub fn of(order: &Order, now: u64) -> Self {
        let Order { engine, at, sign_out } = order;
        Self {
            engine: engine.as_str().to_owned(),
            at: write_moment(*at),
            sign_out: sign_out.as_ref().map(|path| path.as_str().to_owned()),
            in_force: *at <= now,
        }
    }
}

/// The endpoints of one engine.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct PoolView {
    /// In file order.
    pub endpoints: Vec<EndpointView>,
}

/// One endpoint.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct EndpointView {
    /// Where it is.
    pub url: String,
    /// Its part of the requests relative to the others of its engine.
    pub weight: u32,
    /// Requests in flight.
    pub in_flight: usize,
    /// What requests and probes say: `ready`, `ejected` or `probation`.
    #[serde(default)]
    pub verdict: String,
    /// What an operator says: `enabled`, `draining` or `disabled`.
    #[serde(default)]
    pub duty: String,
    /// Why requests do not go there; absent when they do.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
}

impl EndpointView {
    /// As it stands now.
    pub fn of(endpoint: &Endpoint, weight: u32) -> Self {
        let Turn { verdict, duty, why, .. } = endpoint.standing.turn();
        Self {
            url: endpoint.label.clone(),
            weight,
            in_flight: endpoint.load(),
            verdict: verdict.as_str().to_owned(),
            duty: duty.as_str().to_owned(),
            why,
        }
    }
}

impl StatusView {
    /// As it is now.
    pub fn of(state: &AdminState, now: Moment) -> Self {
        let AdminState { live, metrics: _, control, drain, started, workers } = state;
        let snapshot = live.load();
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            generation: snapshot.generation,
            hash: snapshot.hash.clone(),
            started_at: started.wall,
            uptime_seconds: now.monotonic.saturating_duration_since(started.monotonic).as_secs(),
            workers: *workers,
            listeners: snapshot.config.listeners.iter().map(|listener| listener.bind.to_string()).collect(),
            edge: ListenerView::all(&snapshot.config, now.wall),
            connections: drain.open(),
            draining: drain.has_begun(),
            configuration: ConfigurationView::of(&control.last()),
            apps: AppView::all(&snapshot, now.wall),
        }
    }
}

impl ConfigurationView {
    fn of(last: &LastLook) -> Self {
        let LastLook { at, origin, outcome } = last;
        Self { looked_at: *at, origin: origin.as_str().to_owned(), look: LookView::of(outcome) }
    }
}

impl AppView {
    fn all(snapshot: &Snapshot, now: u64) -> Vec<Self> {
        // Snapshots keep the order of the configuration they are built from.
        let apps = snapshot.config.apps.iter().zip(&snapshot.apps);
        apps.map(|(config, app)| Self::of(config, app, now)).collect()
    }

    fn of(config: &AppConfig, app: &App, now: u64) -> Self {
        let share = config.share.at(now);
        Self {
            name: config.name.clone(),
            hosts: config.hosts.iter().map(ToString::to_string).collect(),
            percent: share.to_string(),
            ratio: share.ratio(),
            next_stage: StageView::next(&config.share, now),
            workflows: WorkflowShareView::all(config, now),
            keys: config.keys.iter().map(ToString::to_string).collect(),
            epoch: config.epoch,
            warnings: WarningView::all(app),
            targets: config.targets.iter().map(|target| target.name.clone()).collect(),
            evacuate: config.evacuate.iter().map(|order| OrderView::of(order, now)).collect(),
            engines: ByEngine::of(|engine| {
                let specs = &config.pool(engine).endpoints;
                let endpoints = specs.iter().zip(&app.pool(engine).endpoints);
                let view = endpoints.map(|(spec, endpoint)| EndpointView::of(endpoint, spec.weight));
                PoolView { endpoints: view.collect() }
            }),
        }
    }
}
