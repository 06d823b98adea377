//! Every number that can be scraped: counted per worker, summed when somebody asks.
//!
//! ```text
//! Metrics ── one ── WorkerMetrics ── AppMetrics ── EndpointMetrics      written by their worker, read by a scrape
//!    └── Shared: configuration, readiness, what happens rarely          written by anybody
//! ```

pub mod cells;
pub mod exposition;
pub mod families;
mod process;
mod scrape;
mod shard;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use crate::config::model::Config;
use crate::decide::engine::Engine;
use crate::decide::stage::Schedule;
use crate::telemetry::kinds::ReloadResult;
use crate::telemetry::metrics::cells::{SharedCounter, Throttle, lock};
pub use crate::telemetry::metrics::exposition::{Format, negotiate};
use crate::telemetry::metrics::families::Family;
pub use crate::telemetry::metrics::shard::{
    AppMetrics, EndpointMetrics, ListenerMetrics, NONE, Routed, SharedEndpoint, WorkerMetrics,
    WorkflowMetrics,
};

/// An endpoint by app, engine and URL.
type EndpointKey = (Box<str>, Engine, Box<str>);

/// A workflow by app and name.
type WorkflowKey = (Box<str>, Box<str>);

/// All numbers of the process.
#[derive(Debug)]
pub struct Metrics {
    shared: Arc<Shared>,
    workers: Vec<Arc<WorkerMetrics>>,
    /// Held during a scrape, so that two scrapers do not both take the last look at a removed app.
    leaving: Mutex<scrape::Leaving>,
}

impl Metrics {
    /// Nothing counted yet; a shard for each worker.
    pub fn new(workers: usize) -> Arc<Self> {
        let shared = Arc::<Shared>::default();
        let workers = (0..workers).map(|_| Arc::new(WorkerMetrics::new(Arc::clone(&shared)))).collect();
        Arc::new(Self { shared, workers, leaving: Mutex::default() })
    }

    /// The shard of a worker, which alone may write to it.
    ///
    /// # Panics
    /// When there is no such worker.
    pub fn worker(&self, index: usize) -> Arc<WorkerMetrics> {
        Arc::clone(&self.workers[index])
    }

    /// All numbers, as text.
    pub fn render(&self, format: Format) -> String {
        scrape::render(self, format)
    }

    /// Shows the shares of this configuration; whatever it does not name any more is shown by one more scrape.
    /// To be called before workers learn of the configuration: numbers they ask for must be named by then.
    pub fn take_up(&self, config: &Config) {
        let mut shares = BTreeMap::new();
        for app in &config.apps {
            let name = || app.name.as_str().into();
            shares.insert((name(), NONE.into()), app.share.clone());
            for workflow in &app.workflows {
                let share = app.schedule_at(Some(&workflow.name));
                shares.insert((name(), workflow.name.as_str().into()), share.clone());
            }
            for (workflow, _) in app.schedules().filter(|(_, schedule)| !schedule.is_constant()) {
                // Shown before it begins: rate() must see the first one.
                lock(&self.shared.stages).entry((name(), workflow.unwrap_or(NONE).into())).or_default();
            }
        }
        *lock(&self.shared.shares) = shares;
        self.retain(Current::of(config));
    }

    /// Keeps the series of these; others are shown by one more scrape. Until this is called, all are kept.
    pub fn retain(&self, current: Current) {
        *lock(&self.shared.current) = Some(current);
    }

    /// An endpoint as health checks see it, who belong to no worker.
    pub fn endpoint(&self, app: &str, engine: Engine, endpoint: &str) -> Arc<SharedEndpoint> {
        self.shared.endpoint(app, engine, endpoint)
    }

    /// The numbers that belong to no worker, for the events that change them.
    pub(in crate::telemetry) fn shared(&self) -> &Shared {
        &self.shared
    }
}

/// Every family, for documentation.
pub fn table() -> &'static [&'static Family] {
    families::ALL
}

/// What the running configuration names.
#[derive(Clone, Debug, Default)]
pub struct Current {
    apps: BTreeSet<Box<str>>,
    endpoints: BTreeSet<EndpointKey>,
    listeners: BTreeSet<Box<str>>,
    certificates: Certificates,
}

