//! The body of a response that comes by a stream.

use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::{Reason, RecvStream};
use http_body::{Body, Frame, SizeHint};

use crate::upstream::client::BoxError;
use crate::upstream::error::AnswerError;
use crate::upstream::h2::streams::Slot;
use crate::upstream::h2::upload::Upload;
use crate::upstream::head::Malformed;

/// The body of a response, and the stream that it comes by. Dropped before its end it cancels the stream (RFC 9113
/// 8.7, `CANCEL`).
#[derive(Debug)]
pub struct Answer<B> {
    /// `None` once the last byte was taken, or the stream broke.
    open: Option<Open<B>>,
    /// Bytes that are still to come, when the head has said how many.
    left: Option<u64>,
}

#[derive(Debug)]
struct Open<B> {
    stream: RecvStream,
    /// Whether the last of the data was taken; trailers may follow.
    is_past_data: bool,
    /// The rest of the request's body, when the engine answered before it had come.
    upload: Option<Box<Upload<B>>>,
    /// Keeps the stream counted.
    _slot: Slot,
}

impl<B> Answer<B> {
    /// `length` is what the head says; `has_body` whether there may be one at all.
    pub(super) fn new(
        stream: RecvStream,
        length: Option<u64>,
        has_body: bool,
        upload: Option<Box<Upload<B>>>,
        slot: Slot,
    ) -> Self {
        if !has_body || stream.is_end_stream() {
            return Self { open: None, left: Some(0) };
        }
        Self { open: Some(Open { stream, is_past_data: false, upload, _slot: slot }), left: length }
    }

    /// Whether the last byte was taken.
    pub(crate) fn is_over(&self) -> bool {
        self.open.is_none()
    }

    /// What is known of how much is to come.
    pub(crate) fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl<B> Answer<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    /// The next part.
    pub(crate) fn poll_part(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Option<Frame<Bytes>>, AnswerError>> {
        let Some(open) = &mut self.open else { return Poll::Ready(Ok(None)) };
        let part = ready!(open.poll_part(context));
        if let (Some(left), Ok(Some(frame))) = (&mut self.left, &part) {
            // The `h2` crate holds the engine to what its head says (RFC 9113 8.1.1).
            *left = left.saturating_sub(frame.data_ref().map_or(0, |data| data.len() as u64));
        }
        let is_last = match &part {
            Ok(Some(frame)) => frame.is_trailers() || open.stream.is_end_stream(),
            Ok(None) | Err(_) => true,
        };
        if is_last {
            self.open = None;
        }
        Poll::Ready(part)
    }
}

impl<B> Open<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    fn poll_part(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Frame<Bytes>>, AnswerError>> {
        if let Some(upload) = &mut self.upload {
            upload.poll(context).map_err(AnswerError::RequestBody)?;
            if upload.is_done() {
                self.upload = None;
            }
        }
        while !self.is_past_data {
            match ready!(self.stream.poll_data(context)).transpose().map_err(broken)? {
                Some(data) => {
                    // What the client does not take is not asked for: this is only polled when there is room for more.
                    let _ = self.stream.flow_control().release_capacity(data.len());
                    if !data.is_empty() {
                        return Poll::Ready(Ok(Some(Frame::data(data))));
                    }
                }
                None => self.is_past_data = true,
            }
        }
        let trailers = ready!(self.stream.poll_trailers(context)).map_err(broken)?;
        Poll::Ready(Ok(trailers.filter(|trailers| !trailers.is_empty()).map(Frame::trailers)))
    }
}

/// Why a stream ended in the middle of a body. Whatever reason an engine gives, without an END_STREAM the body is cut.
fn broken(error: h2::Error) -> AnswerError {
    if error.is_library() && error.reason() == Some(Reason::PROTOCOL_ERROR) {
        return AnswerError::Malformed(Malformed("breaks the rules of HTTP/2"));
    }
    AnswerError::Http2(error)
}
