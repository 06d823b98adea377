//! The bodies that pass: counted, limited, and never kept.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use crate::net::activity::{Activity, Phase, Stall};
use crate::net::http1::inbound::{Broken, Inbound};
use crate::proxy::record::Record;
use crate::telemetry::kinds::{CloseReason, UpstreamFailure};
use crate::upstream::answer::Answer;
use crate::upstream::client::BoxError;
use crate::upstream::error::AnswerError;
use crate::upstream::h2::upload::Unread;

/// Why a request's body broke off.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It grew beyond `limits.body_bytes`.
    #[error("request body exceeds {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// The client hung up in the middle of it.
    #[error("request body broke off")]
    Cut,
    /// It broke the rules of HTTP.
    #[error("request body is malformed")]
    Malformed(#[source] BoxError),
}

impl From<Broken> for BodyError {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Cut => Self::Cut,
            Broken::Faulty(fault) => Self::Malformed(fault.into()),
        }
    }
}

impl From<hyper::Error> for BodyError {
    fn from(error: hyper::Error) -> Self {
        if error.is_incomplete_message() || error.is_closed() {
            Self::Cut
        } else {
            Self::Malformed(error.into())
        }
    }
}

/// A request's body as its connection reads it.
#[derive(Debug)]
pub enum ClientBody {
    /// There is none.
    Nothing,
    /// Over HTTP/1.
    Http1(Inbound),
    /// Over HTTP/2.
    Http2(Incoming),
}

impl ClientBody {
    fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self {
            Self::Nothing => Poll::Ready(None),
            Self::Http1(inbound) => Pin::new(inbound).poll_frame(context).map_err(BodyError::from),
            Self::Http2(incoming) => Pin::new(incoming).poll_frame(context).map_err(BodyError::from),
        }
    }

    /// Whether nothing comes any more.
    pub fn is_end_stream(&self) -> bool {
        match self {
            Self::Nothing => true,
            Self::Http1(inbound) => inbound.is_end_stream(),
            Self::Http2(incoming) => incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Nothing => SizeHint::with_exact(0),
            Self::Http1(inbound) => inbound.size_hint(),
            Self::Http2(incoming) => incoming.size_hint(),
        }
    }
}

/// What a client sends, on its way to an engine.
pub struct RequestBody {
    incoming: ClientBody,
    /// `None` once the last byte has passed.
    watched: Option<Watched>,
    /// The first part, when it was put back. Boxed: rare, and a body is moved about with every request.
    unread: Option<Box<Bytes>>,
}

struct Watched {
    activity: Arc<Activity>,
    /// Bytes that may come, and those of them that have not come yet.
    allowance: Option<(u64, u64)>,
    /// How long the engine may take for each part, and then to answer.
    response_timeout: Duration,
    received: Arc<AtomicU64>,
}

impl RequestBody {
    /// Watches over a body. `limit` is in bytes.
    pub fn new(incoming: ClientBody, activity: &Arc<Activity>, limit: Option<u64>) -> Self {
        if incoming.is_end_stream() {
            return Self::none();
        }
        let watched = Watched {
            activity: Arc::clone(activity),
            allowance: limit.map(|limit| (limit, limit)),
            response_timeout: Duration::MAX,
            received: Arc::default(),
        };
        Self { incoming, watched: Some(watched), unread: None }
    }

    /// An engine is asked: it may take so long for each part, and then to answer.
    pub fn ask(&mut self, response_timeout: Duration) {
        if let Some(watched) = &mut self.watched {
            watched.response_timeout = response_timeout;
        }
    }

    /// No body.
    pub const fn none() -> Self {
        Self { incoming: ClientBody::Nothing, watched: None, unread: None }
    }

    /// Whether all of it has come, so that the next turn is the engine's.
    pub fn has_come(&self) -> bool {
        self.watched.is_none()
    }

