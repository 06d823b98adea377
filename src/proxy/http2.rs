//! Serves one downstream connection that speaks HTTP/2 (RFC 9113).
//!
//! Every stream is a task of its own with an [`Activity`] of its own; the connection's tells only whether it is idle, and
//! whether anybody takes what we write. A client that opens no window for a stream takes nothing of it, though its
//! connection may be busy: that is for the stream's own to tell.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::error::Error as _;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::spawn_local;

use crate::config::model::Limits;
use crate::net::activity::{Activity, Phase, Stall};
use crate::net::stream::Stream;
use crate::net::watched::Watched;
use crate::proxy::body::{ClientBody, ResponseBody, ResponseBodyError};
use crate::proxy::conn::Downstream;
use crate::proxy::context::WorkerContext;
use crate::proxy::handle::{Received, handle};
use crate::proxy::panic;
use crate::proxy::upgrade::OnClient;
use crate::telemetry::kinds::{CloseReason, FloodKind};

/// What one stream may send before we have passed it on. Enough for 200 Mbit/s over 40 ms.
const STREAM_WINDOW: u32 = 1024 * 1024;

/// What all streams of a connection may: the most that a client can make us hold for it.
const CONNECTION_WINDOW: u32 = 4 * 1024 * 1024;

/// What one stream may have waiting to be written.
const SEND_BUFFER: usize = 64 * 1024;

/// Streams that were reset before we saw to them: more than [`Frames`](crate::net::frames) lets through at once, which
/// counts what it cuts off (CVE-2023-44487).
const PENDING_RESETS: usize = 1000;

/// Activities of streams that are over are looked at so many at a time.
const LOOKED_AT: usize = 4;

/// Serves a connection to its end. Cannot fail: what goes wrong is told, and closes the connection.
pub(super) async fn serve<T>(stream: Stream<T>, downstream: Rc<Downstream>, limits: &Limits)
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let worker = Rc::clone(&downstream.worker);
    let activity = Arc::clone(&downstream.activity);
    let metrics = Arc::clone(&downstream.door.metrics);
    activity.enter(Phase::Between);
    let streams = Rc::new(Streams {
        timeouts: (limits.header_timeout, limits.idle_timeout),
        worker: Rc::clone(&worker),
        activity: Arc::clone(&activity),
        open: Cell::new(0),
        begun: Cell::default(),
        used: RefCell::default(),
    });
    let service = service_fn({
        let streams = Rc::clone(&streams);
        move |mut request: Request<Incoming>| {
            let activity = streams.begin();
            let on_client = request.extensions_mut().remove::<OnUpgrade>().map(OnClient::Http2);
            let received = Received { request: Box::new(request.map(ClientBody::Http2)), on_client };
            // Boxed here: a stream's task is copied several times until it stands where it stays, and this is most of it.
            let answer = Box::pin(handle(Rc::clone(&downstream), Some(Arc::clone(&activity)), received));
            async move { Ok::<_, Infallible>(answer.await.map(|body| StreamBody::new(body, activity))) }
        }
    });
    let most = |limit: usize| u32::try_from(limit).unwrap_or(u32::MAX);
    let mut builder = http2::Builder::new(Streaming(streams));
    builder
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .max_concurrent_streams(most(limits.streams.get()))
        .max_header_list_size(most(limits.header_bytes))
        .max_pending_accept_reset_streams(PENDING_RESETS)
        .enable_connect_protocol();
    let stream = Watched::new(stream, Arc::clone(&metrics), limits.header_bytes);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let mut is_leaving = false;
    let ended = poll_fn(|context| {
        worker.ambient.expire();
        activity.stay_registered(context.waker());
        if worker.drain.has_begun() && !is_leaving {
            // GOAWAY: what has begun is finished, and nothing new begins.
            is_leaving = true;
            connection.as_mut().graceful_shutdown();
        }
        match connection.as_mut().poll(context) {
            // An error is told to the client by the connection itself.
            Poll::Ready(ended) => Poll::Ready(ended),
            Poll::Pending => match activity.stall() {
                Some(Stall::Idle) => {
                    activity.end(CloseReason::Idle);
                    Poll::Ready(Ok(()))
                }
                Some(Stall::Reader) => {
                    activity.end(CloseReason::SlowReader);
                    Poll::Ready(Ok(()))
                }
                Some(Stall::Head | Stall::Body | Stall::Tunnel | Stall::Step | Stall::Exchange) | None => {
                    Poll::Pending
                }
            },
        }
    })
    .await;
    if ended.is_err_and(|error| is_flood(&error)) {
        metrics.flooded(FloodKind::Other);
    }
}

