//! A client's HTTP/1.1 connection, of which the parser sees only what keeps the rules.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::net::stream::Stream;
use crate::net::strict::{Fault, Fed, Strict};

/// What no request may contain anywhere in its head: the parser refuses it, and answers so in its turn, behind the
/// answers to the requests before.
const REFUSED: u8 = 0;

/// A connection under [`Strict`].
#[derive(Debug)]
pub struct Checked<T> {
    inner: Stream<T>,
    strict: Strict,
    fault: Option<Fault>,
}

impl<T> Checked<T> {
    /// Watches over a connection from its first byte on.
    pub fn new(inner: Stream<T>) -> Self {
        Self { inner, strict: Strict::default(), fault: None }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncRead for Checked<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(fault) = self.fault {
            // A body breaks off; behind a refused head there is nothing.
            let is_in_body = self.strict.is_in_body();
            let broken = || io::Error::new(io::ErrorKind::InvalidData, fault);
            return Poll::Ready(if is_in_body { Err(broken()) } else { Ok(()) });
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(context, buffer);
        if matches!(polled, Poll::Ready(Ok(()))) && !self.inner.is_tunnel() {
            let Fed { good, fault } = self.strict.feed(&buffer.filled()[before..]);
            if fault.is_some() {
                self.fault = fault;
                buffer.set_filled(before + good);
                if !self.strict.is_in_body() {
                    // There is room where the fault was.
                    buffer.put_slice(&[REFUSED]);
                } else if good == 0 {
                    return self.poll_read(context, buffer);
                }
            }
        }
        polled
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Checked<T> {
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
