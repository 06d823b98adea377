//! One worker's unused connections, per endpoint.
//!
//! A worker shares nothing here but what [`Endpoint`] counts: its connections are its own, and a request takes
//! the one that was used last, whose caches are warm.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::sync::{Notify, OwnedSemaphorePermit, oneshot};

use crate::ambient::Ambient;
use crate::config::model::{Connections, Timeouts};
use crate::telemetry::kinds::ConnectionState;
use crate::telemetry::metrics::EndpointMetrics;
use crate::upstream::client::Connection;
use crate::upstream::endpoint::Endpoint;
use crate::upstream::error::UpstreamError;
use crate::upstream::h2::streams::Multiplexed;

/// An endpoint as one worker sees it.
pub struct WorkerEndpoint {
    /// What all workers share.
    pub shared: Arc<Endpoint>,
    /// Where this worker counts what happens to it.
    pub metrics: Arc<EndpointMetrics>,
    /// Unused connections, the last used on top.
    #[expect(clippy::vec_box, reason = "a connection moves through the request path as one pointer")]
    idle: RefCell<Vec<Box<Connection>>>,
    /// Requests of this worker that wait for a connection.
    waiting: RefCell<VecDeque<oneshot::Sender<Box<Connection>>>>,
    /// Limits of the newest generation, read when a connection comes back.
    limits: RefCell<Connections>,
    /// Whether the newest generation speaks HTTP/2 to it.
    is_http2: Cell<bool>,
    /// Its HTTP/2 connections.
    pub(super) multiplexed: Multiplexed,
    ambient: Rc<Ambient>,
}

impl WorkerEndpoint {
    /// An endpoint without connections. `shed` is notified when other workers want them.
    pub fn new(
        shared: Arc<Endpoint>,
        metrics: Arc<EndpointMetrics>,
        limits: Connections,
        http2: bool,
        shed: &Arc<Notify>,
        ambient: Rc<Ambient>,
    ) -> Rc<Self> {
        shared.register(shed);
        // Its series may be older than it is.
        metrics.shared().set_ready(shared.standing.is_ready());
        Rc::new(Self {
            shared,
            metrics,
            idle: RefCell::default(),
            waiting: RefCell::default(),
            limits: RefCell::new(limits),
            is_http2: Cell::new(http2),
            multiplexed: Multiplexed::default(),
            ambient,
        })
    }

    /// Takes over the settings of a new generation. Connections that speak what is spoken no longer end when what
    /// they carry is done.
    pub fn set_limits(&self, limits: Connections, http2: bool) {
        *self.limits.borrow_mut() = limits;
        if self.is_http2.replace(http2) != http2 {
            self.close_idle();
            self.close_streams_where(|_| true);
        }
    }

    pub(super) fn limits(&self) -> Connections {
        *self.limits.borrow()
    }

    pub(super) fn now(&self) -> Instant {
        self.ambient.recent()
    }

    /// An unused connection that can carry a request.
    ///
    /// `certain`: the request could not be repeated, so the connection must be alive for certain, which costs a
    /// system call.
    pub fn unused(&self, timeouts: &Timeouts, certain: bool) -> Option<Box<Connection>> {
        loop {
            let connection = self.idle.borrow_mut().pop()?;
            self.count_taken(1);
            let since = self.ambient.recent().saturating_duration_since(connection.idle_since);
            let alive = if certain || connection.is_suspect {
                connection.is_certainly_alive()
            } else {
                connection.seems_alive()
            };
            if since < timeouts.idle && alive {
                return Some(connection);
            }
        }
    }

    /// A new connection, or one that another request gives back within `queue_timeout` when as many as allowed
    /// are open.
    pub async fn another(self: &Rc<Self>, timeouts: &Timeouts) -> Result<Box<Connection>, UpstreamError> {
        let permit = loop {
            match Arc::clone(self.shared.permits()).try_acquire_owned() {
                Ok(permit) => break permit,
                Err(_) => match self.wait().await? {
                    Found::Permit(permit) => break permit,
                    // An engine that closes without saying so does it right behind its response.
                    Found::Connection(connection) if connection.is_certainly_alive() => {
                        return Ok(connection);
                    }
                    Found::Connection(_dead) => {}
                },
            }
        };
        let socket = connect(&self.shared, timeouts.connect).await?;
        Ok(Connection::new(socket, Rc::clone(self), permit, self.ambient.recent()))
    }

    fn enqueue(&self, hand_over: oneshot::Sender<Box<Connection>>) {
        let mut waiting = self.waiting.borrow_mut();
        // Requests that gave up, or got a permit, leave their end behind.
        waiting.retain(|hand_over| !hand_over.is_closed());
        waiting.push_back(hand_over);
    }

