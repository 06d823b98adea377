//! What is worth telling somebody: one struct per event, and one call that writes its log line and moves its metric.
//!
//! An event that has a metric cannot be logged without being counted, nor the other way round.

use std::fmt::{self, Display};
use std::net::SocketAddr;
use std::time::Duration;

use tracing::{error, info, warn};

use crate::telemetry::kinds::{ReloadResult, UpstreamFailure};
use crate::telemetry::metrics::{EndpointMetrics, Metrics};

/// An error and what caused it, in one line.
#[derive(Clone, Copy, Debug)]
pub struct Chain<'e>(pub &'e dyn std::error::Error);

impl Display for Chain<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(cause) = source {
            write!(formatter, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}

/// What made us look at the configuration.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Origin {
    /// The process starts.
    Start,
    /// The file, or a file it names, changed.
    File,
    /// SIGHUP.
    Signal,
    /// The admin listener was asked to.
    Admin,
}

impl Origin {
    /// The name in logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::File => "file",
            Self::Signal => "signal",
            Self::Admin => "admin",
        }
    }

    /// The first configuration is no reload.
    fn count(self, metrics: &Metrics, result: ReloadResult) {
        match self {
            Self::Start => {}
            Self::File | Self::Signal | Self::Admin => metrics.shared().reloads[result.index()].add(1),
        }
    }
}

impl Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A configuration runs.
#[derive(Clone, Copy, Debug)]
pub struct ConfigApplied<'a> {
    /// Its number.
    pub generation: u64,
    /// Its digest.
    pub hash: &'a str,
    /// What made us look at it.
    pub origin: Origin,
    /// Who moves, a line per change; empty at the start.
    pub plan: &'a [String],
    /// Whether it asks for another number of workers than run, which takes a restart.
    pub workers_differ: bool,
    /// Seconds since the Unix epoch.
    pub wall: u64,
}

impl ConfigApplied<'_> {
    /// Tells.
    pub fn tell(&self, metrics: &Metrics) {
        let Self { generation, hash, origin, plan, workers_differ, wall } = *self;
        {
            let mut running = metrics.shared().running();
            running.generation = generation;
            hash.clone_into(&mut running.hash);
            running.taken_up = wall;
            running.is_the_last_offered = true;
        }
        origin.count(metrics, ReloadResult::Success);
        info!(generation, hash, %origin, changes = plan.len(), "config applied");
        for change in plan {
            info!(generation, "{change}");
        }
        if workers_differ {
            warn!(generation, "workers changed: that takes a restart, everything else is applied");
        }
    }
}

/// A configuration was refused; the one before, if there is one, keeps running.
#[derive(Clone, Copy, Debug)]
pub struct ConfigRejected<'a> {
    /// What made us look at it.
    pub origin: Origin,
    /// Every problem, as `cutover check` would show it.
    pub problems: &'a str,
}

impl ConfigRejected<'_> {
    /// Tells.
    pub fn tell(&self, metrics: &Metrics) {
        let Self { origin, problems } = *self;
        metrics.shared().running().is_the_last_offered = false;
        origin.count(metrics, ReloadResult::Failure);
        // Not quoted: people read it as `check` would show it.
        error!(%origin, %problems, "config rejected");
    }
}

/// The configuration that was offered is the one that runs.
#[derive(Clone, Copy, Debug)]
pub struct ConfigUnchanged {
    /// What made us look at it.
    pub origin: Origin,
}

impl ConfigUnchanged {
    /// Tells.
    pub fn tell(&self, metrics: &Metrics) {
        // After a bad edit was taken back, file and process agree again.
        metrics.shared().running().is_the_last_offered = true;
        self.origin.count(metrics, ReloadResult::Unchanged);
        info!(origin = %self.origin, "config unchanged");
    }
}

/// We accept connections at an address.
#[derive(Clone, Copy, Debug)]
pub struct ListenerOpened {
    /// The address, with the port that the system chose.
    pub address: SocketAddr,
}

impl ListenerOpened {
    /// Tells.
    pub fn tell(&self) {
        info!(address = %self.address, "listener opened");
    }
}

