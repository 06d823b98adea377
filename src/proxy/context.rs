//! One worker as its requests see it: clock and dice, connections, counters, and its view of the running
//! generation.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use crate::ambient::{Ahead, Ambient};
use crate::decide::engine::Engine;
use crate::decide::recall::Recall;
use crate::decide::retry::Budget;
use crate::net::activity::{Activity, CoarseClock};
use crate::net::crowd::Crowd;
use crate::net::drain::Drain;
use crate::net::http1::date::Date;
use crate::net::http1::spare::Spare;
use crate::runtime::live::{Live, Reader};
use crate::runtime::snapshot::{App, Snapshot};
use crate::telemetry::access_log::WorkerLog;
use crate::telemetry::events::PanicCaught;
use crate::telemetry::metrics::{AppMetrics, Metrics, WorkerMetrics, WorkflowMetrics};
use crate::telemetry::noticed::EngineGone;
use crate::upstream::endpoint::Endpoint;
use crate::upstream::pool::WorkerEndpoint;

/// One worker's belongings.
pub struct WorkerContext {
    /// Clock and dice.
    pub ambient: Rc<Ambient>,
    /// The clock that time-outs are held against.
    pub clock: Arc<CoarseClock>,
    /// Where this worker counts.
    pub metrics: Arc<WorkerMetrics>,
    /// The shutdown latch of the process.
    pub drain: Arc<Drain>,
    /// How many connections each client of the process has.
    pub crowd: Arc<Crowd>,
    /// The tickets that were opened last.
    pub recall: Recall,
    /// The `Date` that answers get.
    pub date: Date,
    /// The room to read into that a connection left last.
    pub spare: Rc<Spare>,
    /// This worker's end of the access log.
    pub access: WorkerLog,
    /// Numbers that belong to no worker.
    shared_metrics: Arc<Metrics>,
    reader: RefCell<Reader>,
    view: RefCell<Rc<View>>,
    /// Woken when another worker wants connections that this one does not use.
    shed: Arc<Notify>,
    activities: RefCell<Vec<Arc<Activity>>>,
    /// Whether the connections know that the process is about to end.
    is_leaving: Cell<bool>,
}

/// What a worker shares with the others.
pub struct Shared {
    /// The shutdown latch of the process.
    pub drain: Arc<Drain>,
    /// How many connections each client has.
    pub crowd: Arc<Crowd>,
}

/// A generation with what this worker holds for it. Requests keep the view they began with.
pub struct View {
    /// The generation.
    pub snapshot: Arc<Snapshot>,
    /// By position in [`Snapshot::apps`].
    pub apps: Vec<AppView>,
    /// Where requests are counted that no app claims.
    pub no_app: Arc<AppMetrics>,
}

/// One app, as one worker sees it.
pub struct AppView {
    /// Where this worker counts.
    pub metrics: Arc<AppMetrics>,
    /// The same for each of the app's workflows, by position.
    pub workflows: Vec<Arc<WorkflowMetrics>>,
    /// This worker's endpoints by [`Engine::index`], in the order of the pool.
    pub endpoints: [Vec<Rc<WorkerEndpoint>>; 2],
    /// Turns taken in round-robin pools.
    pub turns: [Cell<u64>; 2],
    /// What is left for extra tries at each engine; carried over.
    pub budgets: Rc<[Cell<Budget>; 2]>,
}

impl WorkerContext {
    /// A worker that holds nothing yet.
    pub fn new(
        index: usize,
        live: &Live,
        shared_metrics: &Arc<Metrics>,
        shared: Shared,
        access: WorkerLog,
        ahead: Ahead,
    ) -> Rc<Self> {
        let metrics = shared_metrics.worker(index);
        let ambient = Rc::new(Ambient::ahead(ahead));
        let shed = Arc::new(Notify::new());
        let view = View::build(live.load(), None, &metrics, &shed, &ambient);
        Rc::new(Self {
            ambient,
            clock: Arc::default(),
            metrics,
            drain: shared.drain,
            crowd: shared.crowd,
            recall: Recall::default(),
            date: Date::default(),
            spare: Rc::default(),
            access,
            shared_metrics: Arc::clone(shared_metrics),
            reader: RefCell::new(live.reader()),
            view: RefCell::new(Rc::new(view)),
            shed,
            activities: RefCell::default(),
            is_leaving: Cell::new(false),
        })
    }

    /// This worker's view of the running generation.
    pub fn view(&self) -> Rc<View> {
        let mut reader = self.reader.borrow_mut();
        let newest = reader.load();
        let mut view = self.view.borrow_mut();
        if !Arc::ptr_eq(newest, &view.snapshot) {
            *view = Rc::new(View::build(
                Arc::clone(newest),
                Some(&view),
                &self.metrics,
                &self.shed,
                &self.ambient,
            ));
        }
        Rc::clone(&view)
    }

