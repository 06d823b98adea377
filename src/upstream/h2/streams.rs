//! One worker's connections to an endpoint, and the requests that wait for a stream on one of them.
//!
//! A request goes by the first connection that has room, so there are as few as the load needs. One that finds none
//! waits, and a task of the endpoint's own opens another, as `connections.max` allows; whoever asked first may leave
//! without taking it along.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::task::{spawn_local, yield_now};
use tokio::time::timeout;

use crate::config::model::Timeouts;
use crate::telemetry::kinds::ConnectionState;
use crate::upstream::client::Counted;
use crate::upstream::error::UpstreamError;
use crate::upstream::h2::connection::{Connection, Driver, open};
use crate::upstream::h2::head::LastAuthority;
use crate::upstream::pool::{WorkerEndpoint, connect};

/// A request that waits for a stream, or for why there is none.
type HandOver = oneshot::Sender<Result<Slot, UpstreamError>>;

/// One worker's HTTP/2 connections to one endpoint.
#[derive(Debug, Default)]
pub struct Multiplexed {
    /// Those that take new streams. What goes away lives on with the streams that it has.
    connections: RefCell<Vec<Rc<Connection>>>,
    waiting: RefCell<VecDeque<HandOver>>,
    /// Whether somebody sees to those who wait.
    is_seen_to: Cell<bool>,
    /// Whether a connection is being made just now.
    is_connecting: Cell<bool>,
    pub(super) authority: RefCell<LastAuthority>,
}

/// Room for one request on a connection. Given back when it is dropped.
#[derive(Debug)]
pub struct Slot {
    pub(super) connection: Rc<Connection>,
    pub(super) home: Rc<WorkerEndpoint>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.connection.streams.set(self.connection.streams.get() - 1);
        self.home.stream_left(&self.connection);
    }
}

impl WorkerEndpoint {
    /// Room for a request, on an open connection or on another.
    ///
    /// `certain`: the request could not be repeated, so a connection that has lain unused must be alive for certain,
    /// which costs a system call.
    pub async fn stream(self: &Rc<Self>, timeouts: &Timeouts, certain: bool) -> Result<Slot, UpstreamError> {
        if let Some(slot) = self.free_stream(certain) {
            return Ok(slot);
        }
        // Boxed: rare, and the room for it would be moved about with every request.
        Box::pin(self.wait_for_stream(timeouts, certain)).await
    }

