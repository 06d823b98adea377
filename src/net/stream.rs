//! The socket under a downstream connection: it notes what the client does, and turns a stalled client away.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::net::activity::{Activity, Phase, Stall};
use crate::telemetry::kinds::CloseReason;

/// What a client gets whose head does not end (RFC 9110 15.5.9). Bare: a head that is not whole names no app
/// whose page this could be.
const SLOW_HEAD: &[u8] = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// A client's connection: TCP, or TLS over it.
#[derive(Debug)]
pub struct Stream<T> {
    inner: T,
    /// What was read to find out what the client speaks, and is to be read again.
    prefix: Bytes,
    activity: Arc<Activity>,
}

/// The error inside the `io::Error` of a read that a stalled client ended.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("client stalled: {0:?}")]
pub struct Stalled(pub Stall);

impl<T> Stream<T> {
    /// Wraps a connection.
    pub fn new(inner: T, activity: Arc<Activity>) -> Self {
        Self { inner, prefix: Bytes::new(), activity }
    }

    /// Gives bytes back that were read: they come again before anything else.
    pub fn unread(&mut self, bytes: Bytes) {
        self.prefix = bytes;
    }

    /// Milliseconds since the worker started.
    pub fn now(&self) -> u64 {
        self.activity.now()
    }

    /// The task to wake when the client stalls.
    pub fn register(&self, waker: &std::task::Waker) {
        self.activity.stay_registered(waker);
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncRead for Stream<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.prefix.is_empty() {
            let piece = self.prefix.len().min(buffer.remaining());
            buffer.put_slice(&self.prefix.split_to(piece));
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(context, buffer);
        match &polled {
            Poll::Ready(_) => self.activity.note_read(Some(buffer.filled().len() - before)),
            Poll::Pending => {
                self.activity.note_read(None);
                match self.activity.stall() {
                    // As if the client had hung up: the connection closes without a word.
                    Some(Stall::Idle) => {
                        self.activity.end(CloseReason::Idle);
                        return Poll::Ready(Ok(()));
                    }
                    Some(Stall::Head) => {
                        // Nothing is in flight before the first whole head, and what was sent before it was
                        // flushed: the connection is ours to write to. If there is no room, nobody is reading.
                        let _ = Pin::new(&mut self.inner).poll_write(context, SLOW_HEAD);
                        let _ = Pin::new(&mut self.inner).poll_flush(context);
                        self.activity.end(CloseReason::SlowHead);
                        return Poll::Ready(Err(stalled(Stall::Head)));
                    }
                    Some(Stall::Tunnel) => {
                        self.activity.end(CloseReason::IdleTunnel);
                        return Poll::Ready(Err(stalled(Stall::Tunnel)));
                    }
                    // These are told on the request path, which knows what was promised to the client.
                    Some(Stall::Body | Stall::Reader | Stall::Step | Stall::Exchange) | None => {}
                }
            }
        }
        if self.activity.phase() == Phase::Tunnel && polled.is_ready() {
            self.activity.enter(Phase::Tunnel);
        }
        polled
    }
}

fn stalled(stall: Stall) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, Stalled(stall))
}

impl<T> Stream<T> {
    fn note_write<V>(&self, polled: &Poll<io::Result<V>>) -> Option<io::Error> {
        self.activity.note_write(polled.is_ready());
        if self.activity.phase() == Phase::Tunnel && polled.is_ready() {
            self.activity.enter(Phase::Tunnel);
        }
        (polled.is_pending() && self.activity.stall() == Some(Stall::Reader)).then(|| {
            self.activity.end(CloseReason::SlowReader);
            stalled(Stall::Reader)
        })
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Stream<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(context, bytes);
        match self.note_write(&polled) {
            Some(error) => Poll::Ready(Err(error)),
            None => polled,
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write_vectored(context, buffers);
        match self.note_write(&polled) {
            Some(error) => Poll::Ready(Err(error)),
            None => polled,
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.inner).poll_flush(context);
        // TLS takes some without passing it on: only then is there anything to flush.
        if polled.is_pending()
            && let Some(error) = self.note_write(&polled)
        {
            return Poll::Ready(Err(error));
        }
        polled
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}
