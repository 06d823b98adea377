//! Serves one downstream connection that speaks HTTP/1.

use std::error::Error;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::config::model::Limits;
use crate::net::activity::Stall;
use crate::net::stream::{Stalled, Stream};
use crate::net::strict::Strict;
use crate::proxy::conn::Downstream;
use crate::proxy::handle::handle;
use crate::proxy::panic;
use crate::telemetry::kinds::{AnswerKind, CloseReason};

/// The largest read buffer of a downstream connection; a head may be as large as `limits.header_bytes` anyway.
const READ_BUFFER_BYTES: usize = 64 * 1024;

/// Serves a connection to its end. Cannot fail: what goes wrong is told, and closes the connection.
pub(super) async fn serve<T>(stream: Stream<T>, downstream: Rc<Downstream>, limits: &Limits)
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let worker = Rc::clone(&downstream.worker);
    let activity = Arc::clone(&downstream.activity);
    let stream = Strict::new(stream, Arc::clone(&activity), limits.header_bytes);
    let service = service_fn({
        let downstream = Rc::clone(&downstream);
        move |request| handle(Rc::clone(&downstream), None, Box::new(request))
    });
    let connection = http1::Builder::new()
        // One buffer for head and small body. Not `pipeline_flush`, which implies it: that holds back what was
        // written, also a 400, for as long as more lies in the read buffer, and buffers bodies without a bound.
        .writev(false)
        .max_buf_size(READ_BUFFER_BYTES.max(limits.header_bytes))
        .max_header_size(limits.header_bytes)
        .max_headers(limits.headers)
        // Ours is `Activity`: hyper's timer would cost two timer operations per request.
        .header_read_timeout(None)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    // What panics outside a request, in a body for one, ends its connection and nothing else.
    let mut connection = pin!(panic::catch(connection.as_mut()));
    let ended = poll_fn(|context| {
        worker.ambient.expire();
        activity.stay_registered(context.waker());
        match connection.as_mut().poll(context) {
            Poll::Ready(Ok(ended)) => Poll::Ready(ended),
            Poll::Ready(Err(message)) => {
                worker.panicked("a connection", &message);
                Poll::Ready(Ok(()))
            }
            // Nobody takes what we send, or not fast enough for the limit of the whole.
            Poll::Pending => match activity.stall() {
                Some(Stall::Reader) => {
                    activity.end(CloseReason::SlowReader);
                    Poll::Ready(Ok(()))
                }
                Some(Stall::Exchange) => {
                    activity.end(CloseReason::RequestTimeout);
                    Poll::Ready(Ok(()))
                }
                Some(Stall::Idle | Stall::Head | Stall::Body | Stall::Tunnel | Stall::Step) | None => {
                    Poll::Pending
                }
            },
        }
    })
    .await;
    if let Err(error) = ended
        && let Some(kind) = refused_head(&error)
    {
        downstream.refuse(kind);
        // Where the head was slow, that is noted already, and stands.
        activity.end(CloseReason::Refused);
    }
}

/// The answer that a head got which never became a request: hyper or `net::stream` wrote it, bare, and closed.
fn refused_head(error: &hyper::Error) -> Option<AnswerKind> {
    if error.is_parse_too_large() {
        Some(AnswerKind::HeadTooLarge)
    } else if error.is_parse() {
        Some(AnswerKind::Malformed)
    } else {
        is_slow_head(find_source(error)?).then_some(AnswerKind::SlowRequest)
    }
}

/// Whether a read ended because a head took too long.
pub(super) fn is_slow_head(error: &std::io::Error) -> bool {
    let stalled = error.get_ref().and_then(|inner| inner.downcast_ref::<Stalled>());
    matches!(stalled, Some(Stalled(Stall::Head)))
}

/// An error of this type in a chain of hyper's.
fn find_source<E: Error + 'static>(error: &hyper::Error) -> Option<&E> {
    let mut source = error.source();
    while let Some(inner) = source {
        if let Some(found) = inner.downcast_ref::<E>() {
            return Some(found);
        }
        source = inner.source();
    }
    None
}