/// We no longer accept connections at an address.
#[derive(Clone, Copy, Debug)]
pub struct ListenerClosed {
    /// The address.
    pub address: SocketAddr,
}

impl ListenerClosed {
    /// Tells.
    pub fn tell(&self) {
        info!(address = %self.address, "listener closed");
    }
}

/// The proxy serves.
#[derive(Clone, Copy, Debug)]
pub struct ProxyStarted<'a> {
    /// Where it accepts requests, with the ports that the system chose.
    pub listeners: &'a [SocketAddr],
    /// The operators' door.
    pub admin: SocketAddr,
    /// How many workers serve.
    pub workers: usize,
}

impl ProxyStarted<'_> {
    /// Tells.
    pub fn tell(&self) {
        let listeners: Vec<String> = self.listeners.iter().map(SocketAddr::to_string).collect();
        info!(
            version = env!("CARGO_PKG_VERSION"),
            listeners = listeners.join(","),
            admin = %self.admin,
            workers = self.workers,
            "proxy started"
        );
    }
}

/// We were asked to stop: nothing new is accepted, what is in flight may finish.
#[derive(Clone, Copy, Debug)]
pub struct ShutdownBegan {
    /// For how long it may.
    pub drain: Duration,
}

impl ShutdownBegan {
    /// Tells.
    pub fn tell(&self) {
        info!(drain_seconds = self.drain.as_secs_f64(), "shutdown began");
    }
}

/// Everything in flight has finished, or its time is up.
#[derive(Clone, Copy, Debug)]
pub struct ShutdownEnded {
    /// How long it took.
    pub took: Duration,
    /// Connections that were cut because their time was up.
    pub cut: usize,
}

impl ShutdownEnded {
    /// Tells.
    pub fn tell(&self) {
        let Self { took, cut } = *self;
        let took_seconds = took.as_secs_f64();
        if cut == 0 {
            info!(took_seconds, cut, "shutdown ended");
        } else {
            warn!(took_seconds, cut, "shutdown ended before every connection had finished");
        }
    }
}

/// Tickets are signed with a key that dies with the process.
#[derive(Clone, Copy, Debug)]
pub struct TicketKeyEphemeral;

impl TicketKeyEphemeral {
    /// Tells.
    pub fn tell(&self) {
        warn!(
            hint = "make one with `cutover keygen` and name it as ticket.key_file",
            "tickets are signed with a key made at start: they are lost with the process, and other replicas \
             cannot read them"
        );
    }
}

/// A panic of ours was caught.
#[derive(Clone, Copy, Debug)]
pub struct PanicCaught<'a> {
    /// What was being done.
    pub during: &'a str,
    /// What the panic said.
    pub message: &'a str,
}

impl PanicCaught<'_> {
    /// Tells.
    pub fn tell(&self, metrics: &Metrics) {
        let Self { during, message } = *self;
        metrics.shared().panics.add(1);
        error!(during, message, "panic caught; please report it");
    }
}

/// An attempt at an endpoint failed. Each is counted; the log gets one line a second for each kind and endpoint.
#[derive(Clone, Copy)]
pub struct UpstreamFailed<'a> {
    /// The endpoint.
    pub endpoint: &'a EndpointMetrics,
    /// How.
    pub kind: UpstreamFailure,
    /// What the system said.
    pub error: &'a dyn Display,
    /// Seconds since the Unix epoch.
    pub wall: u64,
}

impl UpstreamFailed<'_> {
    /// Tells.
    pub fn tell(&self) {
        self.endpoint.record_failure(self.kind);
        let shared = self.endpoint.shared();
        let Some(suppressed) = shared.throttles[self.kind.index()].admit(self.wall) else { return };
        warn!(
            app = &*shared.app,
            engine = %shared.engine,
            endpoint = &*shared.url,
            kind = self.kind.as_str(),
            error = %self.error,
            suppressed,
            "upstream failed"
        );
    }
}

impl fmt::Debug for UpstreamFailed<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("UpstreamFailed").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// Access records were lost. Each is counted; the log gets one line a second.
#[derive(Clone, Copy)]
pub struct AccessLogDropped<'a> {
    /// How many.
    pub records: u64,
    /// Why.
    pub cause: &'a dyn Display,
    /// Seconds since the Unix epoch.
    pub wall: u64,
}