/// Whether the protocol library ended the connection because it had enough.
fn is_flood(error: &hyper::Error) -> bool {
    let error = error.source().and_then(|source| source.downcast_ref::<h2::Error>());
    error.is_some_and(|error| error.is_library() && error.reason() == Some(h2::Reason::ENHANCE_YOUR_CALM))
}

/// The streams of one connection.
struct Streams {
    /// How long a head may take, and how long nothing may come.
    timeouts: (Duration, Duration),
    worker: Rc<WorkerContext>,
    /// The connection's.
    activity: Arc<Activity>,
    open: Cell<usize>,
    /// That of the request which was handed over last, until its task begins.
    begun: Cell<Option<Arc<Activity>>>,
    /// The streams' own, some of them over: those are used again.
    used: RefCell<VecDeque<Arc<Activity>>>,
}

impl Streams {
    /// One for a new stream, whose task is about to begin.
    fn begin(&self) -> Arc<Activity> {
        let activity = self.unused();
        self.begun.set(Some(Arc::clone(&activity)));
        activity
    }

    /// One that no stream uses.
    fn unused(&self) -> Arc<Activity> {
        let mut used = self.used.borrow_mut();
        for _ in 0..LOOKED_AT.min(used.len()) {
            let Some(first) = used.pop_front() else { break };
            used.push_back(Arc::clone(&first));
            // Held by the list, by the worker, and here.
            if Arc::strong_count(&first) <= 3 {
                first.renew();
                return first;
            }
        }
        let (head, idle) = self.timeouts;
        let activity = Activity::new(Arc::clone(&self.worker.clock), head, idle);
        self.worker.watch(&activity);
        used.push_back(Arc::clone(&activity));
        activity
    }

    fn began(&self) {
        if self.open.replace(self.open.get() + 1) == 0 {
            self.activity.enter(Phase::Answer);
        }
    }

    fn ended(&self) {
        self.open.set(self.open.get() - 1);
        if self.open.get() == 0 {
            self.activity.enter(Phase::Between);
        }
    }
}

/// Runs each stream as a task of this worker.
#[derive(Clone)]
struct Streaming(Rc<Streams>);

impl<F: Future<Output = ()> + 'static> Executor<F> for Streaming {
    fn execute(&self, stream: F) {
        let open = OpenStream::new(&self.0);
        // The other kind of task is the client's side of a tunnel: the tunnel's own watches over it.
        let activity = self.0.begun.take();
        spawn_local(async move {
            let mut stream = pin!(stream);
            // What panics outside a request, in a body for one, ends its stream and nothing else.
            let mut stream = pin!(panic::catch(stream.as_mut()));
            let ended = poll_fn(|context| {
                let Some(activity) = &activity else { return stream.as_mut().poll(context) };
                activity.stay_registered(context.waker());
                let polled = match stream.as_mut().poll(context) {
                    // Nobody takes what we send, or not fast enough for the limit of the whole: what is dropped here
                    // resets the stream.
                    Poll::Pending if matches!(activity.stall(), Some(Stall::Reader | Stall::Exchange)) => {
                        Poll::Ready(Ok(()))
                    }
                    polled => polled,
                };
                if polled.is_ready() {
                    activity.leave(context.waker());
                }
                polled
            })
            .await;
            if let Err(message) = ended {
                open.0.worker.panicked("a stream", &message);
            }
        });
    }
}

/// Keeps a stream counted.
struct OpenStream(Rc<Streams>);

impl OpenStream {
    fn new(streams: &Rc<Streams>) -> Self {
        streams.began();
        Self(Rc::clone(streams))
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.ended();
    }
}

/// A body on its stream. It is asked for more only when the client's window has room: as long as it is not asked, the
/// client takes nothing.
struct StreamBody {
    inner: ResponseBody,
    activity: Arc<Activity>,
}

impl StreamBody {
    fn new(inner: ResponseBody, activity: Arc<Activity>) -> Self {
        activity.note_write(false);
        Self { inner, activity }
    }
}

impl Body for StreamBody {
    type Data = Bytes;
    type Error = ResponseBodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ResponseBodyError>>> {
        self.activity.note_write(true);
        let polled = Pin::new(&mut self.inner).poll_frame(context);
        if polled.is_ready() {
            self.activity.note_write(false);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for StreamBody {
    fn drop(&mut self) {
        self.activity.note_write(true);
    }
}
