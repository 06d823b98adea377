//! Serves one downstream connection that speaks HTTP/2 (RFC 9113).
//!
//! Every stream is a task of its own with an [`Activity`] of its own; the connection's tells only whether it is idle, and
//! whether anybody takes what we write.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::spawn_local;

use crate::config::model::Limits;
use crate::net::activity::{Activity, Phase, Stall};
use crate::net::stream::Stream;
use crate::net::watched::Watched;
use crate::proxy::conn::Downstream;
use crate::proxy::context::WorkerContext;
use crate::proxy::handle::handle;

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
        used: RefCell::default(),
    });
    let service = service_fn({
        let streams = Rc::clone(&streams);
        move |request| {
            let activity = streams.activity();
            let answer = handle(Rc::clone(&downstream), Some(Arc::clone(&activity)), Box::new(request));
            async move {
                let mut answer = pin!(answer);
                poll_fn(|context| {
                    activity.stay_registered(context.waker());
                    answer.as_mut().poll(context)
                })
                .await
            }
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
    let mut connection = pin!(builder.serve_connection(TokioIo::new(Watched::new(stream, metrics)), service));
    let mut is_leaving = false;
    poll_fn(|context| {
        worker.ambient.expire();
        activity.stay_registered(context.waker());
        if worker.drain.has_begun() && !is_leaving {
            // GOAWAY: what has begun is finished, and nothing new begins.
            is_leaving = true;
            connection.as_mut().graceful_shutdown();
        }
        match connection.as_mut().poll(context) {
            // An error is told to the client by the connection itself.
            Poll::Ready(_) => Poll::Ready(()),
            Poll::Pending if matches!(activity.stall(), Some(Stall::Idle | Stall::Reader)) => Poll::Ready(()),
            Poll::Pending => Poll::Pending,
        }
    })
    .await;
}

/// The streams of one connection.
struct Streams {
    /// How long a head may take, and how long nothing may come.
    timeouts: (Duration, Duration),
    worker: Rc<WorkerContext>,
    /// The connection's.
    activity: Arc<Activity>,
    open: Cell<usize>,
    /// The streams' own, some of them over: those are used again.
    used: RefCell<VecDeque<Arc<Activity>>>,
}

impl Streams {
    /// One for a new stream.
    fn activity(&self) -> Arc<Activity> {
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
        spawn_local(async move {
            let _open = open;
            stream.await;
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