    async fn wait_for_stream(
        self: &Rc<Self>,
        timeouts: &Timeouts,
        certain: bool,
    ) -> Result<Slot, UpstreamError> {
        if certain && !self.multiplexed.connections.borrow().is_empty() {
            // An engine that goes away may have said so, and its connection's task has not read it yet.
            yield_now().await;
            if let Some(slot) = self.free_stream(certain) {
                return Ok(slot);
            }
        }
        let limits = self.limits();
        let endpoint = || self.shared.label.clone();
        let comes_soon =
            self.multiplexed.is_connecting.get() || self.shared.permits().available_permits() > 0;
        let (within, _waiting) = if comes_soon {
            // The connection's own time-out comes first, and is told to all who wait.
            (timeouts.connect.saturating_add(limits.queue_timeout), None)
        } else {
            let waiting = self.shared.queue(limits.queue);
            let waiting = waiting.ok_or_else(|| UpstreamError::QueueFull { endpoint: endpoint() })?;
            (limits.queue_timeout, Some(waiting))
        };
        let (hand_over, handed_over) = oneshot::channel();
        self.multiplexed.waiting.borrow_mut().push_back(hand_over);
        if !self.multiplexed.is_seen_to.replace(true) {
            spawn_local(Rc::clone(self).see_to_waiting(timeouts.connect, limits.queue_timeout));
        }
        match timeout(within, handed_over).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) | Err(_) => {
                Err(UpstreamError::QueueTimeout { endpoint: endpoint(), after: limits.queue_timeout })
            }
        }
    }

    /// Opens connections until nobody waits any more.
    async fn see_to_waiting(self: Rc<Self>, within: Duration, queue_timeout: Duration) {
        while self.is_waited_for() {
            let permit = Arc::clone(self.shared.permits()).acquire_owned();
            // Those who wait give up after a while, and then nobody needs the permit.
            let Ok(Ok(permit)) = timeout(queue_timeout, permit).await else { continue };
            if !self.is_waited_for() {
                break;
            }
            self.multiplexed.is_connecting.set(true);
            let opened = timeout(within, async {
                open(connect(&self.shared, within).await?)
                    .await
                    .map_err(|source| UpstreamError::Connect { endpoint: self.shared.label.clone(), source })
            });
            let opened = opened.await.unwrap_or_else(|_| {
                Err(UpstreamError::ConnectTimeout { endpoint: self.shared.label.clone(), after: within })
            });
            self.multiplexed.is_connecting.set(false);
            match opened {
                Ok((connection, driver)) => {
                    let connection = Rc::new(connection);
                    let counted = Counted::new(Rc::clone(&self), permit);
                    spawn_local(drive(Rc::clone(&self), Rc::clone(&connection), driver, counted));
                    self.multiplexed.connections.borrow_mut().push(connection);
                    self.hand_out();
                }
                Err(error) => self.disappoint(&error),
            }
        }
        self.multiplexed.is_seen_to.set(false);
    }

    fn is_waited_for(&self) -> bool {
        let mut waiting = self.multiplexed.waiting.borrow_mut();
        waiting.retain(|hand_over| !hand_over.is_closed());
        !waiting.is_empty()
    }

    /// Tells everybody who waits why there is no connection.
    fn disappoint(&self, error: &UpstreamError) {
        for hand_over in self.multiplexed.waiting.take() {
            let _ = hand_over.send(Err(same(error)));
        }
    }

    /// Room on an open connection.
    fn free_stream(self: &Rc<Self>, certain: bool) -> Option<Slot> {
        let mut connections = self.multiplexed.connections.borrow_mut();
        let mut gone = Vec::new();
        let mut found = None;
        connections.retain(|connection| {
            if found.is_some() {
                return true;
            }
            match connection.room() {
                None => {
                    gone.push(Rc::clone(connection));
                    return false;
                }
                Some(0) => {}
                Some(_) => {
                    let is_alive = !certain || connection.streams.get() > 0 || connection.traffic.is_quiet();
                    found = is_alive.then(|| Rc::clone(connection));
                }
            }
            true
        });
        drop(connections);
        for connection in gone {
            self.is_idle_no_more(&connection);
        }
        let connection = found?;
        self.is_idle_no_more(&connection);
        connection.streams.set(connection.streams.get() + 1);
        Some(Slot { connection, home: Rc::clone(self) })
    }

    /// Gives room to those who wait, as far as there is any.
    fn hand_out(self: &Rc<Self>) {
        while self.is_waited_for() {
            let Some(slot) = self.free_stream(false) else { return };
            let next = self.multiplexed.waiting.borrow_mut().pop_front();
            if let Some(next) = next {
                let _ = next.send(Ok(slot));
            }
        }
    }

    /// A request is done with its stream.
    fn stream_left(self: &Rc<Self>, connection: &Rc<Connection>) {
        if !self.multiplexed.waiting.borrow().is_empty() {
            self.hand_out();
        }
        if connection.streams.get() > 0 || !self.takes_streams(connection) {
            return;
        }
        let enough = self.shared.idle().load(Ordering::Relaxed) >= self.limits().idle;
        if enough || self.shared.is_contended() {
            self.forget(connection);
            return;
        }
        connection.idle_since.set(Some(self.now()));
        self.shared.idle().fetch_add(1, Ordering::Relaxed);
        self.metrics.connection_left(ConnectionState::Active);
        self.metrics.connection_entered(ConnectionState::Idle);
    }

    fn takes_streams(&self, connection: &Rc<Connection>) -> bool {
        self.multiplexed.connections.borrow().iter().any(|known| Rc::ptr_eq(known, connection))
    }

    fn is_idle_no_more(&self, connection: &Connection) {
        if connection.idle_since.take().is_some() {
            self.count_taken(1);
        }
    }

    /// Gives it no more streams. Without any, it ends.
    fn forget(&self, connection: &Rc<Connection>) {
        self.multiplexed.connections.borrow_mut().retain(|known| !Rc::ptr_eq(known, connection));
        self.is_idle_no_more(connection);
    }

    /// Closes connections of which this is true.
    pub(in crate::upstream) fn close_streams_where(&self, is_unwanted: impl Fn(Option<Instant>) -> bool) {
        let mut closed = Vec::new();
        self.multiplexed.connections.borrow_mut().retain(|connection| {
            let is_unwanted = is_unwanted(connection.idle_since.get()) || connection.room().is_none();
            if is_unwanted {
                closed.push(Rc::clone(connection));
            }
            !is_unwanted
        });
        for connection in closed {
            self.is_idle_no_more(&connection);
        }
    }
}

/// Drives a connection to its end. It ends when the engine says so, or when nobody holds it any more.
async fn drive(home: Rc<WorkerEndpoint>, connection: Rc<Connection>, driver: Driver, counted: Counted) {
    // Not held across the wait: a connection that nobody else holds is to end.
    let connection = {
        let weak = Rc::downgrade(&connection);
        drop(connection);
        weak
    };
    if let Err(error) = pin!(driver).await {
        tracing::debug!(endpoint = home.shared.label, %error, "connection ended");
    }
    if let Some(connection) = connection.upgrade() {
        home.forget(&connection);
    }
    drop(counted);
}

/// The same once more: those who wait for one connection all hear why there is none.
fn same(error: &UpstreamError) -> UpstreamError {
    match error {
        UpstreamError::Connect { endpoint, source } => UpstreamError::Connect {
            endpoint: endpoint.clone(),
            source: io::Error::new(source.kind(), source.to_string()),
        },
        UpstreamError::ConnectTimeout { endpoint, after } => {
            UpstreamError::ConnectTimeout { endpoint: endpoint.clone(), after: *after }
        }
        // Nothing else happens while a connection is being made.
        other => {
            UpstreamError::Connect { endpoint: String::new(), source: io::Error::other(other.to_string()) }
        }
    }
}
