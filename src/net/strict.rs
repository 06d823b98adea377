//! A reader under hyper that sees a client's messages as they came, and refuses what hyper forgives or forgets.
//!
//! hyper's parser is one of several that read a request on its way; where two of them differ about where it ends, a
//! request can be hidden from one (request smuggling). Here everything is held to RFC 9112 before hyper sees it.
//! [`checker`] decides, and is pure; this file reads.
//!
//! What is at fault is told to hyper in its own words: in place of the faulty line it gets bytes that it refuses wherever
//! they stand. So a faulty head gets hyper's bare 400 behind all answers that are due before it, and a faulty body
//! breaks off as any broken one does; and nothing that lies behind the fault is read.

pub mod checker;
pub mod fault;
mod line;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tracing::debug;

use crate::net::activity::{Activity, Phase};
use crate::net::strict::checker::{Checker, Refused};

/// Bytes that hyper refuses in every place: NUL is no part of any line and no end of one, and where hyper does not
/// care, inside of a chunk extension, it refuses LF. The empty line makes it look.
const POISON: &[u8] = b"\0\n\r\n\r\n";

/// How long, and for how many bytes, a client that is still sending is listened to after our last word. Closing at
/// once would reset the connection, and the client might never read why (RFC 9112 9.6).
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 8 * 1024 * 1024;

/// A client's connection whose bytes are judged before anybody acts on them.
#[derive(Debug)]
pub struct Strict<T> {
    inner: T,
    activity: Arc<Activity>,
    checker: Checker,
    /// What is left of [`POISON`], behind a fault.
    poison: Option<&'static [u8]>,
    /// What came behind a request that asks for another protocol, before it is known whether it is HTTP.
    held: Bytes,
    closing: Closing,
}

/// How far the end of a connection has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Closing {
    NotYet,
    /// Our side is closed, and the client may send so many bytes more.
    Lingering(usize),
    Done,
}

impl<T> Strict<T> {
    /// Judges what comes over a connection. `head_bytes` is what a head may have: of a larger one hyper must tell the
    /// client, so that it must have the same limit.
    pub const fn new(inner: T, activity: Arc<Activity>, head_bytes: usize) -> Self {
        Self {
            inner,
            activity,
            checker: Checker::new(head_bytes),
            poison: None,
            held: Bytes::new(),
            closing: Closing::NotYet,
        }
    }

    /// Judges what was read behind `before`, and takes back what hyper must not see.
    fn judge(&mut self, buffer: &mut ReadBuf<'_>, before: usize) {
        let read = &buffer.filled()[before..];
        match self.checker.feed(read) {
            Ok(judged) if judged == read.len() => {}
            Ok(judged) => {
                let rest = Bytes::copy_from_slice(&read[judged..]);
                self.held =
                    if self.held.is_empty() { rest } else { [rest, self.held.clone()].concat().into() };
                buffer.set_filled(before + judged);
            }
            Err(Refused { passes, fault }) => {
                debug!(%fault, "malformed request refused");
                buffer.set_filled(before + passes);
                self.held = Bytes::new();
                // There is room for one byte at least: that of the line end which is at fault.
                self.poison = Some(pour(POISON, buffer));
            }
        }
    }
}

/// Puts in what there is room for, and gives back the rest.
fn pour<'b>(bytes: &'b [u8], buffer: &mut ReadBuf<'_>) -> &'b [u8] {
    let (fits, rest) = bytes.split_at(bytes.len().min(buffer.remaining()));
    buffer.put_slice(fits);
    rest
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncRead for Strict<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if let Some(rest) = this.poison {
            this.poison = Some(pour(rest, buffer));
            return Poll::Ready(Ok(()));
        }
        let is_tunnel = this.activity.phase() == Phase::Tunnel;
        if this.checker.is_undecided() && !is_tunnel {
            // Idle: the exchange is over, and the protocol is still HTTP.
            if this.activity.phase() == Phase::Idle {
                this.checker.stays();
            } else if !this.held.is_empty() {
                // `poll_flush` wakes the task when that is known.
                return Poll::Pending;
            }
        }
        let before = buffer.filled().len();
        if this.held.is_empty() {
            ready!(Pin::new(&mut this.inner).poll_read(context, buffer))?;
        } else {
            let rest = pour(&this.held, buffer).len();
            this.held.advance(this.held.len() - rest);
        }
        if is_tunnel || buffer.filled().len() == before {
            return Poll::Ready(Ok(()));
        }
        this.judge(buffer, before);
        if buffer.filled().len() == before {
            // All of it waits for the answer; to hyper, nothing would be the end.
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Strict<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(context, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.held.is_empty() && self.activity.phase() == Phase::Idle {
            // The answer is through: what was held back can be read now, and nothing else would say so.
            context.waker().wake_by_ref();
        }
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.closing == Closing::NotYet {
            ready!(Pin::new(&mut this.inner).poll_shutdown(context))?;
            let is_sending = !this.checker.is_between_messages() || !this.held.is_empty();
            this.closing = if is_sending && this.activity.phase() != Phase::Tunnel {
                this.activity.set_exchange_deadline(None);
                this.activity.set_step_deadline(Some(LINGER));
                Closing::Lingering(LINGER_BYTES)
            } else {
                Closing::Done
            };
        }
        // What comes now is nobody's: not judged, not kept.
        let mut nowhere = [0; 8 * 1024];
        while let Closing::Lingering(left) = this.closing {
            let mut buffer = ReadBuf::new(&mut nowhere);
            let is_over = match Pin::new(&mut this.inner).poll_read(context, &mut buffer) {
                Poll::Pending if this.activity.stall().is_none() => return Poll::Pending,
                Poll::Pending | Poll::Ready(Err(_)) => true,
                Poll::Ready(Ok(())) => buffer.filled().is_empty(),
            };
            let left = left.saturating_sub(buffer.filled().len());
            this.closing = if is_over || left == 0 { Closing::Done } else { Closing::Lingering(left) };
        }
        Poll::Ready(Ok(()))
    }
}
