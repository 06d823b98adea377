//! One request, sent once over one connection, and its response.
//!
//! A connection is driven by whoever uses it, and by nobody while it lies in the pool: before it is used again
//! it is asked whether it is still alive.

use std::error::Error as _;
use std::fmt;
use std::future::{Future as _, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Instant;

use atomic_waker::AtomicWaker;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http1::{Parts, SendRequest};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::OwnedSemaphorePermit;

use crate::decide::retry::Progress;
use crate::telemetry::kinds::ConnectionState;
use crate::upstream::connect::Driver;
use crate::upstream::error::UpstreamError;
use crate::upstream::pool::WorkerEndpoint;
use crate::upstream::stream::Meter;

/// An open connection to an endpoint, held by one request or by the pool.
pub struct Connection<B: Body + 'static> {
    sender: SendRequest<B>,
    /// `None` once it came to an end that left a request behind.
    driver: Option<Driver<B>>,
    /// Whether the driver has come to its end.
    ended: bool,
    /// The waker that the driver knows: always the same one, whoever uses the connection.
    waker: Waker,
    relay: Arc<Relay>,
    meter: Arc<Meter>,
    /// Whether it has carried a request before.
    pub reused: bool,
    /// When it was last put into the pool.
    pub(super) idle_since: Instant,
    counted: Counted<B>,
}

/// Passes wake-ups of a connection on to the task that uses it at the time. While the connection lies in the
/// pool there is none, and bytes or an end that arrive then wait for whoever takes it next.
#[derive(Default)]
struct Relay(AtomicWaker);

impl Wake for Relay {
    fn wake(self: Arc<Self>) {
        self.0.wake();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.wake();
    }
}

/// Keeps a connection counted among the open ones.
struct Counted<B: Body + 'static> {
    home: Rc<WorkerEndpoint<B>>,
    _permit: OwnedSemaphorePermit,
}

impl<B: Body + 'static> Drop for Counted<B> {
    fn drop(&mut self) {
        self.home.metrics.connection_left(ConnectionState::Active);
    }
}

/// Why a request was not answered, and the request itself when it was never begun.
pub struct Failed<B> {
    /// How it failed.
    pub error: UpstreamError,
    /// The request as it was given, when not one byte of it was written.
    pub unsent: Option<Request<B>>,
    /// Whether the connection had lain in the pool: then it may have been dead before the request.
    pub reused: bool,
}

impl<B> Connection<B>
where
    B: Body<Data = Bytes> + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    pub(super) fn new(
        (sender, driver, meter): (SendRequest<B>, Driver<B>, Arc<Meter>),
        home: Rc<WorkerEndpoint<B>>,
        permit: OwnedSemaphorePermit,
        now: Instant,
    ) -> Self {
        home.metrics.connection_entered(ConnectionState::Active);
        let relay = Arc::<Relay>::default();
        Self {
            sender,
            driver: Some(driver),
            ended: false,
            waker: Waker::from(Arc::clone(&relay)),
            relay,
            meter,
            reused: false,
            idle_since: now,
            counted: Counted { home, _permit: permit },
        }
    }

    /// Lets hyper move bytes, and has this task woken when there are more.
    fn drive(&mut self, context: &Context<'_>) {
        self.relay.0.register(context.waker());
        self.drive_now();
    }

    fn drive_now(&mut self) {
        if let Some(driver) = &mut self.driver
            && !self.ended
        {
            self.ended = driver.poll_without_shutdown(&mut Context::from_waker(&self.waker)).is_ready();
        }
    }

    /// Whether the connection can still carry a request, as far as is known without a system call.
    pub(super) fn seems_alive(&self) -> bool {
        !self.ended && self.sender.is_ready()
    }

    /// Whether the connection can still carry a request: what it has to say, it says now.
    pub(super) fn is_alive(&mut self) -> bool {
        self.drive_now();
        self.seems_alive()
    }

    /// As [`Connection::is_alive`], and asks the socket itself, which costs a system call: for requests that
    /// could not be repeated.
    pub(super) fn is_certainly_alive(&mut self) -> bool {
        self.meter.look_closely();
        self.is_alive()
    }

    /// Sends the request and waits for the head of the response. The answer's body brings the connection back
    /// to the pool with its last byte.
    pub async fn send(mut self, request: Request<B>) -> Result<Response<Answer<B>>, Failed<B>> {
        let (read_before, written_before) = self.meter.totals();
        self.meter.expect_head();
        let mut response = pin!(self.sender.try_send_request(request));
        let outcome = poll_fn(|context| {
            self.drive(context);
            // Whatever the response waits for happens in the driver: it needs no waker of its own, and one would
            // only wake this task while it runs.
            let polled = response.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            if polled.is_pending() && self.ended {
                // The engine had hung up before the request was looked at: the driver's queue gives it back.
                self.driver = None;
                return response.as_mut().poll(context);
            }
            polled
        })
        .await;
        let interim = self.meter.take_interim();
        if interim > 0 {
            self.counted.home.metrics.record_interim(interim);
        }
        match outcome {
            Ok(response) => {
                let switches = response.status() == StatusCode::SWITCHING_PROTOCOLS;
                let mut response = response.map(|incoming| Answer { incoming, connection: Some(self) });
                if !switches && response.body().is_end_stream() {
                    // Nobody polls a body without bytes.
                    response.body_mut().release();
                }
                Ok(response)
            }
            Err(mut failure) => {
                let unsent = failure.take_message();
                let (read, written) = self.meter.totals();
                let progress = if read > read_before {
                    Progress::Answering
                } else if unsent.is_some() || written == written_before {
                    Progress::NothingWritten
                } else {
                    Progress::Written
                };
                let error = self.classify(failure.into_error(), progress);
                Err(Failed { error, unsent, reused: self.reused })
            }
        }
    }

    fn classify(&self, source: hyper::Error, progress: Progress) -> UpstreamError {
        let endpoint = self.counted.home.shared.label.clone();
        if source.is_user() {
            UpstreamError::RequestBody { source }
        } else if source.is_parse() {
            UpstreamError::Malformed { endpoint, source }
        } else {
            UpstreamError::ClosedEarly { endpoint, progress, source }
        }
    }

    /// Gives the connection back to its pool, or closes it when it cannot be used again.
    fn release(mut self) {
        // With the last byte the exchange is usually over for hyper, too; if not, it may need one more look.
        if self.seems_alive() || self.is_alive() {
            self.relay.0.take();
            self.reused = true;
            let home = Rc::clone(&self.counted.home);
            home.put_back(self);
        }
    }
}

