//! One core: a single-threaded runtime, its own listening sockets, its own upstream connections, its own metric
//! shard. Workers share nothing but what `runtime` and `upstream::endpoint` name.

use std::cell::RefCell;
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
use crate::net::listener::{Acceptor, last_word};
use crate::net::spread::{Handed, Held, Spread};
use crate::proxy::conn::{Entrance, serve};
use crate::proxy::context::{Shared, WorkerContext};
use crate::runtime::live::Live;
use crate::telemetry::access_log::WorkerLog;
use crate::telemetry::kinds::{AnswerKind, TurnedAway};
use crate::telemetry::metrics::Metrics;

/// What a connection gets that is one too many. Written without reading: whoever floods us does not get our
/// attention as well.
const OVERLOADED: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// What a worker needs to begin.
#[derive(Debug)]
pub struct Outfit {
    /// The running generation.
    pub live: Live,
    /// The numbers of the process.
    pub metrics: Arc<Metrics>,
    /// The shutdown latch.
    pub drain: Arc<Drain>,
    /// How many connections each client has.
    pub crowd: Arc<Crowd>,
    /// Gives connections to the other workers; its own number is that of the worker.
    pub spread: Spread,
    /// Connections that others accepted.
    pub arrivals: mpsc::UnboundedReceiver<Handed>,
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
    Builder::new().name(format!("cutover-{}", outfit.spread.own)).spawn(move || {
        let runtime =
            RuntimeBuilder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
        runtime.block_on(run(outfit));
        Ok(())
    })
}

async fn run(outfit: Outfit) {
    let Outfit {
        live,
        metrics,
        drain,
        crowd,
        spread,
        arrivals,
        access,
        mut doors,
        default_connections,
        ahead,
    } = outfit;
    let worker = WorkerContext::new(spread.own, &live, &metrics, Shared { drain, crowd }, access, ahead);
    let spread = Rc::new(spread);
    let entrances = Entrances::default();
    spawn_local(take_in(Rc::clone(&worker), Rc::clone(&entrances), arrivals));
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
                let entrance = Rc::new(entrance(&worker, configured, local.port()));
                // What it speaks now it goes on to speak, should an edit take it away before anybody came.
                entrance.speaks(&worker.view().snapshot);
                entrances.borrow_mut().insert(configured, Rc::clone(&entrance));
                let listener = Listener {
                    worker: Rc::clone(&worker),
                    entrance,
                    spread: Rc::clone(&spread),
                    default_connections,
                };
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

fn entrance(worker: &WorkerContext, configured: SocketAddr, local_port: u16) -> Entrance {
    Entrance::new(configured, local_port, worker.metrics.listener(&configured.to_string()))
}

/// The listeners that this worker serves or served, by the address that the operator wrote.
type Entrances = Rc<RefCell<HashMap<SocketAddr, Rc<Entrance>>>>;

/// Serves what other workers accepted and gave to this one. They may have done so at a listener that is closed here
/// already, or not open yet.
async fn take_in(
    worker: Rc<WorkerContext>,
    entrances: Entrances,
    mut arrivals: mpsc::UnboundedReceiver<Handed>,
) {
    while let Some(Handed { socket, remote, configured, local_port, held }) = arrivals.recv().await {
        // Fails only without a reactor, and this thread has one.
        let Ok(socket) = TcpStream::from_std(socket) else { continue };
        let known = entrances.borrow().get(&configured).map(Rc::clone);
        let entrance = known.unwrap_or_else(|| Rc::new(entrance(&worker, configured, local_port)));
        spawn_local(serve(Rc::clone(&worker), socket, remote, entrance, held));
    }
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
    spread: Rc<Spread>,
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
            let view = worker.view();
            self.entrance.metrics.turned_away(TurnedAway::PerProcess);
            view.no_app.record_answer(AnswerKind::Overloaded);
            if self.entrance.speaks(&view.snapshot).is_none_or(|listener| listener.tls.is_none()) {
                last_word(&socket, OVERLOADED);
            }
            return;
        };
        // The average is over those that are open besides this one.
        let held = Held { open, load: self.spread.enter(worker.drain.open().saturating_sub(1)) };
        let Entrance { configured, local_port, .. } = *self.entrance;
        if let Some((socket, held)) = self.spread.hand_over(socket, remote, (configured, local_port), held) {
            spawn_local(serve(Rc::clone(worker), socket, remote, Rc::clone(&self.entrance), held));
        }
    }
}
