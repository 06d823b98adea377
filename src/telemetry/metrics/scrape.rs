//! One scrape: sum the shards up, write the families down, forget what was removed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::ambient::unix_seconds;
use crate::decide::decision::Reason;
use crate::decide::engine::Engine;
use crate::decide::ticket::Rejection;
use crate::telemetry::kinds::{
    AnswerKind, ConnectionState, FlowOutcomeLabel, MethodLabel, MoveCause, ReloadResult, RetryOutcome,
    TesterOutcome, UpstreamFailure,
};
use crate::telemetry::metrics::cells::{Counter, HistogramSum, lock};
use crate::telemetry::metrics::exposition::{Exposition, Format};
use crate::telemetry::metrics::families as family;
use crate::telemetry::metrics::process::Process;
use crate::telemetry::metrics::shard::{
    AppMetrics, EndpointMetrics, LANES, ListenerMetrics, NONE, Routed, SharedEndpoint, WorkflowMetrics,
};
use crate::telemetry::metrics::{Certificates, Current, EndpointKey, Metrics, WorkflowKey};

mod grpc;
mod listeners;

/// What the configuration no longer names and a scrape has shown for the last time.
#[derive(Debug, Default)]
pub(super) struct Leaving {
    apps: BTreeSet<Box<str>>,
    endpoints: BTreeSet<EndpointKey>,
    listeners: BTreeSet<Box<str>>,
}

/// The shards side by side: one entry per app, endpoint and listener, with every worker's numbers.
struct Picture {
    apps: BTreeMap<Box<str>, Vec<Arc<AppMetrics>>>,
    /// By app and workflow.
    workflows: BTreeMap<WorkflowKey, Vec<Arc<WorkflowMetrics>>>,
    endpoints: BTreeMap<EndpointKey, EndpointPicture>,
    listeners: BTreeMap<Box<str>, Vec<Arc<ListenerMetrics>>>,
}

/// One endpoint, as its workers count and as all of them see it.
#[derive(Default)]
struct EndpointPicture {
    shared: Option<Arc<SharedEndpoint>>,
    shards: Vec<Arc<EndpointMetrics>>,
}

/// What this scrape is the first not to show.
#[derive(Default)]
struct Gone {
    apps: BTreeSet<Box<str>>,
    endpoints: BTreeSet<EndpointKey>,
    listeners: BTreeSet<Box<str>>,
}

/// All numbers, as text.
pub(super) fn render(metrics: &Metrics, format: Format) -> String {
    let mut leaving = lock(&metrics.leaving);
    let mut picture = Picture::of(metrics);
    // `current` stays locked until all is forgotten: a configuration that names an app again waits here, so its
    // workers find either the old numbers or new ones that are shown.
    let mut certificates = Certificates::new();
    if let Some(current) = lock(&metrics.shared.current).as_ref() {
        picture.retire(current, &mut leaving).forget(metrics);
        certificates.clone_from(&current.certificates);
    }
    // Measured: 9 KB for an app with traffic on both engines.
    let mut out = Exposition::new(format, 16_384 + picture.apps.len() * 9_216);
    picture.write_apps(metrics, &mut out);
    picture.write_grpc(&mut out);
    picture.write_endpoints(&mut out);
    picture.write_interim(&mut out);
    picture.write_retries(&mut out);
    picture.write_listeners(&certificates, &mut out);
    write_process_wide(metrics, &mut out);
    write_process(&mut out);
    out.finish()
}

impl Picture {
    fn of(metrics: &Metrics) -> Self {
        let mut picture = Self {
            apps: BTreeMap::new(),
            workflows: BTreeMap::new(),
            endpoints: BTreeMap::new(),
            listeners: BTreeMap::new(),
        };
        for (key, shared) in lock(&metrics.shared.endpoints).iter() {
            picture.endpoints.entry(key.clone()).or_default().shared = Some(Arc::clone(shared));
        }
        for worker in &metrics.workers {
            picture.apps.entry(NONE.into()).or_default().push(Arc::clone(worker.unrouted()));
            for (name, app) in lock(&worker.apps).iter() {
                picture.apps.entry(name.clone()).or_default().push(Arc::clone(app));
                for (workflow, metrics) in lock(&app.workflows).iter() {
                    let key = (name.clone(), workflow.clone());
                    picture.workflows.entry(key).or_default().push(Arc::clone(metrics));
                }
                for ((engine, url), endpoint) in lock(&app.endpoints).iter() {
                    let key = (name.clone(), *engine, url.clone());
                    picture.endpoints.entry(key).or_default().shards.push(Arc::clone(endpoint));
                }
            }
            for (name, listener) in lock(&worker.listeners).iter() {
                picture.listeners.entry(name.clone()).or_default().push(Arc::clone(listener));
            }
        }
        picture
    }

