//! Opens connections to endpoints, each within its deadline.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body::Body;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::upstream::endpoint::Endpoint;
use crate::upstream::error::UpstreamError;
use crate::upstream::stream::{Meter, Stream};

/// hyper's half that moves bytes. Nobody spawns it: whoever uses the connection drives it, so that an exchange
/// costs one task and no message between two.
pub(super) type Driver<B> = Box<http1::Connection<TokioIo<Stream>, B>>;

/// Largest response head that an engine may send, and most header lines in it. Generous: engines are ours, but
/// one that goes mad must not take our memory with it.
const RESPONSE_HEAD_BYTES: usize = 64 * 1024;
const RESPONSE_HEADERS: usize = 256;

/// The largest read buffer of an upstream connection. hyper starts at 8 KiB and doubles as long as reads fill
/// it; 64 KiB is where large downloads stop getting faster on loopback.
const READ_BUFFER_BYTES: usize = 64 * 1024;

/// Opens one connection and speaks HTTP/1.1 on it.
pub(super) async fn connect<B>(
    endpoint: &Endpoint,
    within: Duration,
) -> Result<(http1::SendRequest<B>, Driver<B>, Arc<Meter>), UpstreamError>
where
    B: Body<Data = Bytes> + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let failed =
        |source: io::Error| UpstreamError::Connect { endpoint: endpoint.label.clone(), source };
    let socket = tokio::time::timeout(within, open(endpoint))
        .await
        .map_err(|_| UpstreamError::ConnectTimeout { endpoint: endpoint.label.clone(), after: within })?
        .map_err(failed)?;
    // Requests are written whole; waiting for more to send only delays them.
    socket.set_nodelay(true).map_err(failed)?;
    let (stream, meter) = Stream::new(socket);
    let (sender, driver) = http1::Builder::new()
        .max_headers(RESPONSE_HEADERS)
        .max_header_size(RESPONSE_HEAD_BYTES)
        .max_buf_size(READ_BUFFER_BYTES)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|source| failed(io::Error::other(source)))?;
    Ok((sender, Box::new(driver), meter))
}

async fn open(endpoint: &Endpoint) -> io::Result<TcpStream> {
    match endpoint.address {
        Some(address) => TcpStream::connect(address).await,
        // All addresses of a name are tried, in the system's order.
        None => TcpStream::connect((endpoint.url.host.as_str(), endpoint.url.port)).await,
    }
}
