//! Serves one downstream connection that speaks HTTP/1: one request after the other.
//!
//! The connection's task does everything in turn: it reads a head, has it answered, hands on the body where somebody
//! waits for it, and writes the answer. Nothing passes through a channel, and nobody else is woken.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use http::{Method, Request, StatusCode};
use http_body::Body as _;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;
use tracing::debug;

use crate::config::model::Limits;
use crate::net::activity::Stall;
use crate::net::http1::encode::{Asked, Coding, write_bare, write_head};
use crate::net::http1::inbound::{self, Feed};
use crate::net::http1::{Heard, NoHead, Wire};
use crate::net::stream::{Stalled, Stream};
use crate::net::strict::body::BodyReader;
use crate::net::strict::head::{Framing, Head, HeadReader, Refused};
use crate::proxy::body::{ClientBody, ResponseBody};
use crate::proxy::conn::Downstream;
use crate::proxy::handle::{Received, handle};
use crate::proxy::panic;
use crate::proxy::upgrade::{Client, OnClient};
use crate::telemetry::kinds::{AnswerKind, CloseReason};

/// Serves a connection to its end. Cannot fail: what goes wrong is told, and closes the connection.
pub(super) async fn serve<T>(stream: Stream<T>, downstream: Rc<Downstream>, limits: &Limits)
where
    T: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let worker = Rc::clone(&downstream.worker);
    let activity = Arc::clone(&downstream.activity);
    let connection = Connection {
        wire: Wire::new(stream, Arc::clone(&activity), Rc::clone(&worker.spare)),
        heads: HeadReader::new(limits.header_bytes, limits.headers),
        most: (limits.header_bytes, limits.headers),
        downstream,
    };
    let mut connection = pin!(connection.serve());
    // What panics outside a request, in a body for one, ends its connection and nothing else.
    let mut connection = pin!(panic::catch(connection.as_mut()));
    poll_fn(|context| {
        worker.ambient.expire();
        activity.stay_registered(context.waker());
        match connection.as_mut().poll(context) {
            Poll::Ready(Ok(())) => Poll::Ready(()),
            Poll::Ready(Err(message)) => {
                worker.panicked("a connection", &message);
                Poll::Ready(())
            }
            // Nobody takes what we send, or not fast enough for the limit of the whole.
            Poll::Pending => match activity.stall() {
                Some(Stall::Reader) => {
                    activity.end(CloseReason::SlowReader);
                    Poll::Ready(())
                }
                Some(Stall::Exchange) => {
                    activity.end(CloseReason::RequestTimeout);
                    Poll::Ready(())
                }
                Some(Stall::Idle | Stall::Head | Stall::Body | Stall::Tunnel | Stall::Step) | None => {
                    Poll::Pending
                }
            },
        }
    })
    .await;
}

/// Whether a read ended because a head took too long.
pub(super) fn is_slow_head(error: &io::Error) -> bool {
    let stalled = error.get_ref().and_then(|inner| inner.downcast_ref::<Stalled>());
    matches!(stalled, Some(Stalled(Stall::Head)))
}

/// What comes after an exchange.
enum Next {
    /// The next request.
    Request,
    /// The end, with a client that has said all that it had to say, or `is_sending` more.
    Close { is_sending: bool },
    /// The end, in the middle: the client must not mistake a part for the whole.
    Cut,
    /// Another protocol.
    Tunnel(oneshot::Sender<Client>),
}

struct Connection<T> {
    wire: Wire<T>,
    heads: HeadReader,
    /// Bytes and lines that a head may have, and trailers.
    most: (usize, usize),
    downstream: Rc<Downstream>,
}

