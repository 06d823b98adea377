//! One configuration edit: read → parse → diff → build → bind → swap → settle → tell.
//!
//! Every step before the swap can refuse, and then nothing has changed but the alarm. No step after it can fail.

use std::net::{SocketAddr, TcpListener as StdListener};
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{Notify, mpsc};

use crate::ambient::{unix_seconds, unix_time};
use crate::config::diff;
use crate::config::{self, Loaded};
use crate::control::evacuate::Ordered;
use crate::control::stages::StageWatch;
use crate::control::{Command, Control, LastLook, Outcome};
use crate::decide::ticket::SigningKey;
use crate::net::doors::Doors;
use crate::runtime::listener::Listeners;
use crate::runtime::live::Live;
use crate::runtime::snapshot::Snapshot;
use crate::telemetry::access_log::AccessLog;
use crate::telemetry::certificates::tell_of_certificates;
use crate::telemetry::events::{Chain, ConfigApplied, ConfigRejected, ConfigUnchanged, Origin};
use crate::telemetry::events::{ListenerClosed, ListenerOpened};
use crate::telemetry::init::Logging;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::orders::tell_of_orders;

/// Everything that an edit can change, in the one pair of hands that may change it.
#[derive(Debug)]
pub struct Reloader {
    /// The configuration's file.
    pub path: PathBuf,
    /// The configuration that runs.
    pub loaded: Loaded,
    /// The keys that sign tickets where no key file is named.
    pub ephemeral_keys: Vec<SigningKey>,
    /// The running generation.
    pub live: Live,
    /// The listeners.
    pub doors: Doors,
    /// Where the admin thread gets another listener from.
    pub admin_door: mpsc::UnboundedSender<StdListener>,
    /// The admin listener's address as configured.
    pub admin_bind: SocketAddr,
    /// How many workers run.
    pub workers: usize,
    /// The numbers of the process.
    pub metrics: Arc<Metrics>,
    /// The log of events.
    pub logging: Logging,
    /// The access log.
    pub access: Arc<AccessLog>,
    /// Where everybody learns what became of it.
    pub control: Control,
    /// Files to watch, whether or not the newest look liked them.
    pub files: Vec<PathBuf>,
    /// Notified when another generation says who is probed.
    pub probes: Arc<Notify>,
    /// The stages that lie ahead in the configuration that runs.
    pub stages: StageWatch,
}

impl Reloader {
    /// Serves commands until nobody can send any more. `watched` is told which files count from now on.
    pub async fn run(
        mut self,
        mut commands: mpsc::UnboundedReceiver<Command>,
        watched: tokio::sync::watch::Sender<Vec<PathBuf>>,
    ) {
        loop {
            let command = tokio::select! {
                command = commands.recv() => command,
                () = tokio::time::sleep(self.stages.patience(unix_time())) => {
                    self.stages.tell(unix_seconds(), &self.metrics);
                    continue;
                }
            };
            match command {
                None => return,
                Some(Command::Reload { origin, reply }) => {
                    let outcome = self.look(origin, &watched);
                    if let Some(reply) = reply {
                        // Whoever asked may have stopped waiting.
                        let _ = reply.send(outcome);
                    }
                }
                Some(Command::Evacuate(wanted)) => {
                    let ordered = match self.write_order(&wanted) {
                        Ok((order, place)) => {
                            Ordered::Written { order, place, outcome: self.look(Origin::Admin, &watched) }
                        }
                        Err(refused) => *refused,
                    };
                    let _ = wanted.reply.send(ordered);
                }
                Some(Command::CloseDoors) => self.doors.close_all(),
            }
        }
    }

    /// Looks at the configuration, and lets everybody know.
    fn look(&mut self, origin: Origin, watched: &tokio::sync::watch::Sender<Vec<PathBuf>>) -> Outcome {
        let outcome = self.reload(origin);
        watched.send_replace(self.files.clone());
        let look = LastLook { at: unix_seconds(), origin, outcome: outcome.clone() };
        self.control.last.store(Arc::new(look));
        outcome
    }

