//! Binds listening sockets, one per worker for each address, and accepts from them.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};

/// Connections that may wait to be accepted; the system caps it at `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// How long to wait after an accept that failed for want of something, such as file descriptors: without a
/// pause the loop would spin until the want ends.
const BACK_OFF: Duration = Duration::from_millis(50);

/// One address with a listening socket for each worker, bound and listening.
#[derive(Debug)]
pub struct Bound {
    /// The address that the operator wrote: the listener's identity across reloads.
    pub configured: SocketAddr,
    /// The address that the system gave; differs where port 0 was asked for.
    pub local: SocketAddr,
    /// One socket per worker.
    pub sockets: Vec<StdListener>,
}

/// An address could not be bound.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}")]
pub struct BindError {
    /// Which address.
    pub address: SocketAddr,
    /// What the system said.
    #[source]
    pub source: io::Error,
}

/// Binds an address once per worker. `SO_REUSEPORT` lets the kernel spread connections over the sockets, so
/// that workers share no queue.
pub fn bind(configured: SocketAddr, workers: usize) -> Result<Bound, BindError> {
    let failed = |source| BindError { address: configured, source };
    // Another process of the same user could share a port that both opened with SO_REUSEPORT, and would then get
    // part of the traffic without a word. A first socket without the option finds out, and is gone again.
    if configured.port() != 0 {
        drop(open(configured, false).map_err(failed)?);
    }
    let first = listen(configured).map_err(failed)?;
    let local = first.local_addr().map_err(failed)?;
    let mut sockets = vec![first];
    for _ in 1..workers {
        sockets.push(listen(local).map_err(failed)?);
    }
    Ok(Bound { configured, local, sockets })
}

fn open(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    if shared {
        socket.set_reuse_port(true)?;
    }
    if address.is_ipv6() {
        // `[::]` and `0.0.0.0` are two listeners, on every system alike.
        socket.set_only_v6(true)?;
    }
    // On Linux accepted sockets inherit it, which saves a system call for each. Responses are written whole; waiting
    // for more to send only delays them.
    socket.set_tcp_nodelay(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

fn listen(address: SocketAddr) -> io::Result<StdListener> {
    let socket = open(address, true)?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Says a last word to a connection that is turned away. A fresh one has room for it; whoever hung up misses nothing. Not
/// by tokio's `try_write`: that asks the reactor first, which knows nothing yet of a socket from another worker.
pub fn last_word(socket: &TcpStream, word: &[u8]) {
    let _ = socket2::SockRef::from(socket).send(word);
}

/// Accepts connections for one worker.
pub struct Acceptor {
    listener: TcpListener,
}

impl Acceptor {
    /// Takes a bound socket into the current runtime.
    pub fn new(socket: StdListener) -> io::Result<Self> {
        Ok(Self { listener: TcpListener::from_std(socket)? })
    }

    /// The next connection. Cannot fail: an error of one connection is that connection's, and one of the
    /// listener passes or is waited out. `on_error` hears of the latter.
    pub async fn accept(&self, on_error: impl Fn(&io::Error)) -> (TcpStream, SocketAddr) {
        loop {
            match self.listener.accept().await {
                Ok(accepted) => return accepted,
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    on_error(&error);
                    tokio::time::sleep(BACK_OFF).await;
                }
            }
        }
    }

    /// A connection that waits already. For a listener that is about to close: closing it would reset them.
    pub async fn accept_waiting(&self) -> Option<(TcpStream, SocketAddr)> {
        // A few empty-handed tries let the reactor notice what the kernel has queued.
        for _ in 0..3 {
            tokio::select! {
                biased;
                accepted = self.listener.accept() => match accepted {
                    Ok(accepted) => return Some(accepted),
                    Err(error) if is_of_one_connection(&error) => continue,
                    Err(_) => return None,
                },
                () = tokio::task::yield_now() => {}
            }
        }
        None
    }
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Acceptor({:?})", self.listener.local_addr())
    }
}

/// accept(2): errors that belong to the connection that was to be accepted.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}
