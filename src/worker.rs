//! One core: a single-threaded runtime, its own listening sockets, its own upstream connections, its own metric
//! shard. Workers share nothing but what `runtime` and `upstream::endpoint` name.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use tokio::net::TcpStream;
use tokio::runtime::{Builder as RuntimeBuilder, LocalOptions};
use tokio::sync::{Notify, mpsc};
use tokio::task::spawn_local;
use tokio::time::{MissedTickBehavior, interval};

use crate::ambient::Ahead;
use crate::net::activity::TICK;
use crate::net::crowd::Crowd;
use crate::net::doors::Door;
use crate::net::drain::Drain;
use crate::net::listener::Acceptor;
use crate::proxy::conn::{Entrance, serve};
use crate::proxy::context::{Shared, WorkerContext};
use crate::runtime::live::Live;
use crate::telemetry::access_log::WorkerLog;
use crate::telemetry::kinds::AnswerKind;
use crate::telemetry::metrics::Metrics;

/// What a connection gets that is one too many. Written without reading: whoever floods us does not get our
/// attention as well.
const OVERLOADED: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// What a worker needs to begin.
#[derive(Debug)]
pub struct Outfit {
    /// Its number, from 0.
    pub index: usize,
    /// The running generation.
    pub live: Live,
    /// The numbers of the process.
    pub metrics: Arc<Metrics>,
    /// The shutdown latch.
    pub drain: Arc<Drain>,
    /// How many connections each client has.
    pub crowd: Arc<Crowd>,
    /// Its end of the access log.
    pub access: WorkerLog,
    /// Tells which listeners to serve; closing the channel ends the worker.
    pub doors: mpsc::UnboundedReceiver<Door>,
    /// Connections that the process accepts when the configuration names no number.
    pub default_connections: NonZeroUsize,
    /// How far its clock runs ahead.
    pub ahead: Ahead,
}

/// Starts a worker in a thread of its own. It ends when its channel of doors is closed, and drops what is left.
pub fn spawn(outfit: Outfit) -> io::Result<JoinHandle<io::Result<()>>> {
    Builder::new().name(format!("cutover-{}", outfit.index)).spawn(move || {
        let runtime =
            RuntimeBuilder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
        runtime.block_on(run(outfit));
        Ok(())
    })
}

async fn run(outfit: Outfit) {
    let Outfit { index, live, metrics, drain, crowd, access, mut doors, default_connections, ahead } = outfit;
    let worker = WorkerContext::new(index, &live, &metrics, Shared { drain, crowd }, access, ahead);
    spawn_local(tick(Rc::clone(&worker)));
    spawn_local({
        let worker = Rc::clone(&worker);
        async move { worker.shed_when_asked().await }
    });
    let mut closing: HashMap<SocketAddr, Rc<Notify>> = HashMap::new();
    while let Some(door) = doors.recv().await {
        match door {
            Door::Open { configured, local, socket } => {
                // Fails only without a reactor, and this thread has one.
                let Ok(acceptor) = Acceptor::new(socket) else { continue };
                let close = Rc::new(Notify::new());
                closing.insert(configured, Rc::clone(&close));
                let entrance = Entrance {
                    configured,
                    local_port: local.port(),
                    metrics: worker.metrics.listener(&configured.to_string()),
                };
                let listener =
                    Listener { worker: Rc::clone(&worker), entrance: Rc::new(entrance), default_connections };
                spawn_local(listener.run(acceptor, close));
            }
            Door::Close { configured } => {
                if let Some(close) = closing.remove(&configured) {
                    close.notify_one();
                }
            }
        }
    }
    worker.access.flush();
}

async fn tick(worker: Rc<WorkerContext>) {
    let started = worker.ambient.instant();
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        worker.ambient.expire();
        let since_start = worker.ambient.instant().saturating_duration_since(started);
        // Without ticks no time-out would ever fire again on this worker.
        if catch_unwind(AssertUnwindSafe(|| worker.tick(since_start))).is_err() {
            worker.panicked("a tick", "see the line above");
        }
    }
}

/// One listener, as one worker serves it.
struct Listener {
    worker: Rc<WorkerContext>,
    entrance: Rc<Entrance>,
    default_connections: NonZeroUsize,
}

impl Listener {
    async fn run(self, acceptor: Acceptor, close: Rc<Notify>) {
        let on_error = |error: &io::Error| tracing::warn!(%error, "cannot accept; trying again shortly");
        loop {
            tokio::select! {
                (socket, remote) = acceptor.accept(on_error) => self.admit(socket, remote),
                () = close.notified() => break,
            }
        }
        // Closing the socket would reset what the kernel has queued for it.
        while let Some((socket, remote)) = acceptor.accept_waiting().await {
            self.admit(socket, remote);
        }
    }

    fn admit(&self, socket: TcpStream, remote: SocketAddr) {
        let worker = &self.worker;
        let limit = worker.view().snapshot.limits.connections.unwrap_or(self.default_connections);
        let Some(open) = worker.drain.enter(limit.get()) else {
            worker.view().no_app.record_answer(AnswerKind::Overloaded);
            // A fresh connection has room for this; whoever hung up already misses nothing.
            let _ = socket.try_write(OVERLOADED);
            return;
        };
        spawn_local(serve(Rc::clone(worker), socket, remote, Rc::clone(&self.entrance), open));
    }
}