    /// Leaves out what the configuration no longer names and the last scrape has shown.
    fn retire(&mut self, current: &Current, leaving: &mut Leaving) -> Gone {
        let mut gone = Gone::default();
        let is_app_current = |name: &str| name == NONE || current.apps.contains(name);
        self.apps.retain(|name, _| stays(name, is_app_current(name), &mut leaving.apps, &mut gone.apps));
        self.workflows.retain(|(app, _), _| self.apps.contains_key(app));
        self.endpoints.retain(|key, _| {
            let is_current = is_app_current(&key.0) && current.endpoints.contains(key);
            stays(key, is_current, &mut leaving.endpoints, &mut gone.endpoints)
        });
        self.listeners.retain(|name, _| {
            stays(name, current.listeners.contains(name), &mut leaving.listeners, &mut gone.listeners)
        });
        gone
    }

    fn write_apps(&self, metrics: &Metrics, out: &mut Exposition) {
        let routed = self.routed();
        let mut requests = out.family(&family::REQUESTS);
        for (name, workflow, shards) in &routed {
            for (lane, engine) in LANES.into_iter().enumerate() {
                for method in MethodLabel::ALL {
                    let mut sum = BTreeMap::new();
                    for routed in shards {
                        if let Some(codes) = routed.lanes[lane].codes[method.index()].get() {
                            codes.add_to(&mut sum);
                        }
                    }
                    for (code, count) in sum {
                        let code = if code == 0 { NONE.to_owned() } else { code.to_string() };
                        requests.add(&[name, workflow, engine, method.as_str(), &code], count);
                    }
                }
            }
        }
        let mut durations = out.family(&family::REQUEST_DURATION);
        for (name, workflow, shards) in &routed {
            for (lane, engine) in LANES.into_iter().enumerate() {
                let sum = HistogramSum::of(shards.iter().map(|routed| &routed.lanes[lane].duration));
                durations.add_histogram(&[name, workflow, engine], &sum);
            }
        }
        let mut upstream = out.family(&family::UPSTREAM_DURATION);
        for (name, shards) in &self.apps {
            for engine in Engine::BOTH {
                let sum = HistogramSum::of(shards.iter().map(|app| &app.upstream[engine.index()]));
                upstream.add_histogram(&[name, engine.as_str()], &sum);
            }
        }
        let mut in_flight = out.family(&family::REQUESTS_IN_FLIGHT);
        for (name, shards) in self.apps.iter().filter(|(name, _)| &***name != NONE) {
            for engine in Engine::BOTH {
                let sum: i64 = shards.iter().map(|app| app.in_flight[engine.index()].get()).sum();
                in_flight.add(&[name, engine.as_str()], sum);
            }
        }
        let mut answers = out.family(&family::ANSWERS);
        for (name, shards) in &self.apps {
            for kind in AnswerKind::ALL {
                if let Some(count) = total(shards, |app| &app.answers[kind.index()]) {
                    answers.add(&[name, kind.as_str()], count);
                }
            }
        }
        let mut decisions = out.family(&family::DECISIONS);
        for (name, workflow, shards) in &routed {
            for engine in Engine::BOTH {
                for reason in Reason::ALL {
                    let counters =
                        shards.iter().map(|routed| &routed.decisions[engine.index()][reason.index()]);
                    let count: u64 = counters.map(Counter::get).sum();
                    if count > 0 {
                        decisions.add(&[name, workflow, engine.as_str(), reason.as_str()], count);
                    }
                }
            }
        }
        let mut moves = out.family(&family::MOVES);
        for (name, shards) in &self.apps {
            for from in Engine::BOTH {
                for cause in MoveCause::ALL {
                    if let Some(count) = total(shards, |app| &app.moves[from.index()][cause.index()]) {
                        moves.add(&[name, from.as_str(), from.other().as_str(), cause.as_str()], count);
                    }
                }
            }
        }
        let mut cookies = out.family(&family::SESSION_COOKIES_IN_BOTH);
        for (name, shards) in &self.apps {
            if let Some(count) = total(shards, |app| &app.session_cookies_in_both) {
                cookies.add(&[name], count);
            }
        }
        let mut evacuations = out.family(&family::EVACUATIONS);
        for ((name, engine), count) in lock(&metrics.shared.evacuations).iter() {
            evacuations.add(&[name, engine.as_str()], *count);
        }
        let mut links = out.family(&family::TESTER_LINKS);
        for (name, shards) in &self.apps {
            for outcome in TesterOutcome::ALL {
                if let Some(count) = total(shards, |app| &app.tester_links[outcome.index()]) {
                    links.add(&[name, outcome.as_str()], count);
                }
            }
        }
        self.write_flows(out);
        let mut shares = out.family(&family::SHARE);
        let now = unix_seconds();
        for ((name, workflow), schedule) in lock(&metrics.shared.shares).iter() {
            shares.add(&[name, workflow], schedule.at(now).ratio());
        }
        let mut stages = out.family(&family::STAGES);
        for ((name, workflow), count) in lock(&metrics.shared.stages).iter() {
            stages.add(&[name, workflow], count);
        }
        // All of them, also those that never happened: rate() must see the first one.
        let mut rejected = out.family(&family::TICKETS_REJECTED);
        for rejection in Rejection::ALL {
            let counts =
                metrics.workers.iter().map(|worker| worker.tickets_rejected[rejection as usize].get());
            rejected.add(&[rejection.as_str()], counts.sum::<u64>());
        }
    }

