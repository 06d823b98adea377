//! A request on its way into a connection: its head, then its body as it comes, never more than one part of it at
//! a time.

use std::io::IoSlice;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf as _, Bytes};
use http::{HeaderMap, HeaderName};
use http_body::{Body, Frame};
use tokio::io::AsyncWrite as _;

use crate::upstream::client::{BoxError, Connection, declared_trailers};
use crate::upstream::head::{Sending, write_line};

/// What is left to send of one request.
#[derive(Debug)]
pub struct Upload<B> {
    body: B,
    sending: Sending,
    /// The part that is being written, and what ends it.
    part: Bytes,
    tail: &'static [u8],
    /// Trailers that may be sent: those that the head declared.
    declared: Vec<HeaderName>,
    state: State,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    /// The head is being written; the body is untouched.
    Head,
    /// The body is being read and written.
    Body,
    /// The body was read to its end, and what is left of it is being written.
    Rest,
    /// Everything was written.
    Done,
    /// The engine takes no more. It may still have something to say.
    Broken,
}

/// Why a request could not be sent. That the engine takes no more is no error here: its response tells.
#[derive(Debug)]
pub(super) enum UploadError {
    /// The client's body broke off.
    Body(BoxError),
}

impl<B: Body<Data = Bytes>> Upload<B> {
    pub(super) fn new(body: B, headers: &HeaderMap) -> Self {
        let sending = Sending::of(&body);
        let declared = if sending == Sending::Chunked { declared_trailers(headers) } else { Vec::new() };
        Self { body, sending, part: Bytes::new(), tail: b"", declared, state: State::Head }
    }

    pub(super) fn sending(&self) -> Sending {
        self.sending
    }

    /// Whether everything was written.
    pub(super) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// The body, when nobody has looked at it.
    pub(super) fn into_untouched(self) -> Option<B> {
        (self.state == State::Head).then_some(self.body)
    }
}

impl<B> Upload<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    /// Writes as much as the connection takes and the client has sent. Comes back when it must wait for either;
    /// the task is woken when it can go on.
    pub(super) fn poll(
        &mut self,
        connection: &mut Connection,
        context: &mut Context<'_>,
    ) -> Result<(), UploadError> {
        loop {
            if matches!(self.state, State::Done | State::Broken) {
                return Ok(());
            }
            if !self.flush(connection, context) {
                return Ok(());
            }
            match self.state {
                State::Head if self.sending == Sending::Nothing => self.state = State::Done,
                State::Head => self.state = State::Body,
                State::Body => {
                    if !self.take_part(connection, context)? {
                        return Ok(());
                    }
                }
                State::Rest => self.state = State::Done,
                State::Done | State::Broken => {}
            }
        }
    }

    /// Whether everything that was ready to be written has been.
    fn flush(&mut self, connection: &mut Connection, context: &mut Context<'_>) -> bool {
        loop {
            let framing = &connection.outbox[connection.written..];
            if framing.is_empty() && self.part.is_empty() && self.tail.is_empty() {
                connection.outbox.clear();
                connection.written = 0;
                return true;
            }
            let socket = Pin::new(&mut connection.socket);
            // One buffer, as every head without a body is, is cheaper to send than to gather.
            let polled = if self.part.is_empty() && self.tail.is_empty() {
                socket.poll_write(context, framing)
            } else {
                let buffers = [IoSlice::new(framing), IoSlice::new(&self.part), IoSlice::new(self.tail)];
                socket.poll_write_vectored(context, &buffers)
            };
            match polled {
                Poll::Pending => return false,
                Poll::Ready(Ok(mut written)) => {
                    connection.has_written = true;
                    let of_framing = written.min(framing.len());
                    connection.written += of_framing;
                    written -= of_framing;
                    let of_part = written.min(self.part.len());
                    self.part.advance(of_part);
                    if self.part.is_empty() {
                        // Even without a byte it would keep the room that it was read into.
                        self.part = Bytes::new();
                    }
                    self.tail = &self.tail[written - of_part..];
                }
                Poll::Ready(Err(_)) => {
                    // The engine closed its side. Often it has answered first, and that answer is waiting.
                    self.state = State::Broken;
                    return false;
                }
            }
        }
    }

    /// Takes the next part of the body. `false` when the client has sent none.
    fn take_part(
        &mut self,
        connection: &mut Connection,
        context: &mut Context<'_>,
    ) -> Result<bool, UploadError> {
        let frame = match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Pending => return Ok(false),
            Poll::Ready(frame) => frame.transpose().map_err(|error| UploadError::Body(error.into()))?,
        };
        match frame.map(Frame::into_data) {
            Some(Ok(data)) if data.is_empty() => {}
            Some(Ok(data)) => {
                if self.sending == Sending::Chunked {
                    connection.outbox.extend_from_slice(format!("{:x}\r\n", data.len()).as_bytes());
                    self.tail = b"\r\n";
                }
                self.part = data;
            }
            Some(Err(frame)) => self.end(connection, frame.into_trailers().ok().as_ref()),
            None => self.end(connection, None),
        }
        Ok(true)
    }

    /// The body is over: the last chunk, and the trailers that were declared (RFC 9112 7.1).
    fn end(&mut self, connection: &mut Connection, trailers: Option<&HeaderMap>) {
        self.state = State::Rest;
        if self.sending != Sending::Chunked {
            return;
        }
        connection.outbox.extend_from_slice(b"0\r\n");
        for (name, value) in trailers.into_iter().flatten() {
            if self.declared.contains(name) {
                write_line(&mut connection.outbox, name, value);
            }
        }
        connection.outbox.extend_from_slice(b"\r\n");
    }
}
