//! A client's HTTP/2 connection, which ends when it floods us.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::net::frames::Frames;
use crate::net::stream::Stream;
use crate::telemetry::kinds::FloodKind;
use crate::telemetry::metrics::ListenerMetrics;

/// DATA on stream 0 (RFC 9113 6.1): no peer may send it, and the protocol library answers it with GOAWAY.
const REFUSED: [u8; 9] = [0; 9];

/// A connection under [`Frames`].
#[derive(Debug)]
pub struct Watched<T> {
    inner: Stream<T>,
    frames: Frames,
    metrics: Arc<ListenerMetrics>,
    end: End,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum End {
    /// Not in sight.
    Open,
    /// Nothing more of the client's is heard.
    Flooded(FloodKind),
    /// That has been said.
    Said,
}

impl<T> Watched<T> {
    /// Watches over a connection from its first byte on, and counts where it came in. Its header lists may have so many
    /// bytes.
    pub fn new(inner: Stream<T>, metrics: Arc<ListenerMetrics>, header_bytes: usize) -> Self {
        Self { inner, frames: Frames::new(header_bytes), metrics, end: End::Open }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncRead for Watched<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        match self.end {
            End::Open => {}
            End::Flooded(kind) => {
                // Not before: the protocol library may have found another reason in what it was given.
                self.metrics.flooded(kind);
                self.end = End::Said;
                buffer.put_slice(&REFUSED[..REFUSED.len().min(buffer.remaining())]);
                return Poll::Ready(Ok(()));
            }
            End::Said => return Poll::Ready(Ok(())),
        }
        let polled = Pin::new(&mut self.inner).poll_read(context, buffer);
        if matches!(polled, Poll::Ready(Ok(()))) {
            let now = self.inner.now();
            if let Err((good, kind)) = self.frames.feed(&buffer.filled()[before..], now) {
                self.end = End::Flooded(kind);
                buffer.set_filled(before + good);
            }
        }
        polled
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Watched<T> {
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
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}