    /// Requests by app and workflow, those outside workflows first.
    fn routed(&self) -> Vec<(&str, &str, Vec<&Routed>)> {
        let mut rows = Vec::new();
        for (name, shards) in &self.apps {
            rows.push((&**name, NONE, shards.iter().map(|app| &app.routed).collect()));
            let workflows = self.workflows.range((name.clone(), Box::default())..);
            for ((_, workflow), shards) in workflows.take_while(|((app, _), _)| app == name) {
                rows.push((&**name, &**workflow, shards.iter().map(|metrics| &metrics.routed).collect()));
            }
        }
        rows
    }

    fn write_flows(&self, out: &mut Exposition) {
        let mut started = out.family(&family::FLOWS_STARTED);
        for ((app, workflow), shards) in &self.workflows {
            for engine in Engine::BOTH {
                // Also those that never happened: rate() must see the first one.
                let count: u64 = shards.iter().map(|metrics| metrics.started[engine.index()].get()).sum();
                started.add(&[app, workflow, engine.as_str()], count);
            }
        }
        let mut ended = out.family(&family::FLOWS);
        for ((app, workflow), shards) in &self.workflows {
            for engine in Engine::BOTH {
                for outcome in FlowOutcomeLabel::ALL {
                    let counters =
                        shards.iter().map(|metrics| &metrics.ended[engine.index()][outcome.index()]);
                    let count: u64 = counters.map(Counter::get).sum();
                    ended.add(&[app, workflow, engine.as_str(), outcome.as_str()], count);
                }
            }
        }
        let mut durations = out.family(&family::FLOW_DURATION);
        for ((app, workflow), shards) in &self.workflows {
            for engine in Engine::BOTH {
                let sum = HistogramSum::of(shards.iter().map(|metrics| &metrics.duration[engine.index()]));
                durations.add_histogram(&[app, workflow, engine.as_str()], &sum);
            }
        }
    }

    fn write_endpoints(&self, out: &mut Exposition) {
        let mut ready = out.family(&family::ENDPOINT_READY);
        for ((app, engine, url), endpoint) in &self.endpoints {
            if let Some(shared) = &endpoint.shared {
                ready.add(&[app, engine.as_str(), url], u8::from(shared.is_ready()));
            }
        }
        let mut connections = out.family(&family::UPSTREAM_CONNECTIONS);
        for ((app, engine, url), EndpointPicture { shards, .. }) in &self.endpoints {
            for state in ConnectionState::ALL {
                let sum: i64 = shards.iter().map(|endpoint| endpoint.connections[state.index()].get()).sum();
                connections.add(&[app, engine.as_str(), url, state.as_str()], sum);
            }
        }
        let mut failures = out.family(&family::UPSTREAM_FAILURES);
        for ((app, engine, url), EndpointPicture { shards, .. }) in &self.endpoints {
            for kind in UpstreamFailure::ALL {
                if let Some(count) = total(shards, |endpoint| &endpoint.failures[kind.index()]) {
                    failures.add(&[app, engine.as_str(), url, kind.as_str()], count);
                }
            }
        }
    }

