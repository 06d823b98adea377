//! The socket under a connection: it counts what was written, and can be asked whether the engine has hung up.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// How long the kernel lets written bytes go without a word from the other machine before it gives the connection up. A
/// connection carries many requests, so one that leads nowhere must not wait for each of them to time out. The kernel
/// asks, and not we by PING: gRPC servers take a PING while they are thinking for an attack.
const UNACKNOWLEDGED: Duration = Duration::from_secs(15);

/// When the kernel begins to ask whether the other machine is still there, and how often it asks again. Thrice in vain
/// and it is not.
const SILENT: (Duration, Duration, u32) = (Duration::from_secs(15), Duration::from_secs(5), 3);

/// A socket that counts.
pub struct Socket {
    stream: TcpStream,
    traffic: Rc<Traffic>,
}

/// What is known of a socket that somebody else drives.
pub struct Traffic {
    written: Cell<u64>,
    /// The same socket once more, to look at and not to read.
    lookout: socket2::Socket,
}

impl Socket {
    /// Takes over a connected socket.
    pub(super) fn new(stream: TcpStream) -> io::Result<(Self, Rc<Traffic>)> {
        let socket = SockRef::from(&stream);
        socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED))?;
        let (time, interval, retries) = SILENT;
        let keepalive = TcpKeepalive::new().with_time(time).with_interval(interval).with_retries(retries);
        socket.set_tcp_keepalive(&keepalive)?;
        let traffic = Rc::new(Traffic { written: Cell::new(0), lookout: socket.try_clone()? });
        Ok((Self { stream, traffic: Rc::clone(&traffic) }, traffic))
    }

    fn note(&self, written: &io::Result<usize>) {
        if let Ok(bytes) = written {
            self.traffic.written.set(self.traffic.written.get() + *bytes as u64);
        }
    }
}

impl Traffic {
    /// Bytes written so far.
    pub(super) fn written(&self) -> u64 {
        self.written.get()
    }

    /// Whether nothing waits to be read: neither bytes nor an end. Costs a system call.
    pub(super) fn is_quiet(&self) -> bool {
        let mut byte = [MaybeUninit::uninit()];
        self.lookout.peek(&mut byte).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(context, bytes));
        self.note(&written);
        Poll::Ready(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(context, buffers));
        self.note(&written);
        Poll::Ready(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