impl<T: AsyncRead + AsyncWrite + Unpin + 'static> Connection<T> {
    async fn serve(mut self) {
        loop {
            let head = poll_fn(|context| self.wire.poll_head(context, &mut self.heads)).await;
            let next = match head {
                Ok(head) => self.exchange(head).await,
                Err(NoHead::Ended) => Next::Close { is_sending: false },
                Err(NoHead::Refused(refused)) => self.refuse(refused).await,
                Err(NoHead::Broken(error)) => {
                    if is_slow_head(&error) {
                        self.downstream.refuse(AnswerKind::SlowRequest);
                    }
                    Next::Cut
                }
            };
            match next {
                Next::Request => {}
                Next::Close { is_sending } => return self.wire.close(is_sending).await,
                Next::Cut => return,
                Next::Tunnel(opened) => {
                    // Fails when the engine is gone already.
                    let _ = opened.send(Box::new(self.wire.into_tunnel()));
                    return;
                }
            }
        }
    }

    /// Answers what never became a request: bare, since nobody knows what the client understands.
    async fn refuse(&mut self, refused: Refused) -> Next {
        let (kind, status) = match refused {
            Refused::Faulty(fault) => {
                debug!(%fault, "malformed request refused");
                (AnswerKind::Malformed, StatusCode::BAD_REQUEST)
            }
            Refused::TooLarge => (AnswerKind::HeadTooLarge, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE),
            Refused::TargetTooLong => (AnswerKind::HeadTooLarge, StatusCode::URI_TOO_LONG),
        };
        let Downstream { worker, activity, .. } = &*self.downstream;
        write_bare(self.wire.out(), status, &worker.date.at(worker.ambient.moment().wall));
        self.downstream.refuse(kind);
        activity.end(CloseReason::Refused);
        match poll_fn(|context| self.wire.poll_flush(context)).await {
            Ok(()) => Next::Close { is_sending: true },
            Err(_) => Next::Cut,
        }
    }

    /// Has one request answered.
    async fn exchange(&mut self, head: Head) -> Next {
        let Head { method, uri, version, headers, framing, keeps_alive, .. } = head;
        let (mut feed, body) = match framing {
            Framing::Nothing => (None, ClientBody::Nothing),
            Framing::Length(_) | Framing::Chunked => {
                let (bytes, lines) = self.most;
                let (feed, body) =
                    inbound::pair(BodyReader::new(framing, bytes, lines), head.expects_continue);
                (Some(feed), ClientBody::Http1(body))
            }
        };
        let (opens, on_client) = if head.wants_upgrade {
            let (opens, opened) = oneshot::channel();
            (Some(opens), Some(OnClient::Http1(opened)))
        } else {
            (None, None)
        };
        let (is_head, takes_trailers) = (method == Method::HEAD, head.takes_trailers);
        let mut request = Box::new(Request::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.version_mut() = version;
        *request.headers_mut() = headers;

        let response = {
            let mut answering =
                pin!(handle(Rc::clone(&self.downstream), None, Received { request, on_client }));
            poll_fn(|context| {
                loop {
                    if let Poll::Ready(response) = answering.as_mut().poll(context) {
                        return Poll::Ready(Some(response));
                    }
                    match self.wire.poll_heard(context, feed.as_mut()) {
                        Poll::Ready(Heard::More) => {}
                        Poll::Ready(Heard::Gone) => return Poll::Ready(None),
                        Poll::Pending => return Poll::Pending,
                    }
                }
            })
            .await
        };
        let Some(response) = response else { return Next::Cut };
        let (head, body) = response.into_parts();
        let worker = &self.downstream.worker;
        let date = worker.date.at(worker.ambient.moment().wall);
        // What of the body is not out of the way by now may never be: then the answer says that it is the last
        // (RFC 9112 9.6). A client that was not asked for its body by now is not asked any more.
        let is_last = match &mut feed {
            Some(feed) if feed.is_abandoned() => {
                !poll_fn(|context| Poll::Ready(self.wire.skip(feed, context))).await
            }
            Some(feed) => !feed.reader.is_done(),
            None => false,
        };
        let keeps_alive = keeps_alive && !is_last;
        let mut listens = feed.as_mut().filter(|feed| !feed.is_awaited() && !feed.is_abandoned());
        let asked = Asked { is_head, version, keeps_alive, takes_trailers, date: &date };
        let (coding, keeps_alive) = write_head(self.wire.out(), &head, &body.size_hint(), &asked);
        if !self.send(body, coding, &mut listens).await {
            return Next::Cut;
        }
        if head.status == StatusCode::SWITCHING_PROTOCOLS {
            // What is left of a body is no first word of a tunnel.
            let is_read = feed.is_none_or(|feed| feed.reader.is_done());
            return opens.filter(|_| is_read).map_or(Next::Cut, Next::Tunnel);
        }
        let is_read = match &mut feed {
            None => true,
            Some(feed) => poll_fn(|context| Poll::Ready(self.wire.skip(feed, context))).await,
        };
        if keeps_alive && is_read { Next::Request } else { Next::Close { is_sending: !is_read } }
    }

    /// Writes an answer to its end, and listens to the client meanwhile. Whether all of it went out.
    async fn send(&mut self, body: ResponseBody, mut coding: Coding, feed: &mut Option<&mut Feed>) -> bool {
        let mut body = (coding != Coding::Nothing).then_some(body);
        let wire = &mut self.wire;
        poll_fn(|context| {
            loop {
                while let Some(sending) = body.as_mut().filter(|_| wire.has_room()) {
                    let frame = if sending.is_end_stream() {
                        None
                    } else {
                        match Pin::new(sending).poll_frame(context) {
                            Poll::Ready(frame) => frame,
                            Poll::Pending => break,
                        }
                    };
                    match frame.transpose().ok().and_then(|frame| wire.put(&mut coding, frame).ok()) {
                        Some(true) => {}
                        Some(false) => body = None,
                        None => {
                            // What has come of it goes out, as far as there is room.
                            let _ = wire.poll_flush(context);
                            return Poll::Ready(false);
                        }
                    }
                }
                if wire.has_output() {
                    match wire.poll_flush(context) {
                        Poll::Ready(Ok(())) => continue,
                        Poll::Ready(Err(_)) => return Poll::Ready(false),
                        Poll::Pending => {}
                    }
                } else if body.is_none() {
                    return Poll::Ready(true);
                }
                match wire.poll_heard(context, feed.as_deref_mut()) {
                    Poll::Ready(Heard::More) => {}
                    Poll::Ready(Heard::Gone) => return Poll::Ready(false),
                    Poll::Pending => return Poll::Pending,
                }
            }
        })
        .await
    }
}
