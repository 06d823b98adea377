//! A request's body on its way into a stream, one part at a time: the next is asked for when the engine's window has
//! room and the one before is on its way.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use h2::{Reason, SendStream};
use http::{HeaderMap, HeaderName};
use http_body::{Body, Frame};

use crate::decide::headers::may_be_trailer;
use crate::upstream::client::{BoxError, declared_trailers};
use crate::upstream::head::RequestHead;

/// A request's body, of which a part can be put back.
pub trait Unread: Body<Data = Bytes> + Unpin {
    /// Puts the first part back, before anything else was taken: the engine has not looked at it, and another will.
    fn unread(&mut self, part: Bytes);
}

/// What is left to send of one request.
pub struct Upload<B> {
    body: B,
    stream: SendStream<Bytes>,
    trailers: Trailers,
    taken: Taken,
    state: State,
}

/// Which trailers pass.
#[derive(Debug)]
enum Trailers {
    /// Those that the head declared.
    Declared(Vec<HeaderName>),
    /// All that may be trailers: HTTP/2 asks for no declaration.
    All,
}

/// What was taken from the body. The part that it began with is kept until the engine answers: an engine that is going
/// away may say then that it has not looked at the request, and all of it must still be there.
#[derive(Debug)]
enum Taken {
    Nothing,
    First(Bytes),
    More,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    /// The body is being read and sent.
    Body,
    /// All of it was handed over.
    Done,
    /// The engine takes no more. It may still have something to say.
    Broken,
}

impl<B> Upload<B> {
    pub(super) fn new(body: B, stream: SendStream<Bytes>, head: &RequestHead) -> Self {
        let trailers = if head.undeclared_trailers {
            Trailers::All
        } else {
            Trailers::Declared(declared_trailers(&head.headers))
        };
        Self { body, stream, trailers, taken: Taken::Nothing, state: State::Body }
    }

    /// Whether everything was handed over.
    pub(super) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// The engine answers, so the request cannot be sent again.
    pub(super) fn is_answered(&mut self) {
        self.taken = Taken::More;
    }
}

impl<B: Unread> Upload<B> {
    /// The whole body, when no more than its first part was taken.
    pub(super) fn into_whole(self) -> Option<B> {
        let mut body = self.body;
        match self.taken {
            Taken::Nothing => Some(body),
            Taken::First(part) => {
                body.unread(part);
                Some(body)
            }
            Taken::More => None,
        }
    }
}

impl<B> Upload<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    /// Sends as much as the engine takes and the client has sent. Comes back when it must wait for either; the task is
    /// woken when it can go on. An error is the client's; its stream is cancelled.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Result<(), BoxError> {
        while self.state == State::Body {
            if !self.has_room(context) {
                return Ok(());
            }
            let frame = match Pin::new(&mut self.body).poll_frame(context) {
                Poll::Pending => return Ok(()),
                Poll::Ready(frame) => frame,
            };
            let sent = match frame.transpose() {
                Err(error) => {
                    self.state = State::Broken;
                    self.stream.send_reset(Reason::CANCEL);
                    return Err(error.into());
                }
                Ok(None) => self.end(Bytes::new()),
                Ok(Some(frame)) => self.send(frame),
            };
            if sent.is_err() {
                // The engine has reset the stream. Often it has answered first, and that answer is waiting.
                self.state = State::Broken;
            }
        }
        Ok(())
    }

    /// Whether the next part may be sent: the engine's window is open, and what was sent before has gone.
    fn has_room(&mut self, context: &mut Context<'_>) -> bool {
        self.stream.reserve_capacity(1);
        while self.stream.capacity() == 0 {
            match self.stream.poll_capacity(context) {
                Poll::Pending => return false,
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(Some(Err(_)) | None) => {
                    self.state = State::Broken;
                    return false;
                }
            }
        }
        true
    }

    fn send(&mut self, frame: Frame<Bytes>) -> Result<(), h2::Error> {
        match frame.into_data() {
            Ok(part) => {
                self.taken = match std::mem::replace(&mut self.taken, Taken::More) {
                    Taken::Nothing => Taken::First(part.clone()),
                    Taken::First(_) | Taken::More => Taken::More,
                };
                if self.body.is_end_stream() {
                    return self.end(part);
                }
                self.stream.send_data(part, false)
            }
            Err(frame) => match frame.into_trailers() {
                Ok(trailers) => {
                    self.taken = Taken::More;
                    let trailers = self.passing(trailers);
                    if trailers.is_empty() {
                        return self.end(Bytes::new());
                    }
                    self.state = State::Done;
                    self.stream.send_trailers(trailers)
                }
                // There is no third kind of frame yet.
                Err(_) => Ok(()),
            },
        }
    }

    fn end(&mut self, last: Bytes) -> Result<(), h2::Error> {
        self.state = State::Done;
        self.stream.send_data(last, true)
    }

    fn passing(&self, mut trailers: HeaderMap) -> HeaderMap {
        let passes = |name: &HeaderName| match &self.trailers {
            Trailers::Declared(names) => names.contains(name),
            Trailers::All => may_be_trailer(name),
        };
        let dropped: Vec<HeaderName> = trailers.keys().filter(|name| !passes(name)).cloned().collect();
        for name in dropped {
            trailers.remove(name);
        }
        trailers
    }
}

impl<B> std::fmt::Debug for Upload<B> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Upload").field("state", &self.state).finish_non_exhaustive()
    }
}