    /// Waits until a request of this worker is done with its connection, or any connection of this endpoint is
    /// closed.
    async fn wait(&self) -> Result<Found, UpstreamError> {
        let limits = *self.limits.borrow();
        let endpoint = || self.shared.label.clone();
        let Some(_waiting) = self.shared.queue(limits.queue) else {
            return Err(UpstreamError::QueueFull { endpoint: endpoint() });
        };
        let (hand_over, handed_over) = oneshot::channel();
        self.enqueue(hand_over);
        let either = async {
            tokio::select! {
                Ok(connection) = handed_over => Found::Connection(connection),
                Ok(permit) = Arc::clone(self.shared.permits()).acquire_owned() => Found::Permit(permit),
            }
        };
        tokio::time::timeout(limits.queue_timeout, either)
            .await
            .map_err(|_| UpstreamError::QueueTimeout { endpoint: endpoint(), after: limits.queue_timeout })
    }

    /// Keeps a connection for the next request, unless somebody waits for it or enough are kept.
    pub(super) fn put_back(&self, mut connection: Box<Connection>) {
        if self.shared.is_contended() {
            loop {
                let Some(next) = self.waiting.borrow_mut().pop_front() else {
                    // Another worker waits: a closed connection is a permit for it.
                    return;
                };
                match next.send(connection) {
                    Ok(()) => return,
                    // That request gave up waiting.
                    Err(unwanted) => connection = unwanted,
                }
            }
        }
        if self.shared.idle().load(Ordering::Relaxed) >= self.limits.borrow().idle {
            return;
        }
        connection.idle_since = self.ambient.recent();
        self.shared.idle().fetch_add(1, Ordering::Relaxed);
        self.metrics.connection_left(ConnectionState::Active);
        self.metrics.connection_entered(ConnectionState::Idle);
        self.idle.borrow_mut().push(connection);
    }

    /// Closes connections that were unused for too long, or that the engine has closed.
    pub fn sweep(&self, timeouts: &Timeouts, now: Instant) {
        // Whoever waits elsewhere may have looked a moment before a connection came back here.
        self.shed();
        self.waiting.borrow_mut().retain(|hand_over| !hand_over.is_closed());
        let mut idle = self.idle.borrow_mut();
        let before = idle.len();
        idle.retain(|connection| {
            now.saturating_duration_since(connection.idle_since) < timeouts.idle && connection.seems_alive()
        });
        self.count_taken(before - idle.len());
        drop(idle);
        self.close_streams_where(|idle_since| {
            idle_since.is_some_and(|since| now.saturating_duration_since(since) >= timeouts.idle)
        });
    }

    /// Closes unused connections when requests wait for one elsewhere.
    pub fn shed(&self) {
        if self.shared.is_contended() {
            self.close_idle();
            self.close_streams_where(|idle_since| idle_since.is_some());
        }
    }

    /// The endpoint left the configuration: what is unused is closed, what is in use is closed when it is done.
    pub fn retire(&self) {
        self.limits.borrow_mut().idle = 0;
        self.close_idle();
        self.close_streams_where(|_| true);
    }

    fn close_idle(&self) {
        let idle = std::mem::take(&mut *self.idle.borrow_mut());
        self.count_taken(idle.len());
    }

    pub(super) fn count_taken(&self, connections: usize) {
        self.shared.idle().fetch_sub(connections, Ordering::Relaxed);
        for _ in 0..connections {
            self.metrics.connection_left(ConnectionState::Idle);
            self.metrics.connection_entered(ConnectionState::Active);
        }
    }
}

pub(super) async fn connect(endpoint: &Endpoint, within: Duration) -> Result<TcpStream, UpstreamError> {
    let label = || endpoint.label.clone();
    let open = async {
        let socket = match endpoint.address {
            Some(address) => TcpStream::connect(address).await?,
            // All addresses of a name are tried, in the system's order.
            None => TcpStream::connect((endpoint.url.host.as_str(), endpoint.url.port)).await?,
        };
        // Requests are written whole; waiting for more to send only delays them.
        socket.set_nodelay(true)?;
        Ok(socket)
    };
    tokio::time::timeout(within, open)
        .await
        .map_err(|_| UpstreamError::ConnectTimeout { endpoint: label(), after: within })?
        .map_err(|source| UpstreamError::Connect { endpoint: label(), source })
}

/// What a waiting request got.
enum Found {
    Connection(Box<Connection>),
    Permit(OwnedSemaphorePermit),
}

impl fmt::Debug for WorkerEndpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "WorkerEndpoint({})", self.shared.label)
    }
}
