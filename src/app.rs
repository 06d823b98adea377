//! Wiring: build, start in order, stop in reverse.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{Builder, JoinHandle, available_parallelism};
use std::time::Duration;

use tokio::runtime::{Builder as RuntimeBuilder, LocalOptions};
use tokio::sync::{Notify, mpsc, oneshot, watch};

use crate::admin::{self, AdminState};
use crate::ambient::{Ahead, Ambient, fresh_key, unix_seconds};
use crate::config;
use crate::control::probes;
use crate::control::reload::Reloader;
use crate::control::stages::StageWatch;
use crate::control::watch::{watch_files, watch_hangups};
use crate::control::{Command, Control, LastLook, Outcome};
use crate::decide::ticket::SigningKey;
use crate::net::crowd::Crowd;
use crate::net::doors::Doors;
use crate::net::drain::Drain;
use crate::net::spread::{Loads, Spread};
use crate::runtime::listener::Listeners;
use crate::runtime::live::Live;
use crate::runtime::snapshot::Snapshot;
use crate::telemetry::access_log::{AccessLog, AccessLogError};
use crate::telemetry::certificates::tell_of_certificates;
use crate::telemetry::events::{
    ConfigApplied, Origin, ProxyStarted, ShutdownBegan, ShutdownEnded, TicketKeyEphemeral,
};
use crate::telemetry::init;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::orders::tell_of_orders;
use crate::worker::{self, Outfit};

/// Descriptors that are not connections: listeners, files, the reactor's own.
const DESCRIPTORS_RESERVED: u64 = 128;

/// How long the writer of the access log may take at the end.
const LOG_PATIENCE: Duration = Duration::from_secs(2);