impl AccessLogDropped<'_> {
    /// Tells.
    pub fn tell(&self, metrics: &Metrics) {
        let shared = metrics.shared();
        shared.access_log_dropped.add(self.records);
        let Some(suppressed) = shared.access_log_throttle.admit(self.wall) else { return };
        warn!(records = self.records, cause = %self.cause, suppressed, "access records dropped");
    }
}

impl fmt::Debug for AccessLogDropped<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("AccessLogDropped").field("records", &self.records).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex, PoisonError};

    use serde_json::Value;

    use super::*;
    use crate::decide::engine::Engine;
    use crate::telemetry::metrics::Format;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The log lines of what is told, without their times.
    fn told(tell: impl FnOnce()) -> Vec<Value> {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .flatten_event(true)
            .without_time()
            .with_target(false)
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, tell);
        let text = lines.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        text.split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice(line).expect("JSON"))
            .collect()
    }

    #[test]
    fn an_applied_config_tells_its_plan_line_by_line() {
        let metrics = Metrics::new(1);
        let plan = ["portal 10% → 25%: 15.000% of subjects move to identity, 0 back".to_owned()];
        let applied = ConfigApplied {
            generation: 2,
            hash: "a1",
            origin: Origin::File,
            plan: &plan,
            workers_differ: true,
            wall: 1,
        };
        let lines = told(|| applied.tell(&metrics));
        assert_eq!(lines[0]["message"], "config applied");
        assert_eq!((&lines[0]["generation"], &lines[0]["origin"]), (&2.into(), &"file".into()));
        assert_eq!(lines[1]["message"], plan[0].as_str());
        assert_eq!(lines[2]["level"], "WARN");
        assert_eq!(lines.len(), 3);
    }

    #[test]
    fn a_dead_endpoint_is_told_once_a_second_and_counted_every_time() {
        let metrics = Metrics::new(2);
        let endpoints = [0, 1]
            .map(|worker| metrics.worker(worker).app("portal").endpoint(Engine::Classic, "http://a:80"));
        let failed = |worker: usize, kind, wall| {
            let error = &"connection refused";
            UpstreamFailed { endpoint: &endpoints[worker], kind, error, wall }.tell();
        };
        let lines = told(|| {
            for _ in 0..10 {
                failed(0, UpstreamFailure::ConnectRefused, 100);
                failed(1, UpstreamFailure::ConnectRefused, 100);
            }
            failed(0, UpstreamFailure::ConnectTimeout, 100);
            failed(1, UpstreamFailure::ConnectRefused, 101);
        });
        let told: Vec<_> =
            lines.iter().map(|line| (line["kind"].as_str(), line["suppressed"].as_u64())).collect();
        assert_eq!(
            told,
            [
                (Some("connect_refused"), Some(0)),
                (Some("connect_timeout"), Some(0)),
                (Some("connect_refused"), Some(19)),
            ]
        );
        assert_eq!((&lines[0]["app"], &lines[0]["endpoint"]), (&"portal".into(), &"http://a:80".into()));
        assert!(metrics.render(Format::Text).contains("kind=\"connect_refused\"} 21\n"));
    }

    #[test]
    fn what_has_a_metric_is_counted_as_it_is_told() {
        let metrics = Metrics::new(1);
        let lines = told(|| {
            PanicCaught { during: "a request", message: "index out of bounds" }.tell(&metrics);
            AccessLogDropped { records: 70, cause: &"disk full", wall: 5 }.tell(&metrics);
            AccessLogDropped { records: 7, cause: &"disk full", wall: 5 }.tell(&metrics);
            ShutdownEnded { took: Duration::from_secs(30), cut: 3 }.tell();
            TicketKeyEphemeral.tell();
        });
        let levels: Vec<_> = lines.iter().map(|line| line["level"].as_str().unwrap_or_default()).collect();
        assert_eq!(levels, ["ERROR", "WARN", "WARN", "WARN"]);
        let text = metrics.render(Format::Text);
        assert!(text.contains("\ncutover_panics_total 1\n"));
        assert!(text.contains("\ncutover_access_log_dropped_total 77\n"));
    }
}
