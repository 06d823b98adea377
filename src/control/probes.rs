//! Who is probed: the endpoints of every pool that has `health`, each at its own pace.
//!
//! On a thread of its own, so that neither workers nor reloads wait for probes, nor probes for them. An edit that leaves
//! an endpoint and its `health` alone does not disturb its pace.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::{JoinHandle, spawn_local};

use crate::ambient::{Ahead, Ambient};
use crate::config::model::App as AppConfig;
use crate::decide::engine::Engine;
use crate::decide::host::HostPattern;
use crate::runtime::live::Live;
use crate::runtime::snapshot::Snapshot;
use crate::telemetry::metrics::{Metrics, SharedEndpoint};
use crate::upstream::endpoint::Endpoint;
use crate::upstream::probe::Probe;

/// Probes what the running generation says; `changed` is notified when there is another.
pub async fn run(live: Live, metrics: Arc<Metrics>, changed: Arc<Notify>, ahead: Ahead) {
    let ambient = Rc::new(Ambient::ahead(ahead));
    let mut probed = Probed::default();
    loop {
        probed.take_up(&live.load(), &metrics, &ambient);
        changed.notified().await;
    }
}

/// The endpoints that are probed, by where they lie in memory: those of two pools may have one URL.
#[derive(Default)]
struct Probed(HashMap<*const Endpoint, Paced>);

/// One of them.
struct Paced {
    /// Kept, so that no other endpoint comes to lie where it lies.
    endpoint: Arc<Endpoint>,
    shared: Arc<SharedEndpoint>,
    probe: Probe,
    task: JoinHandle<()>,
}

impl Probed {
    fn take_up(&mut self, snapshot: &Snapshot, metrics: &Metrics, ambient: &Rc<Ambient>) {
        let mut before = std::mem::take(&mut self.0);
        for (app, config) in snapshot.apps.iter().zip(&snapshot.config.apps) {
            for engine in Engine::BOTH {
                let Some(rules) = &config.pool(engine).health else { continue };
                for endpoint in &app.pool(engine).endpoints {
                    let probe = Probe {
                        rules: rules.clone(),
                        host: host_of(config, endpoint),
                        http2: config.pool(engine).http2,
                    };
                    let at = Arc::as_ptr(endpoint);
                    let paced = match before.remove(&at) {
                        Some(paced) if paced.probe == probe => paced,
                        other => {
                            if let Some(other) = other {
                                other.task.abort();
                            }
                            let shared = metrics.endpoint(&app.name, engine, &endpoint.label);
                            Paced::start(Arc::clone(endpoint), shared, probe, ambient)
                        }
                    };
                    self.0.insert(at, paced);
                }
            }
        }
        for left in before.into_values() {
            left.task.abort();
            ambient.expire();
            if let Some(turn) = left.endpoint.standing.unprobed(ambient.moment()) {
                turn.tell(&left.shared);
            }
        }
    }
}

impl Paced {
    fn start(
        endpoint: Arc<Endpoint>,
        shared: Arc<SharedEndpoint>,
        probe: Probe,
        ambient: &Rc<Ambient>,
    ) -> Self {
        let pace = pace(Arc::clone(&endpoint), Arc::clone(&shared), probe.clone(), Rc::clone(ambient));
        Self { endpoint, shared, probe, task: spawn_local(pace) }
    }
}

/// Probes one endpoint for ever. The first probe comes at any time of the first interval, and each further one a tenth of
/// an interval early or late: a thousand endpoints are not asked at once, nor one endpoint by all replicas.
async fn pace(endpoint: Arc<Endpoint>, shared: Arc<SharedEndpoint>, probe: Probe, ambient: Rc<Ambient>) {
    let interval = probe.rules.interval;
    tokio::time::sleep(part(interval, ambient.roll())).await;
    loop {
        let outcome = probe.ask(&endpoint).await.map_err(|error| error.to_string());
        ambient.expire();
        if let Some(turn) = endpoint.standing.probed(probe.rules.thresholds, outcome, ambient.moment()) {
            turn.tell(&shared);
        }
        tokio::time::sleep(interval * 9 / 10 + part(interval / 5, ambient.roll())).await;
    }
}

/// A random part of a duration.
fn part(of: Duration, roll: u64) -> Duration {
    Duration::from_micros(((of.as_micros() * u128::from(roll)) >> 64) as u64)
}

/// The first host of the app that is one, else that of the endpoint.
fn host_of(app: &AppConfig, endpoint: &Endpoint) -> String {
    let exact = app.hosts.iter().find_map(|host| match host {
        HostPattern::Exact(host) => Some(host.clone()),
        HostPattern::Below(_) => None,
    });
    exact.unwrap_or_else(|| {
        let label = &endpoint.label;
        label.split_once("://").map_or(label.as_str(), |(_, authority)| authority).to_owned()
    })
}