impl<B: Body + 'static> fmt::Debug for Connection<B> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Connection({})", self.counted.home.shared.label)
    }
}

/// The body of a response, and the connection that it comes from.
pub struct Answer<B: Body + 'static> {
    incoming: Incoming,
    /// `None` once the last byte was read, or the connection broke.
    connection: Option<Connection<B>>,
}

impl<B> Answer<B>
where
    B: Body<Data = Bytes> + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// The engine's half of a connection that has switched protocols (RFC 9110 15.2.2); `None` when it broke
    /// instead.
    pub async fn into_tunnel(mut self) -> Option<Tunnel<B>> {
        let mut connection = self.connection.take()?;
        poll_fn(|context| {
            connection.drive(context);
            if connection.ended { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        Some(Tunnel { driver: connection.driver?, counted: connection.counted })
    }

    fn release(&mut self) {
        if let Some(connection) = self.connection.take() {
            connection.release();
        }
    }
}

impl<B> Body for Answer<B>
where
    B: Body<Data = Bytes> + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = &mut *self;
        // See `send`: the driver does the waking. The body tells the driver that it is wanted, which would only
        // wake this task while it runs.
        if let Some(connection) = &this.connection {
            connection.relay.0.take();
        }
        let mut quiet = Context::from_waker(Waker::noop());
        let mut polled = Pin::new(&mut this.incoming).poll_frame(&mut quiet);
        if polled.is_pending()
            && let Some(connection) = &mut this.connection
        {
            connection.drive(context);
            polled = Pin::new(&mut this.incoming).poll_frame(&mut quiet);
        }
        match &polled {
            Poll::Ready(None) => this.release(),
            Poll::Ready(Some(Ok(_))) if this.incoming.is_end_stream() => this.release(),
            Poll::Ready(Some(Ok(_))) | Poll::Pending => {}
            Poll::Ready(Some(Err(_))) => this.connection = None,
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

/// The engine's half of a tunnel. The connection counts as open for as long as it lives.
pub struct Tunnel<B: Body + 'static> {
    driver: Driver<B>,
    counted: Counted<B>,
}

impl<B> Tunnel<B>
where
    B: Body<Data = Bytes> + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// The socket, what was read from it already, and what keeps the connection counted.
    pub fn into_parts(self) -> (impl AsyncRead + AsyncWrite + Unpin, Bytes, impl Sized) {
        let Parts { io, read_buf, .. } = self.driver.into_parts();
        (io.into_inner(), read_buf, self.counted)
    }
}

/// Whether an error of a request body is hidden in a chain of hyper's errors.
pub fn find_source<'e, E: std::error::Error + 'static>(error: &'e hyper::Error) -> Option<&'e E> {
    let mut source = error.source();
    while let Some(inner) = source {
        if let Some(found) = inner.downcast_ref::<E>() {
            return Some(found);
        }
        source = inner.source();
    }
    None
}
