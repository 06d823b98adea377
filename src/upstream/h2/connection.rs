//! One connection: how it is made, what it can carry, and the task that drives it.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use bytes::Bytes;
use h2::client::{self, SendRequest};
use h2::{Ping, PingPong};
use tokio::net::TcpStream;

use crate::upstream::h2::socket::{Socket, Traffic};
use crate::upstream::head::MOST_BYTES;

/// Streams at a time, if the engine allows as many. RFC 9113 6.5.2 recommends that it allow no fewer; a connection more
/// costs less than a hundred others that wait behind one lost packet.
pub(super) const MOST_STREAMS: usize = 100;

/// What an engine may send on a stream before the client has taken it.
const STREAM_WINDOW: u32 = 128 * 1024;

/// The same for a connection: room for all its streams, so that clients that read slowly hold up nobody else.
const CONNECTION_WINDOW: u32 = STREAM_WINDOW * MOST_STREAMS as u32;

/// What may wait to be written on a stream: parts of a body are handed over one by one.
const SEND_BUFFER: usize = 64 * 1024;

/// An open connection.
pub struct Connection {
    sender: RefCell<SendRequest<Bytes>>,
    pub(super) traffic: Rc<Traffic>,
    /// Streams that are open.
    pub(super) streams: Cell<usize>,
    /// Whether it has answered a request: one that ends after that may end for a good reason.
    pub(super) has_answered: Cell<bool>,
    /// Since when it has had no stream; `None` while it has.
    pub(super) idle_since: Cell<Option<Instant>>,
}

/// What drives a connection, until it ends.
pub(super) type Driver = client::Connection<Socket, Bytes>;

/// Makes a connection of a socket. It stands when the engine has answered a PING: then the engine speaks HTTP/2, and has
/// said in its SETTINGS, which come first (RFC 9113 3.4), how many streams it takes.
pub(super) async fn open(socket: TcpStream) -> io::Result<(Connection, Driver)> {
    let (socket, traffic) = Socket::new(socket)?;
    let (sender, mut driver) = client::Builder::new()
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(MOST_BYTES as u32)
        .max_send_buffer_size(SEND_BUFFER)
        .enable_push(false)
        .handshake(socket)
        .await
        .map_err(no_http2)?;
    let mut ping = driver.ping_pong().ok_or_else(|| io::Error::other("no PING"))?;
    ping.send_ping(Ping::opaque()).map_err(no_http2)?;
    poll_fn(|context| poll_settled(&mut driver, &mut ping, context)).await?;
    let connection = Connection {
        sender: RefCell::new(sender),
        traffic,
        streams: Cell::new(0),
        has_answered: Cell::new(false),
        idle_since: Cell::new(None),
    };
    Ok((connection, driver))
}

fn poll_settled(driver: &mut Driver, ping: &mut PingPong, context: &mut Context<'_>) -> Poll<io::Result<()>> {
    if let Poll::Ready(ended) = pin!(&mut *driver).poll(context) {
        return Poll::Ready(Err(match ended {
            Ok(()) => io::Error::from(io::ErrorKind::UnexpectedEof),
            Err(error) => no_http2(error),
        }));
    }
    ping.poll_pong(context).map(|pong| pong.map(drop).map_err(no_http2))
}

fn no_http2(error: h2::Error) -> io::Error {
    io::Error::other(format!("no HTTP/2 there: {error}"))
}

impl Connection {
    /// How many more streams it can carry; `None` when it is going away.
    pub(super) fn room(&self) -> Option<usize> {
        let mut sender = self.sender.borrow_mut();
        // Whoever sends is counted by us, so this waits for nobody: it only tells of an end.
        match sender.poll_ready(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(())) => {
                Some(sender.current_max_send_streams().min(MOST_STREAMS).saturating_sub(self.streams.get()))
            }
            Poll::Ready(Err(_)) => None,
            Poll::Pending => Some(0),
        }
    }

    /// The handle by which requests are sent.
    pub(super) fn sender(&self) -> std::cell::RefMut<'_, SendRequest<Bytes>> {
        self.sender.borrow_mut()
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Connection({} streams)", self.streams.get())
    }
}