/// When the certificates of listeners expire, in seconds since the Unix epoch, by listener and name. Of two with one name
/// it is the first to expire.
type Certificates = BTreeMap<(Box<str>, Box<str>), u64>;

impl Current {
    /// What a configuration names. A listener's name is its address as configured.
    pub fn of(config: &Config) -> Self {
        let mut current = Self::default();
        for app in &config.apps {
            current.add_app(&app.name);
            for engine in Engine::BOTH {
                for endpoint in &app.pool(engine).endpoints {
                    current.add_endpoint(&app.name, engine, &endpoint.url.to_string());
                }
            }
        }
        for listener in &config.listeners {
            let name = listener.bind.to_string();
            current.add_listener(&name);
            for certificate in listener.tls.iter().flat_map(|tls| &tls.certificates) {
                current.add_certificate(&name, certificate.facts.name(), certificate.facts.not_after);
            }
        }
        current
    }

    /// Names an app.
    pub fn add_app(&mut self, name: &str) {
        self.apps.insert(name.into());
    }

    /// Names an endpoint.
    pub fn add_endpoint(&mut self, app: &str, engine: Engine, endpoint: &str) {
        self.endpoints.insert((app.into(), engine, endpoint.into()));
    }

    /// Names a certificate of a listener, and when it expires.
    pub fn add_certificate(&mut self, listener: &str, name: &str, not_after: u64) {
        let expiry = self.certificates.entry((listener.into(), name.into())).or_insert(not_after);
        *expiry = not_after.min(*expiry);
    }

    /// Names a listener.
    pub fn add_listener(&mut self, name: &str) {
        self.listeners.insert(name.into());
    }
}

/// The numbers that belong to no worker. Any thread may write them: all of them change rarely.
#[derive(Debug, Default)]
pub(in crate::telemetry) struct Shared {
    current: Mutex<Option<Current>>,
    endpoints: Mutex<BTreeMap<EndpointKey, Arc<SharedEndpoint>>>,
    shares: Mutex<BTreeMap<WorkflowKey, Schedule>>,
    /// Stages that came into force.
    stages: Mutex<BTreeMap<WorkflowKey, u64>>,
    evacuations: Mutex<BTreeMap<(Box<str>, Engine), u64>>,
    pub(in crate::telemetry) config: Mutex<Running>,
    pub(in crate::telemetry) reloads: [SharedCounter; ReloadResult::COUNT],
    pub(in crate::telemetry) panics: SharedCounter,
    pub(in crate::telemetry) access_log_dropped: SharedCounter,
    pub(in crate::telemetry) access_log_throttle: Throttle,
    pub(in crate::telemetry) engine_gone_throttle: Throttle,
}

/// What is known about the running configuration.
#[derive(Clone, Debug, Default)]
pub(in crate::telemetry) struct Running {
    pub(in crate::telemetry) generation: u64,
    pub(in crate::telemetry) hash: String,
    pub(in crate::telemetry) taken_up: u64,
    pub(in crate::telemetry) is_the_last_offered: bool,
}

impl Shared {
    fn endpoint(&self, app: &str, engine: Engine, endpoint: &str) -> Arc<SharedEndpoint> {
        let mut endpoints = lock(&self.endpoints);
        let shared = endpoints
            .entry((app.into(), engine, endpoint.into()))
            .or_insert_with(|| Arc::new(SharedEndpoint::new(app, engine, endpoint)));
        Arc::clone(shared)
    }

    pub(in crate::telemetry) fn count_stage(&self, app: &str, workflow: &str) {
        *lock(&self.stages).entry((app.into(), workflow.into())).or_default() += 1;
    }

    /// An order to evacuate an engine was taken up.
    pub(in crate::telemetry) fn count_order(&self, app: &str, engine: Engine) {
        *lock(&self.evacuations).entry((app.into(), engine)).or_default() += 1;
    }

    pub(in crate::telemetry) fn running(&self) -> std::sync::MutexGuard<'_, Running> {
        lock(&self.config)
    }
}

#[cfg(test)]
mod tests;
