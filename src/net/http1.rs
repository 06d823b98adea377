//! A client's connection that speaks HTTP/1.1, on our side: what came and was not read, and what is to be written.
//!
//! [`strict`](crate::net::strict) says what the bytes mean; [`encode`] makes bytes of an answer; [`inbound`] carries a
//! request's body to whoever forwards it. The order of things, one request after the other, is `proxy`'s.

pub mod date;
pub mod encode;
pub mod inbound;
pub mod spare;

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use http_body::Frame;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::io::poll_read_buf;

use crate::net::activity::{Activity, Phase};
use crate::net::http1::encode::{Coding, WrongLength};
use crate::net::http1::inbound::Feed;
use crate::net::http1::spare::Spare;
use crate::net::stream::Stream;
use crate::net::strict::body::Part;
use crate::net::strict::head::{Head, HeadReader, Refused};

/// The first read of a request; a body that fills it is read in larger pieces.
const SMALL_READ: usize = 8 * 1024;

/// The largest piece. Larger ones do not make uploads faster on loopback, and every connection may hold one.
const LARGE_READ: usize = 64 * 1024;

/// Room that is enough for the next request, or to notice that a client has hung up.
const LEAST_ROOM: usize = 512;

/// Parts of an answer up to this size are copied behind what is to be written before them: one buffer is cheaper to
/// send than two.
const SMALL_PART: usize = 4 * 1024;

/// How much may wait to be written before more of an answer is asked for.
const MOST_WAITING: usize = 16 * 1024;

/// How long, and for how many bytes, a client that is still sending is listened to after our last word. Closing at
/// once would reset the connection, and the client might never read why (RFC 9112 9.6).
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 8 * 1024 * 1024;

/// One connection.
#[derive(Debug)]
pub struct Wire<T> {
    stream: Stream<T>,
    activity: Arc<Activity>,
    spare: Rc<Spare>,
    /// What came and was not read.
    received: BytesMut,
    /// How much to make room for before the next read.
    appetite: usize,
    /// What is to be written, how much of it was, and what follows it.
    out: Vec<u8>,
    written: usize,
    part: Bytes,
    tail: &'static [u8],
    /// Whether something was written that may not have gone out.
    is_unflushed: bool,
}

/// Why there is no further request.
#[derive(Debug)]
pub enum NoHead {
    /// The client hung up, or nothing came for too long.
    Ended,
    /// What came is refused.
    Refused(Refused),
    /// The connection broke, or the head took too long.
    Broken(io::Error),
}