    /// Watches over a connection until its last owner drops it.
    pub fn watch(&self, activity: &Arc<Activity>) {
        self.activities.borrow_mut().push(Arc::clone(activity));
    }

    /// What a worker does ten times a second: looks at its connections, sweeps its pools, hands on its records,
    /// and takes up a new generation even when no request asks for it.
    pub fn tick(&self, since_start: Duration) {
        self.clock.set(since_start);
        self.ambient.expire();
        let now = self.ambient.instant();
        // Connections that have to tell their clients so do it at once.
        let leaves_now = self.drain.has_begun() && !self.is_leaving.replace(true);
        self.activities.borrow_mut().retain(|activity| {
            let in_use = Arc::strong_count(activity) > 1;
            if in_use && leaves_now {
                activity.nudge();
            } else if in_use {
                activity.check();
            }
            in_use
        });
        let view = self.view();
        for (app, app_view) in view.snapshot.apps.iter().zip(&view.apps) {
            for engine in Engine::BOTH {
                for endpoint in &app_view.endpoints[engine.index()] {
                    endpoint.sweep(&app.pool(engine).timeouts, now);
                    if let Some(turn) = endpoint.shared.standing.pass(|| self.ambient.moment()) {
                        turn.tell(endpoint.metrics.shared());
                    }
                }
            }
        }
        self.access.flush();
    }

    /// Tells of a panic that was caught.
    pub fn panicked(&self, during: &str, message: &str) {
        PanicCaught { during, message }.tell(&self.shared_metrics);
    }

    /// Tells of somebody whose engine is gone.
    pub fn engine_gone(&self, event: &EngineGone<'_>) {
        event.tell(&self.shared_metrics);
    }

    /// Gives up unused connections whenever another worker asks.
    pub async fn shed_when_asked(&self) {
        loop {
            self.shed.notified().await;
            for endpoint in self.view().apps.iter().flat_map(|app| &app.endpoints).flatten() {
                endpoint.shed();
            }
        }
    }
}

impl View {
    fn build(
        snapshot: Arc<Snapshot>,
        previous: Option<&Self>,
        metrics: &WorkerMetrics,
        shed: &Arc<Notify>,
        ambient: &Rc<Ambient>,
    ) -> Self {
        // What is left in here at the end left the configuration.
        let mut known: HashMap<*const Endpoint, Rc<WorkerEndpoint>> = HashMap::new();
        for endpoint in previous.iter().flat_map(|view| &view.apps).flat_map(|app| &app.endpoints).flatten() {
            known.insert(Arc::as_ptr(&endpoint.shared), Rc::clone(endpoint));
        }
        let budgets = |name: &str| {
            let previous = previous?;
            let at = previous.snapshot.apps.iter().position(|app| app.name == name)?;
            Some(Rc::clone(&previous.apps[at].budgets))
        };
        let fresh = || Rc::new([(); 2].map(|()| Cell::new(Budget::new(ambient.recent()))));
        let apps = snapshot
            .apps
            .iter()
            .map(|app| {
                let app_metrics = metrics.app(&app.name);
                let mut endpoints =
                    |engine: Engine| endpoints(app, engine, &app_metrics, &mut known, shed, ambient);
                let endpoints = [endpoints(Engine::Classic), endpoints(Engine::Identity)];
                let workflows = app.rules.table.workflows().iter();
                let workflows = workflows.map(|workflow| app_metrics.workflow(&workflow.name)).collect();
                let budgets = budgets(&app.name).unwrap_or_else(fresh);
                AppView { metrics: app_metrics, workflows, endpoints, turns: Default::default(), budgets }
            })
            .collect();
        for retired in known.into_values() {
            retired.retire();
        }
        Self { apps, no_app: Arc::clone(metrics.unrouted()), snapshot }
    }
}

fn endpoints(
    app: &App,
    engine: Engine,
    metrics: &AppMetrics,
    known: &mut HashMap<*const Endpoint, Rc<WorkerEndpoint>>,
    shed: &Arc<Notify>,
    ambient: &Rc<Ambient>,
) -> Vec<Rc<WorkerEndpoint>> {
    let pool = app.pool(engine);
    pool.endpoints
        .iter()
        .map(|endpoint| match known.remove(&Arc::as_ptr(endpoint)) {
            Some(carried_over) => {
                carried_over.set_limits(pool.connections, pool.http2);
                carried_over
            }
            None => WorkerEndpoint::new(
                Arc::clone(endpoint),
                metrics.endpoint(engine, &endpoint.label),
                pool.connections,
                pool.http2,
                shed,
                Rc::clone(ambient),
            ),
        })
        .collect()
}
