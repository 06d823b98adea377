//! What is worth telling somebody: one struct per event, and one call that writes its log line and moves its metric.
//!
//! An event that has a metric cannot be logged without being counted, nor the other way round.

use std::fmt::{self, Display};
use std::net::SocketAddr;
use std::time::Duration;

use tracing::{error, info, warn};

use crate::config::units::write_moment;
use crate::decide::bucket::Share;
use crate::telemetry::kinds::{ReloadResult, UpstreamFailure};
use crate::telemetry::metrics::{EndpointMetrics, Metrics, NONE};

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
    /// How many changes; none at the start.
    pub changes: usize,
    /// Who moves: a line per change, and one for each moment of a schedule that lies ahead.
    pub plan: &'a [String],
    /// Whether it asks for another number of workers than run, which takes a restart.
    pub workers_differ: bool,
    /// Seconds since the Unix epoch.
    pub wall: u64,
}

impl ConfigApplied<'_> {
    /// Tells.
    pub fn tell(&self, metrics: &Metrics) {
        let Self { generation, hash, origin, changes, plan, workers_differ, wall } = *self;
        {
            let mut running = metrics.shared().running();
            running.generation = generation;
            hash.clone_into(&mut running.hash);
            running.taken_up = wall;
            running.is_the_last_offered = true;
        }
        origin.count(metrics, ReloadResult::Success);
        info!(generation, hash, %origin, changes, "config applied");
        for line in plan {
            info!(generation, "{line}");
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

/// A stage has come into force.
#[derive(Clone, Copy, Debug)]
pub struct StageBegan<'a> {
    /// Which app.
    pub app: &'a str,
    /// Which workflow; `None`: the app itself.
    pub workflow: Option<&'a str>,
    /// When, in seconds since the Unix epoch.
    pub at: u64,
    /// The share before.
    pub from: Share,
    /// The share from then on.
    pub to: Share,
}

impl StageBegan<'_> {
    /// Tells.
    pub fn tell(&self, metrics: &Metrics) {
        let Self { app, workflow, at, from, to } = *self;
        let workflow = workflow.unwrap_or(NONE);
        metrics.shared().count_stage(app, workflow);
        info!(app, workflow, at = write_moment(at), %from, %to, "stage began");
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
mod tests;