    /// Where the bytes that have come are counted; `None` for a request without a body.
    pub fn received(&self) -> Option<Arc<AtomicU64>> {
        self.watched.as_ref().map(|watched| Arc::clone(&watched.received))
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        if let Some(part) = this.unread.take() {
            if let Some(watched) = &this.watched {
                watched.activity.set_step_deadline(Some(watched.response_timeout));
            }
            return Poll::Ready(Some(Ok(Frame::data(*part))));
        }
        let polled = this.incoming.poll_frame(context);
        let Some(watched) = &mut this.watched else { return polled };
        match &polled {
            // The client's turn.
            Poll::Pending => {
                watched.activity.await_client();
                watched.activity.set_step_deadline(None);
            }
            Poll::Ready(Some(Ok(frame))) => {
                watched.activity.heard_client();
                // The engine's turn, to take this part.
                watched.activity.set_step_deadline(Some(watched.response_timeout));
                if let Some(data) = frame.data_ref() {
                    let length = data.len() as u64;
                    watched
                        .received
                        .store(watched.received.load(Ordering::Relaxed) + length, Ordering::Relaxed);
                    if let Some((limit, left)) = &mut watched.allowance {
                        match left.checked_sub(length) {
                            Some(rest) => *left = rest,
                            None => return Poll::Ready(Some(Err(BodyError::TooLarge { limit: *limit }))),
                        }
                    }
                }
            }
            Poll::Ready(None | Some(Err(_))) => {}
        }
        if this.incoming.is_end_stream() || matches!(polled, Poll::Ready(None)) {
            watched.activity.enter(Phase::Answer);
            watched.activity.set_step_deadline(Some(watched.response_timeout));
            this.watched = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.unread.is_none() && self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.incoming.size_hint();
        match (&self.unread, rest.exact()) {
            (Some(unread), Some(rest)) => SizeHint::with_exact(rest + unread.len() as u64),
            (Some(_), None) => SizeHint::default(),
            (None, _) => rest,
        }
    }
}

impl Unread for RequestBody {
    fn unread(&mut self, part: Bytes) {
        self.unread = Some(Box::new(part));
    }
}

/// What we answer with: an engine's body, or a page of ours.
pub struct ResponseBody {
    content: Content,
    /// Notices when an engine stops sending.
    activity: Arc<Activity>,
    /// Told when the last byte has gone, or when nobody wants it any more.
    record: Box<Record>,
}

/// Where the bytes come from.
pub enum Content {
    /// There are none.
    Empty,
    /// A page of ours.
    Page(Bytes),
    /// An engine.
    Engine {
        /// The engine's body.
        answer: Answer<RequestBody>,
        /// How long the engine may take for each part.
        idle_timeout: Duration,
    },
}

/// Why a response's body broke off: the connection to the client is cut, so that it cannot mistake a part for
/// the whole.
#[derive(Debug, thiserror::Error)]
pub enum ResponseBodyError {
    /// The engine broke off.
    #[error("upstream broke off in the middle of the response")]
    Broken(#[source] AnswerError),
    /// The engine stopped sending.
    #[error("upstream stopped in the middle of the response")]
    Late,
}

impl ResponseBody {
    /// A body, and what is told at its end.
    pub fn new(content: Content, activity: &Arc<Activity>, record: Box<Record>) -> Self {
        Self { content, activity: Arc::clone(activity), record }
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        // The next thing the client owes us is another request; a tunnel owes nothing.
        if self.activity.phase() != Phase::Tunnel {
            self.activity.enter(Phase::Idle);
        }
        self.activity.set_exchange_deadline(None);
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = ResponseBodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ResponseBodyError>>> {
        let Self { content, activity, record } = &mut *self;
        // An engine that always has more must not outlast the limit of the whole.
        if matches!(content, Content::Engine { .. }) && activity.stall() == Some(Stall::Exchange) {
            *content = Content::Empty;
            activity.end(CloseReason::RequestTimeout);
            return Poll::Ready(Some(Err(ResponseBodyError::Late)));
        }
        match content {
            Content::Empty => Poll::Ready(None),
            Content::Page(_) => {
                let Content::Page(page) = std::mem::replace(content, Content::Empty) else {
                    return Poll::Ready(None);
                };
                record.sent(page.len());
                Poll::Ready(Some(Ok(Frame::data(page))))
            }
            Content::Engine { answer, idle_timeout } => match Pin::new(answer).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => {
                    activity.set_step_deadline(None);
                    // A client that listens need not speak: only silence of both is a stall.
                    activity.heard_client();
                    if let Some(data) = frame.data_ref() {
                        record.sent(data.len());
                    } else if let Some(trailers) = frame.trailers_ref() {
                        record.trailed(trailers);
                    }
                    Poll::Ready(Some(Ok(frame)))
                }
                Poll::Ready(Some(Err(error))) => {
                    *content = Content::Empty;
                    match &error {
                        AnswerError::Cut
                        | AnswerError::Io(_)
                        | AnswerError::Malformed(_)
                        | AnswerError::Http2(_) => {
                            record.broke_off(UpstreamFailure::BodyBroken);
                        }
                        AnswerError::RequestBody(_) => {}
                    }
                    Poll::Ready(Some(Err(ResponseBodyError::Broken(error))))
                }
                Poll::Ready(None) => Poll::Ready(None),
                Poll::Pending => match activity.stall() {
                    Some(stall @ (Stall::Step | Stall::Exchange | Stall::Body)) => {
                        *content = Content::Empty;
                        match stall {
                            Stall::Exchange => activity.end(CloseReason::RequestTimeout),
                            Stall::Body => activity.end(CloseReason::SlowBody),
                            // Only a late step is the engine's fault.
                            _ => record.broke_off(UpstreamFailure::BodyTimeout),
                        }
                        Poll::Ready(Some(Err(ResponseBodyError::Late)))
                    }
                    Some(Stall::Idle | Stall::Head | Stall::Reader | Stall::Tunnel) | None => {
                        activity.begin_step(*idle_timeout);
                        Poll::Pending
                    }
                },
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Empty => true,
            Content::Page(_) => false,
            Content::Engine { answer, .. } => answer.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Empty => SizeHint::with_exact(0),
            Content::Page(page) => SizeHint::with_exact(page.len() as u64),
            Content::Engine { answer, .. } => answer.size_hint(),
        }
    }
}
