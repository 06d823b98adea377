//! A request's body, on its way from the connection to whoever forwards it.
//!
//! Both ends are polled by the connection's own task, one after the other, so that nobody needs to be woken: the body
//! says that it wants more, and the connection reads only then. A client is never read faster than an engine takes it.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::net::strict::body::{BodyReader, Part};
use crate::net::strict::fault::Fault;

/// Why a body broke off.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Broken {
    /// The client hung up, or its connection broke.
    #[error("the client hung up")]
    Cut,
    /// It breaks the rules.
    #[error("{0}")]
    Faulty(#[from] Fault),
}

/// What both ends see.
#[derive(Debug)]
struct Shared {
    next: Option<Result<Frame<Bytes>, Broken>>,
    /// Nothing comes behind `next`.
    is_over: bool,
    left: Option<u64>,
    is_wanted: bool,
}

/// The end that is read.
#[derive(Debug)]
pub struct Inbound(Rc<RefCell<Shared>>);

/// The connection's end.
#[derive(Debug)]
pub struct Feed {
    shared: Rc<RefCell<Shared>>,
    /// Reads the body from what was received.
    pub reader: BodyReader,
    /// Whether the client waits for a 100 before it sends anything.
    is_awaited: bool,
}

/// Both ends of a body that `reader` reads.
pub fn pair(reader: BodyReader, expects_continue: bool) -> (Feed, Inbound) {
    let shared =
        Rc::new(RefCell::new(Shared { next: None, is_over: false, left: reader.left(), is_wanted: false }));
    (Feed { shared: Rc::clone(&shared), reader, is_awaited: expects_continue }, Inbound(shared))
}

impl Feed {
    /// Whether nothing more will be given: the body was read to its end, or is broken.
    pub fn is_over(&self) -> bool {
        self.shared.borrow().is_over
    }

    /// Whether nobody will ask for more.
    pub fn is_abandoned(&self) -> bool {
        Rc::strong_count(&self.shared) == 1
    }

    /// Whether the body is waited for.
    pub fn is_wanted(&self) -> bool {
        self.shared.borrow().is_wanted
    }

    /// Whether a client that waits for a 100 is to get it now (RFC 9110 10.1.1): once, and not if it has begun to send.
    pub const fn invites(&mut self, has_begun: bool) -> bool {
        let is_awaited = self.is_awaited;
        self.is_awaited = false;
        is_awaited && !has_begun
    }

    /// Whether the client still waits for a 100: then nobody knows whether its body will come.
    pub const fn is_awaited(&self) -> bool {
        self.is_awaited
    }

    /// Hands on what was read.
    pub fn give(&self, part: Result<Part, Fault>) {
        let next = match part {
            Ok(Part::Data(data)) => Some(Ok(Frame::data(data))),
            Ok(Part::Trailers(trailers)) => Some(Ok(Frame::trailers(trailers))),
            Ok(Part::More | Part::End) => None,
            Err(fault) => Some(Err(Broken::Faulty(fault))),
        };
        let is_broken = matches!(next, Some(Err(_)));
        self.hand_on(next, is_broken || self.reader.is_done());
    }

    /// The client hung up in the middle.
    pub fn cut(&self) {
        self.hand_on(Some(Err(Broken::Cut)), true);
    }

    fn hand_on(&self, next: Option<Result<Frame<Bytes>, Broken>>, is_over: bool) {
        let mut shared = self.shared.borrow_mut();
        shared.next = next;
        shared.is_over = is_over;
        shared.left = self.reader.left();
        shared.is_wanted = false;
    }
}

impl Body for Inbound {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let mut shared = self.0.borrow_mut();
        if let Some(next) = shared.next.take() {
            return Poll::Ready(Some(next));
        }
        if shared.is_over {
            return Poll::Ready(None);
        }
        shared.is_wanted = true;
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        let shared = self.0.borrow();
        shared.is_over && shared.next.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let shared = self.0.borrow();
        // What was handed on and not taken is part of it.
        let waiting = match &shared.next {
            Some(Ok(frame)) => frame.data_ref().map_or(0, |data| data.len() as u64),
            Some(Err(_)) | None => 0,
        };
        shared.left.map_or_else(SizeHint::default, |left| SizeHint::with_exact(left + waiting))
    }
}