/// What listening to a client while it waits for its answer came to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Heard {
    /// More of its body was handed on: whoever forwards it can go on.
    More,
    /// It hung up, or its connection broke.
    Gone,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Wire<T> {
    /// A connection that was just accepted.
    pub fn new(stream: Stream<T>, activity: Arc<Activity>, spare: Rc<Spare>) -> Self {
        Self {
            stream,
            activity,
            spare,
            received: BytesMut::new(),
            appetite: SMALL_READ,
            out: Vec::new(),
            written: 0,
            part: Bytes::new(),
            tail: b"",
            is_unflushed: false,
        }
    }

    /// Reads more; 0 at the end of the stream. New room is made where there is less than `room`.
    fn poll_read(&mut self, context: &mut Context<'_>, room: usize) -> Poll<io::Result<usize>> {
        if self.received.capacity() == 0 {
            self.received = self.spare.take();
        }
        if self.received.capacity() - self.received.len() < room {
            self.received.reserve(self.appetite);
        }
        let read = ready!(poll_read_buf(Pin::new(&mut self.stream), context, &mut self.received))?;
        if read >= self.appetite {
            self.appetite = LARGE_READ;
        }
        Poll::Ready(Ok(read))
    }

    /// Waits for the next request's head.
    pub fn poll_head(
        &mut self,
        context: &mut Context<'_>,
        heads: &mut HeadReader,
    ) -> Poll<Result<Head, NoHead>> {
        loop {
            if !self.received.is_empty() {
                match heads.read(&mut self.received) {
                    Ok(Some(head)) => return Poll::Ready(Ok(head)),
                    Ok(None) => {}
                    Err(refused) => return Poll::Ready(Err(NoHead::Refused(refused))),
                }
            }
            if self.received.is_empty() {
                self.appetite = SMALL_READ;
            }
            // A head may have begun behind the request before; and what came last may have been the rest of that one.
            match (self.received.is_empty(), self.activity.phase()) {
                (false, Phase::Idle) => self.activity.enter(Phase::Head),
                (true, Phase::Head) => self.activity.enter(Phase::Idle),
                (_, _) => {}
            }
            match self.poll_read(context, LEAST_ROOM) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(NoHead::Ended)),
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(NoHead::Broken(error))),
                Poll::Pending => {
                    self.keep_little();
                    return Poll::Pending;
                }
            }
        }
    }

    /// A connection may wait for long, and there are many: it keeps no room for what may come.
    fn keep_little(&mut self) {
        if self.received.is_empty() {
            self.spare.leave(std::mem::take(&mut self.received), SMALL_READ);
        }
        if self.out.is_empty() {
            self.out.shrink_to(SMALL_PART);
        }
    }

    /// Listens to the client while its request is answered: for more of the body where that is wanted, and for the end.
    /// What it sends behind its request stays where it is.
    pub fn poll_heard(&mut self, context: &mut Context<'_>, feed: Option<&mut Feed>) -> Poll<Heard> {
        let Some(feed) = feed.filter(|feed| !feed.is_over()) else {
            // Where something has come already, the next thing will not be read, and no end noticed.
            if !self.received.is_empty() {
                return Poll::Pending;
            }
            // The request still holds the buffer that its head came in, so that room would be made anew.
            return match ready!(self.poll_read(context, LEAST_ROOM)) {
                Ok(0) | Err(_) => Poll::Ready(Heard::Gone),
                Ok(_) => Poll::Pending,
            };
        };
        if !feed.is_wanted() {
            return Poll::Pending;
        }
        if feed.invites(!self.received.is_empty()) {
            self.out.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        loop {
            match feed.reader.take(&mut self.received) {
                Ok(Part::More) => {}
                part => {
                    feed.give(part);
                    return Poll::Ready(Heard::More);
                }
            }
            if self.has_output() && matches!(self.poll_flush(context), Poll::Ready(Err(_))) {
                return Poll::Ready(Heard::Gone);
            }
            match ready!(self.poll_read(context, self.appetite)) {
                Ok(0) | Err(_) => {
                    feed.cut();
                    return Poll::Ready(Heard::More);
                }
                Ok(_) => {}
            }
        }
    }

    /// Takes what is left of a request's body out of the way, as far as it is here already. Whether that was all.
    pub fn skip(&mut self, feed: &mut Feed, context: &mut Context<'_>) -> bool {
        if feed.is_over() || feed.is_awaited() {
            // A client that waits for a 100 may send its body or not, and behind a fault nothing is clear.
            return feed.reader.is_done();
        }
        let mut left: usize = LARGE_READ;
        loop {
            match feed.reader.take(&mut self.received) {
                Ok(Part::Data(_) | Part::Trailers(_)) => {}
                Ok(Part::End) => return true,
                Ok(Part::More) => match self.poll_read(context, self.appetite) {
                    Poll::Ready(Ok(read)) if read > 0 && read <= left => left -= read,
                    Poll::Ready(_) | Poll::Pending => return false,
                },
                Err(_) => return false,
            }
        }
    }

    /// The bytes that are to be written next, for a head.
    pub const fn out(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    /// Whether more of an answer can be taken before something was written.
    pub fn has_room(&self) -> bool {
        self.part.is_empty() && self.tail.is_empty() && self.out.len() < MOST_WAITING
    }

    /// Puts the next frame of an answer behind what is to be written, or its end; only while there is room. Whether more
    /// is to come.
    pub fn put(&mut self, coding: &mut Coding, frame: Option<Frame<Bytes>>) -> Result<bool, WrongLength> {
        match frame.map(Frame::into_data) {
            Some(Ok(data)) if data.is_empty() => Ok(true),
            Some(Ok(data)) => self.put_data(coding, data).map(|()| true),
            Some(Err(frame)) => coding.end(&mut self.out, frame.trailers_ref()).map(|()| false),
            None => coding.end(&mut self.out, None).map(|()| false),
        }
    }

    fn put_data(&mut self, coding: &mut Coding, data: Bytes) -> Result<(), WrongLength> {
        let tail = coding.begin_part(&mut self.out, data.len())?;
        if data.len() <= SMALL_PART {
            self.out.extend_from_slice(&data);
            self.out.extend_from_slice(tail);
        } else {
            (self.part, self.tail) = (data, tail);
        }
        Ok(())
    }

    /// Writes all that is to be written.
    pub fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let head = &self.out[self.written..];
            let written = if self.part.is_empty() && self.tail.is_empty() {
                if head.is_empty() {
                    break;
                }
                ready!(Pin::new(&mut self.stream).poll_write(context, head))?
            } else {
                let buffers = [IoSlice::new(head), IoSlice::new(&self.part), IoSlice::new(self.tail)];
                // Of what cannot gather, the first that is not empty.
                let first = buffers.iter().position(|buffer| !buffer.is_empty()).unwrap_or(0);
                ready!(Pin::new(&mut self.stream).poll_write_vectored(context, &buffers[first..]))?
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.is_unflushed = true;
            self.advance(written);
        }
        if !self.out.is_empty() {
            self.out.clear();
            self.written = 0;
        }
        ready!(Pin::new(&mut self.stream).poll_flush(context))?;
        self.is_unflushed = false;
        Poll::Ready(Ok(()))
    }

    fn advance(&mut self, written: usize) {
        let of_head = written.min(self.out.len() - self.written);
        self.written += of_head;
        let of_part = (written - of_head).min(self.part.len());
        self.part.advance(of_part);
        if self.part.is_empty() {
            // Even without a byte it would keep the room that it was read into.
            self.part = Bytes::new();
        }
        self.tail = &self.tail[written - of_head - of_part..];
    }

    /// Whether something is to be written.
    pub fn has_output(&self) -> bool {
        self.is_unflushed || self.written < self.out.len() || !self.part.is_empty() || !self.tail.is_empty()
    }

    /// The connection is another protocol's from here on; what came behind the request is its first words.
    pub fn into_tunnel(self) -> Stream<T> {
        let mut stream = self.stream;
        if !self.received.is_empty() {
            stream.unread(self.received.freeze());
        }
        stream
    }

    /// Our last word was said. A client that `is_sending` is listened to for a little while.
    pub async fn close(mut self, is_sending: bool) {
        let is_sending = is_sending || !self.received.is_empty();
        // What it sends now begins no head.
        self.activity.enter(Phase::Answer);
        self.activity.set_exchange_deadline(None);
        self.activity.set_step_deadline(Some(LINGER));
        let closed = poll_fn(|context| match Pin::new(&mut self.stream).poll_shutdown(context) {
            // TLS has a last word too, and nobody may take it.
            Poll::Pending if self.activity.stall().is_some() => Poll::Ready(false),
            polled => polled.map(|closed| closed.is_ok()),
        })
        .await;
        if !closed || !is_sending {
            return;
        }
        // What comes now is nobody's: not judged, not kept.
        let mut nowhere = vec![0; SMALL_READ];
        let mut left = LINGER_BYTES;
        poll_fn(|context| {
            loop {
                let mut buffer = ReadBuf::new(&mut nowhere);
                match Pin::new(&mut self.stream).poll_read(context, &mut buffer) {
                    Poll::Pending if self.activity.stall().is_none() => return Poll::Pending,
                    Poll::Pending | Poll::Ready(Err(_)) => return Poll::Ready(()),
                    Poll::Ready(Ok(())) => {}
                }
                left = left.saturating_sub(buffer.filled().len());
                if buffer.filled().is_empty() || left == 0 {
                    return Poll::Ready(());
                }
            }
        })
        .await;
    }
}