    fn reload(&mut self, origin: Origin) -> Outcome {
        let running = self.live.load();
        let generation = running.generation;
        let loaded = match config::load(&self.path, Some(&self.loaded)) {
            Ok(loaded) => loaded,
            Err(rejected) => {
                // A file that could not be read names no others: the ones it named before may bring it back.
                self.files.clone_from(&rejected.files);
                self.files
                    .extend(self.loaded.files.iter().filter(|file| !rejected.files.contains(file)).cloned());
                return self.reject(origin, generation, rejected.to_string());
            }
        };
        self.files.clone_from(&loaded.files);
        if loaded.digest == self.loaded.digest {
            ConfigUnchanged { origin }.tell(&self.metrics);
            return Outcome::Unchanged { generation };
        }
        let plan = diff::diff(&self.loaded.config, &loaded.config, unix_seconds());
        let refusals = plan.refusals();
        if !refusals.is_empty() {
            let problems: Vec<String> = refusals.iter().map(ToString::to_string).collect();
            return self.reject(origin, generation, problems.join("\n"));
        }

        let config = Arc::clone(&loaded.config);
        let doors = match self.doors.prepare(config.listeners.iter().map(|listener| listener.bind)) {
            Ok(doors) => doors,
            Err(error) => return self.reject(origin, generation, told(&error)),
        };
        let listeners = match Listeners::build(&config.listeners, Some(&running.listeners)) {
            Ok(listeners) => listeners,
            Err(error) => return self.reject(origin, generation, told(&error)),
        };
        let admin = match self.prepare_admin(config.admin.bind) {
            Ok(admin) => admin,
            Err(error) => return self.reject(origin, generation, told(&error)),
        };
        let access = match self.access.prepare(&config.log) {
            Ok(access) => access,
            Err(error) => return self.reject(origin, generation, told(&error)),
        };
        let next = Snapshot::build(
            Arc::clone(&config),
            listeners,
            loaded.hash.clone(),
            &self.ephemeral_keys,
            generation + 1,
            Some(&running),
        );
        // Nothing below can fail. What has begun until now began by the old file, and is told as such.
        let now = unix_seconds();
        self.stages.tell(now, &self.metrics);
        self.stages.follow(&config, now);
        self.metrics.take_up(&config);
        self.live.replace(Arc::new(next));
        self.probes.notify_one();
        let (opened, closed) = self.doors.settle(doors);
        if let Some(listener) = admin {
            let _ = self.admin_door.send(listener);
            self.admin_bind = config.admin.bind;
        }
        self.access.commit(access);
        self.logging.apply(&config.log);

        let changes = plan.lines();
        ConfigApplied {
            generation: generation + 1,
            hash: &loaded.hash,
            origin,
            changes: plan.changes.len(),
            plan: &changes,
            workers_differ: config.workers.is_some_and(|workers| workers.get() != self.workers),
            wall: unix_seconds(),
        }
        .tell(&self.metrics);
        let before = &self.loaded.config;
        tell_of_certificates(&config, unix_seconds());
        tell_of_orders(Some(before), &config, origin, generation + 1, unix_seconds(), &self.metrics);
        for address in opened {
            ListenerOpened { address }.tell();
        }
        for address in closed {
            ListenerClosed { address }.tell();
        }
        let warnings = loaded.warnings.iter().map(ToString::to_string).collect();
        self.loaded = loaded;
        Outcome::Applied { generation: generation + 1, changes, warnings }
    }

    fn prepare_admin(&self, wanted: SocketAddr) -> std::io::Result<Option<StdListener>> {
        if wanted == self.admin_bind {
            return Ok(None);
        }
        let listener = StdListener::bind(wanted).map_err(|error| {
            std::io::Error::new(error.kind(), format!("cannot listen on {wanted}: {error}"))
        })?;
        listener.set_nonblocking(true)?;
        Ok(Some(listener))
    }

    fn reject(&self, origin: Origin, generation: u64, problems: String) -> Outcome {
        ConfigRejected { origin, problems: &problems }.tell(&self.metrics);
        Outcome::Rejected { generation, problems }
    }
}

/// An error and its causes, as operators read it.
fn told(error: &dyn std::error::Error) -> String {
    format!("error: {}", Chain(error))
}