    fn write_interim(&self, out: &mut Exposition) {
        let mut interim = out.family(&family::UPSTREAM_INTERIM);
        for ((app, engine, url), EndpointPicture { shards, .. }) in &self.endpoints {
            if let Some(count) = total(shards, |endpoint| &endpoint.interim) {
                interim.add(&[app, engine.as_str(), url], count);
            }
        }
    }

    fn write_retries(&self, out: &mut Exposition) {
        let mut retries = out.family(&family::RETRIES);
        for (name, shards) in &self.apps {
            for engine in Engine::BOTH {
                for outcome in RetryOutcome::ALL {
                    let counted = total(shards, |app| &app.retries[engine.index()][outcome.index()]);
                    if let Some(count) = counted {
                        retries.add(&[name, engine.as_str(), outcome.as_str()], count);
                    }
                }
            }
        }
    }
}

impl Gone {
    /// Takes out of the shards what is not shown any more. Requests that began under an older configuration may
    /// still count into it; nobody will ask.
    fn forget(self, metrics: &Metrics) {
        for (app, engine, url) in self.endpoints {
            for worker in &metrics.workers {
                if let Some(app) = lock(&worker.apps).get(&app) {
                    lock(&app.endpoints).remove(&(engine, url.clone()));
                }
            }
            lock(&metrics.shared.endpoints).remove(&(app, engine, url));
        }
        lock(&metrics.shared.stages).retain(|(app, _), _| !self.apps.contains(app));
        for worker in &metrics.workers {
            lock(&worker.apps).retain(|name, _| !self.apps.contains(name));
            lock(&worker.listeners).retain(|name, _| !self.listeners.contains(name));
        }
    }
}

/// Whether a scrape shows this: always while the configuration names it, and once more after that.
fn stays<K: Clone + Ord>(
    key: &K,
    is_current: bool,
    leaving: &mut BTreeSet<K>,
    gone: &mut BTreeSet<K>,
) -> bool {
    if is_current {
        leaving.remove(key);
        return true;
    }
    if leaving.remove(key) {
        gone.insert(key.clone());
        return false;
    }
    leaving.insert(key.clone());
    true
}

/// The sum of several workers' counters; `None` when it is 0: a series begins with what it counts.
fn total<T>(shards: &[Arc<T>], counter: impl Fn(&T) -> &Counter) -> Option<u64> {
    let sum = shards.iter().map(|shard| counter(shard).get()).sum();
    (sum > 0).then_some(sum)
}

fn write_process_wide(metrics: &Metrics, out: &mut Exposition) {
    let shared = &metrics.shared;
    let running = shared.running().clone();
    out.family(&family::RELOAD_SUCCESSFUL).add(&[], u8::from(running.is_the_last_offered));
    out.family(&family::RELOAD_TIME).add(&[], running.taken_up);
    let mut reloads = out.family(&family::RELOADS);
    for result in ReloadResult::ALL {
        reloads.add(&[result.as_str()], shared.reloads[result.index()].get());
    }
    out.family(&family::GENERATION).add(&[], running.generation);
    let mut config = out.family(&family::CONFIG);
    if !running.hash.is_empty() {
        config.add(&[&running.hash], 1);
    }
    let revision = option_env!("CUTOVER_REVISION").unwrap_or("unknown");
    out.family(&family::BUILD).add(&[env!("CARGO_PKG_VERSION"), revision], 1);
    out.family(&family::PANICS).add(&[], shared.panics.get());
    out.family(&family::ACCESS_LOG_DROPPED).add(&[], shared.access_log_dropped.get());
}

fn write_process(out: &mut Exposition) {
    let process = Process::look();
    let mut add = |family, value: Option<f64>| {
        let mut samples = out.family(family);
        if let Some(value) = value {
            samples.add(&[], value);
        }
    };
    add(&family::PROCESS_CPU, process.map(|process| process.cpu_seconds));
    add(&family::PROCESS_RESIDENT, process.map(|process| process.resident_bytes as f64));
    add(&family::PROCESS_VIRTUAL, process.map(|process| process.virtual_bytes as f64));
    add(&family::PROCESS_OPEN_FDS, process.and_then(|process| process.open_fds).map(|open| open as f64));
    add(&family::PROCESS_MAX_FDS, process.and_then(|process| process.max_fds).map(|most| most as f64));
    add(&family::PROCESS_THREADS, process.map(|process| process.threads as f64));
    add(&family::PROCESS_START, process.and_then(|process| process.start_seconds));
}
