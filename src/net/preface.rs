//! Which HTTP a client speaks on a plain listener: the first bytes tell (RFC 9113 3.4).

use std::future::poll_fn;
use std::io;
use std::pin::Pin;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::io::poll_read_buf;

use crate::net::stream::Stream;

/// What a client begins with that knows that we speak HTTP/2. No request of HTTP/1 begins so.
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A first read of ordinary size: what comes with it is handed on.
const FIRST_READ: usize = 4096;

/// Whether these first bytes are HTTP/2; `None` while they could be either.
pub fn is_http2(first: &[u8]) -> Option<bool> {
    let length = first.len().min(PREFACE.len());
    if first[..length] != PREFACE[..length] {
        return Some(false);
    }
    (length == PREFACE.len()).then_some(true)
}

/// Reads until it is clear what the client speaks. What was read stays to be read.
pub async fn speaks_http2<T>(stream: &mut Stream<T>) -> io::Result<bool>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let mut first = BytesMut::with_capacity(FIRST_READ);
    let answer = poll_fn(|context| {
        loop {
            stream.register(context.waker());
            let read = std::task::ready!(poll_read_buf(Pin::new(&mut *stream), context, &mut first))?;
            // Whoever hangs up here has said something that is no HTTP/2.
            match is_http2(&first) {
                None if read > 0 => {}
                answer => return std::task::Poll::Ready(Ok::<_, io::Error>(answer.unwrap_or(false))),
            }
        }
    })
    .await?;
    stream.unread(Bytes::from(first));
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_tell_as_soon_as_they_can() {
        for length in 0..PREFACE.len() {
            assert_eq!(is_http2(&PREFACE[..length]), None, "{length}");
        }
        assert_eq!(is_http2(PREFACE), Some(true));
        assert_eq!(is_http2(&[PREFACE, b"more"].concat()), Some(true));
        for other in [&b"G"[..], b"PUT / HTTP/1.1", b"PR ", b"PRI * HTTP/1.1", b"PRI * HTTP/2.0\r\n\r\nXM"] {
            assert_eq!(is_http2(other), Some(false));
        }
    }
}
