//! The body of a response, whatever an engine speaks.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::net::TcpStream;

use crate::upstream::client::{self, BoxError, Counted};
use crate::upstream::error::AnswerError;
use crate::upstream::h2;

/// The body of a response, and what it comes by.
#[derive(Debug)]
pub enum Answer<B> {
    /// A connection of its own.
    Http1(client::Answer<B>),
    /// A stream of a connection that others use as well.
    Http2(h2::answer::Answer<B>),
}

impl<B> Answer<B> {
    /// The engine's half of a connection that has switched protocols (RFC 9110 15.2.2): the socket, what was read
    /// from it already, and what keeps the connection counted. `None` when it is gone.
    pub fn into_tunnel(self) -> Option<(TcpStream, Bytes, Counted)> {
        match self {
            Self::Http1(answer) => answer.into_tunnel(),
            Self::Http2(_) => None,
        }
    }
}

impl<B> Body for Answer<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = AnswerError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, AnswerError>>> {
        match &mut *self {
            Self::Http1(answer) => Pin::new(answer).poll_frame(context),
            Self::Http2(answer) => Poll::Ready(ready!(answer.poll_part(context)).transpose()),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Http1(answer) => answer.is_end_stream(),
            Self::Http2(answer) => answer.is_over(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Http1(answer) => answer.size_hint(),
            Self::Http2(answer) => answer.size_hint(),
        }
    }
}