/// Why the proxy could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration has problems.
    #[error("{0}")]
    Config(config::Rejected),
    /// A listener could not be bound.
    #[error(transparent)]
    Bind(#[from] crate::net::listener::BindError),
    /// A listener cannot speak TLS.
    #[error(transparent)]
    Tls(#[from] crate::net::tls::TlsError),
    /// The admin listener could not be bound.
    #[error("cannot listen on {address} for admin")]
    Admin {
        /// Which address.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The access log could not be opened.
    #[error(transparent)]
    AccessLog(#[from] AccessLogError),
    /// A thread could not be started.
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
}

/// A proxy that serves.
#[derive(Debug)]
pub struct App {
    listeners: Vec<SocketAddr>,
    admin: SocketAddr,
    live: Live,
    drain: Arc<Drain>,
    loads: Arc<Loads>,
    control: Control,
    access: Arc<AccessLog>,
    /// Ends the admin, the control and the probing thread when it is dropped.
    stop: Vec<oneshot::Sender<()>>,
    threads: Vec<JoinHandle<io::Result<()>>>,
}

impl App {
    /// Reads the configuration and starts to serve. Returns when every listener accepts.
    pub fn start(path: &Path) -> Result<Self, StartError> {
        Self::start_ahead(path, &Ahead::default())
    }

    /// As [`App::start`], with workers whose wall clocks run ahead of the machine's, for stories that take a while.
    pub fn start_ahead(path: &Path, ahead: &Ahead) -> Result<Self, StartError> {
        let loaded = config::load(path, None).map_err(StartError::Config)?;
        let config = Arc::clone(&loaded.config);
        let logging = init::start(&config.log);
        let default_connections = connections_from_descriptors();
        let workers =
            config.workers.or_else(|| available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN).get();

        let metrics = Metrics::new(workers);
        metrics.take_up(&config);
        let access = Arc::new(AccessLog::new(Arc::clone(&metrics)));
        access.commit(access.prepare(&config.log)?);
        let keys: Vec<SigningKey> = SigningKey::new(fresh_key().to_vec()).into_iter().collect();
        if config.ticket.keys.is_empty() && config.apps.iter().any(config::model::App::mints_tickets) {
            TicketKeyEphemeral.tell();
        }
        let mut stages = StageWatch::default();
        stages.follow(&config, unix_seconds());
        let speak = Listeners::build(&config.listeners, None)?;
        let first = Snapshot::build(Arc::clone(&config), speak, loaded.hash.clone(), &keys, 1, None);
        let live = Live::new(Arc::new(first));
        let drain = Arc::<Drain>::default();
        let crowd = Arc::<Crowd>::default();

        let (senders, receivers): (Vec<_>, Vec<_>) = (0..workers).map(|_| mpsc::unbounded_channel()).unzip();
        let mut doors = Doors::new(senders);
        let prepared = doors.prepare(config.listeners.iter().map(|listener| listener.bind))?;
        let admin_listener = bind_admin(config.admin.bind)?;
        let admin = admin_listener
            .local_addr()
            .map_err(|source| StartError::Admin { address: config.admin.bind, source })?;

        let loads = Loads::new(workers);
        let (mailboxes, arrivals): (Vec<_>, Vec<_>) = (0..workers).map(|_| mpsc::unbounded_channel()).unzip();
        let mailboxes: Arc<[_]> = mailboxes.into();
        let mut threads = Vec::new();
        for (own, (doors, arrivals)) in receivers.into_iter().zip(arrivals).enumerate() {
            let outfit = Outfit {
                spread: Spread { loads: Arc::clone(&loads), own, mailboxes: Arc::clone(&mailboxes) },
                arrivals,
                live: live.clone(),
                metrics: Arc::clone(&metrics),
                drain: Arc::clone(&drain),
                crowd: Arc::clone(&crowd),
                access: access.worker(),
                doors,
                default_connections,
                ahead: ahead.clone(),
            };
            threads.push(worker::spawn(outfit).map_err(StartError::Thread)?);
        }
        let (listeners, _) = doors.settle(prepared);

        let warnings = loaded.warnings.iter().map(ToString::to_string).collect();
        let outcome = Outcome::Applied { generation: 1, changes: Vec::new(), warnings };
        let look = LastLook { at: unix_seconds(), origin: Origin::Start, outcome };
        let (control, commands) = Control::channel(look);
        let (admin_door, admin_doors) = mpsc::unbounded_channel();
        let told = ConfigApplied {
            generation: 1,
            hash: &loaded.hash,
            origin: Origin::Start,
            changes: 0,
            plan: &[],
            workers_differ: false,
            wall: unix_seconds(),
        };
        told.tell(&metrics);
        tell_of_certificates(&config, unix_seconds());
        tell_of_orders(None, &config, Origin::Start, 1, unix_seconds(), &metrics);
        for warning in &loaded.warnings {
            tracing::warn!("{warning}");
        }
        let state = AdminState {
            live: live.clone(),
            metrics: Arc::clone(&metrics),
            control: control.clone(),
            drain: Arc::clone(&drain),
            started: Ambient::system().moment(),
            workers,
        };
        let probes = Arc::<Notify>::default();
        let reloader = Reloader {
            path: path.to_owned(),
            files: loaded.files.clone(),
            loaded,
            ephemeral_keys: keys,
            live: live.clone(),
            doors,
            admin_door,
            admin_bind: config.admin.bind,
            workers,
            metrics: Arc::clone(&metrics),
            logging,
            access: Arc::clone(&access),
            control: control.clone(),
            stages,
            probes: Arc::clone(&probes),
        };
        let (stop_control, control_stopped) = oneshot::channel();
        let (stop_admin, admin_stopped) = oneshot::channel();
        let (stop_probes, probes_stopped) = oneshot::channel();
        threads.push(spawn_control(reloader, commands, control.clone(), control_stopped)?);
        let (live_of_probes, counted) = (live.clone(), Arc::clone(&metrics));
        threads.push(spawn_probes(live_of_probes, counted, probes, ahead.clone(), probes_stopped)?);
        threads.push(spawn_admin(state, admin_listener, admin_doors, admin_stopped)?);
        ProxyStarted { listeners: &listeners, admin, workers }.tell();
        let stop = vec![stop_control, stop_admin, stop_probes];
        Ok(Self { listeners, admin, live, drain, loads, control, access, stop, threads })
    }

    /// Where it accepts requests, with the ports that the system chose, in the order of their addresses.
    pub fn listeners(&self) -> &[SocketAddr] {
        &self.listeners
    }

    /// How many connections each worker holds.
    pub fn connections_by_worker(&self) -> Vec<usize> {
        self.loads.by_worker()
    }

    /// The operators' door.
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// Asks for a look at the configuration.
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// Stops: not ready, no new connections, then at most `shutdown.drain` for what is in flight. Returns how
    /// many connections were cut.
    pub fn shut_down(mut self) -> usize {
        let patience = self.live.load().config.drain;
        ShutdownBegan { drain: patience }.tell();
        let ambient = Ambient::system();
        let began = ambient.instant();
        self.drain.begin();
        self.control.send(Command::CloseDoors);
        let cut = wait_until_empty(&self.drain, patience);
        // Without its sender a worker ends; the control thread holds them.
        self.stop.clear();
        drop(self.control);
        for thread in self.threads.drain(..) {
            // A thread that panicked has nothing left to lose.
            let _ = thread.join();
        }
        self.access.close(LOG_PATIENCE);
        ambient.expire();
        ShutdownEnded { took: ambient.instant().saturating_duration_since(began), cut }.tell();
        cut
    }
}

fn wait_until_empty(drain: &Arc<Drain>, patience: Duration) -> usize {
    let Ok(runtime) = RuntimeBuilder::new_current_thread().enable_time().build() else { return drain.open() };
    runtime.block_on(async {
        // Closing the listeners takes the workers a moment, in which connections that waited are let in.
        let emptied = async {
            tokio::time::sleep(crate::net::activity::TICK).await;
            drain.emptied().await;
        };
        match tokio::time::timeout(patience, emptied).await {
            Ok(()) => 0,
            Err(_) => drain.open(),
        }
    })
}

fn bind_admin(address: SocketAddr) -> Result<StdListener, StartError> {
    let bind = || {
        let listener = StdListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    };
    bind().map_err(|source| StartError::Admin { address, source })
}

/// Half of what the process may open, since a request takes a connection on either side. The soft limit is
/// raised to the hard one first: it is a default for programs that cannot handle more, and we can.
fn connections_from_descriptors() -> NonZeroUsize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let before = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: before.maximum, maximum: before.maximum };
    // Not allowed is no harm: then the soft limit stays.
    let _ = setrlimit(Resource::Nofile, raised);
    let allowed = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let each = allowed.saturating_sub(DESCRIPTORS_RESERVED) / 2;
    NonZeroUsize::new(usize::try_from(each).unwrap_or(usize::MAX)).unwrap_or(NonZeroUsize::MIN)
}

fn spawn_control(
    reloader: Reloader,
    commands: mpsc::UnboundedReceiver<Command>,
    control: Control,
    stopped: oneshot::Receiver<()>,
) -> Result<JoinHandle<io::Result<()>>, StartError> {
    let files: Vec<PathBuf> = reloader.files.clone();
    let run = move || {
        let runtime = RuntimeBuilder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let (told, watched) = watch::channel(files);
            tokio::select! {
                () = reloader.run(commands, told) => Ok(()),
                () = watch_files(control.clone(), watched) => Ok(()),
                result = watch_hangups(control.clone()) => result,
                _ = stopped => Ok(()),
            }
        })
    };
    Builder::new().name("cutover-control".to_owned()).spawn(run).map_err(StartError::Thread)
}

fn spawn_probes(
    live: Live,
    metrics: Arc<Metrics>,
    changed: Arc<Notify>,
    ahead: Ahead,
    stopped: oneshot::Receiver<()>,
) -> Result<JoinHandle<io::Result<()>>, StartError> {
    let run = move || {
        let runtime =
            RuntimeBuilder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
        runtime.block_on(async {
            tokio::select! {
                () = probes::run(live, metrics, changed, ahead) => Ok(()),
                _ = stopped => Ok(()),
            }
        })
    };
    Builder::new().name("cutover-probes".to_owned()).spawn(run).map_err(StartError::Thread)
}

fn spawn_admin(
    state: AdminState,
    listener: StdListener,
    doors: mpsc::UnboundedReceiver<StdListener>,
    stopped: oneshot::Receiver<()>,
) -> Result<JoinHandle<io::Result<()>>, StartError> {
    let run = move || {
        let runtime = RuntimeBuilder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            tokio::select! {
                result = admin::serve(state, listener, doors) => result,
                _ = stopped => Ok(()),
            }
        })
    };
    Builder::new().name("cutover-admin".to_owned()).spawn(run).map_err(StartError::Thread)
}
