//! The socket under an upstream connection: it counts what passes, and can be asked whether the engine has
//! hung up.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Poll};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// What is known about a socket that hyper owns. Atomics only because hyper's upgrades want a `Send` socket;
/// one thread uses them.
#[derive(Debug, Default)]
pub(super) struct Meter {
    read: AtomicU64,
    written: AtomicU64,
    /// Interim responses since the last [`Meter::take_interim`].
    interim: AtomicU32,
    /// Whether the next bytes begin a response head.
    at_head: AtomicBool,
    /// Whether the next read should look past the readiness that tokio remembers.
    look: AtomicBool,
}

impl Meter {
    /// Bytes read and written so far.
    pub(super) fn totals(&self) -> (u64, u64) {
        (self.read.load(Ordering::Relaxed), self.written.load(Ordering::Relaxed))
    }

    /// From here on the next bytes begin a response head.
    pub(super) fn expect_head(&self) {
        self.at_head.store(true, Ordering::Relaxed);
    }

    /// Asks the next read to look at the socket itself.
    pub(super) fn look_closely(&self) {
        self.look.store(true, Ordering::Relaxed);
    }

    /// Interim (1xx) responses that came since this was last asked. hyper drops them without a word.
    pub(super) fn take_interim(&self) -> u32 {
        match self.interim.load(Ordering::Relaxed) {
            0 => 0,
            _ => self.interim.swap(0, Ordering::Relaxed),
        }
    }

    fn add(counter: &AtomicU64, bytes: usize) {
        counter.store(counter.load(Ordering::Relaxed) + bytes as u64, Ordering::Relaxed);
    }

    /// Counts interim heads at the start of a read. One that is split over two reads is not counted: engines
    /// write them whole, and a count of ours is no reason to buffer.
    fn note_head(&self, mut bytes: &[u8]) {
        while let Some(rest) = bytes.strip_prefix(b"HTTP/1.1 1") {
            if rest.starts_with(b"01") {
                break;
            }
            self.interim.fetch_add(1, Ordering::Relaxed);
            match memchr::memmem::find(rest, b"\r\n\r\n") {
                Some(end) => bytes = &rest[end + 4..],
                None => return,
            }
        }
        if !bytes.is_empty() {
            self.at_head.store(false, Ordering::Relaxed);
        }
    }
}

/// A TCP connection to an endpoint.
#[derive(Debug)]
pub(super) struct Stream {
    inner: TcpStream,
    meter: Arc<Meter>,
}

impl Stream {
    pub(super) fn new(inner: TcpStream) -> (Self, Arc<Meter>) {
        let meter = Arc::new(Meter::default());
        (Self { inner, meter: Arc::clone(&meter) }, meter)
    }

    /// Whether the peer has closed or reset the connection, asked of the socket itself: tokio learns of it only
    /// when it next polls, and a request that must not be repeated should not be written into a dead
    /// connection in between.
    fn is_hung_up(&self) -> bool {
        let mut byte = [MaybeUninit::uninit()];
        match SockRef::from(&self.inner).peek(&mut byte) {
            Ok(received) => received == 0,
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.meter.look.load(Ordering::Relaxed) {
            self.meter.look.store(false, Ordering::Relaxed);
            if self.is_hung_up() {
                // Nothing filled: the end of the stream.
                return Poll::Ready(Ok(()));
            }
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(context, buffer);
        let fresh = &buffer.filled()[before..];
        if !fresh.is_empty() {
            Meter::add(&self.meter.read, fresh.len());
            if self.meter.at_head.load(Ordering::Relaxed) {
                self.meter.note_head(fresh);
            }
        }
        polled
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(context, bytes);
        if let Poll::Ready(Ok(written)) = &polled {
            Meter::add(&self.meter.written, *written);
        }
        polled
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // One buffer, as every head without a body is, is cheaper to send than to gather.
        let polled = match buffers {
            [only] => Pin::new(&mut self.inner).poll_write(context, only),
            several => Pin::new(&mut self.inner).poll_write_vectored(context, several),
        };
        if let Poll::Ready(Ok(written)) = &polled {
            Meter::add(&self.meter.written, *written);
        }
        polled
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interim_heads_are_counted_up_to_the_final_one() {
        let meter = Meter::default();
        meter.expect_head();
        meter.note_head(b"HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n");
        assert!(meter.at_head.load(Ordering::Relaxed), "the final head is still to come");
        meter.note_head(b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
        assert!(!meter.at_head.load(Ordering::Relaxed));
        assert_eq!(meter.take_interim(), 2);
        assert_eq!(meter.take_interim(), 0);
        meter.expect_head();
        meter.note_head(b"HTTP/1.1 101 Switching Protocols\r\n\r\n");
        assert_eq!(meter.take_interim(), 0, "101 is final: what follows is another protocol");
    }
}
