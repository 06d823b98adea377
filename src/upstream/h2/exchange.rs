//! One request, sent once over one stream, and its response.

use std::future::{Future as _, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::Poll;

use h2::Reason;
use http::header::CONTENT_LENGTH;
use http::{Method, Response, StatusCode, Version};

use crate::decide::retry::Progress;
use crate::upstream::answer::Answer;
use crate::upstream::client::{BoxError, Failed};
use crate::upstream::error::UpstreamError;
use crate::upstream::framing::Framing;
use crate::upstream::h2::answer;
use crate::upstream::h2::head::request;
use crate::upstream::h2::streams::Slot;
use crate::upstream::h2::upload::{Unread, Upload};
use crate::upstream::head::{MOST_LINES, Malformed, RequestHead, Sending};

/// What can go wrong before a response head is there.
enum Fault {
    Stream(h2::Error),
    Malformed(Malformed),
    Upload(BoxError),
}

impl Slot {
    /// Sends a request and waits for the head of its response. The answer's body keeps the stream until its last byte.
    pub async fn send<B>(
        self,
        head: &RequestHead,
        body: B,
    ) -> Result<Box<Response<Answer<B>>>, Box<Failed<B>>>
    where
        B: Unread,
        B::Error: Into<BoxError>,
    {
        let sending = Sending::of(&body);
        let request = request(head, sending, &mut self.home.multiplexed.authority.borrow_mut());
        let (written, reused) = (self.connection.traffic.written(), self.connection.has_answered.get());
        // A handle of its own: the shared one would remember a stream that has to wait.
        let sent = self.connection.sender().clone().send_request(request, sending == Sending::Nothing);
        let (mut response, stream) = match sent {
            Ok(sent) => sent,
            Err(error) => {
                let error = self.closed_early(Progress::NothingWritten, error);
                return Err(Box::new(Failed { error, body: Some(body), reused }));
            }
        };
        let (mut upload, mut nothing) = if sending == Sending::Nothing {
            (None, Some(body))
        } else {
            (Some(Box::new(Upload::new(body, stream, head))), None)
        };
        let mut interim = 0;
        let outcome = poll_fn(|context| {
            if let Some(upload) = &mut upload {
                upload.poll(context).map_err(Fault::Upload)?;
            }
            while let Poll::Ready(Some(Ok(head))) = response.poll_informational(context) {
                interim += 1;
                if head.status() == StatusCode::SWITCHING_PROTOCOLS {
                    // RFC 9113 8.6
                    return Poll::Ready(Err(Fault::Malformed(Malformed("101 over HTTP/2"))));
                }
            }
            Pin::new(&mut response).poll(context).map_err(Fault::Stream)
        })
        .await;
        if interim > 0 {
            self.home.metrics.record_interim(interim);
        }
        let framed = outcome.and_then(|response| {
            let length = length_of(&head.method, &response).map_err(Fault::Malformed)?;
            Ok((response, length))
        });
        match framed {
            Ok((response, length)) => {
                self.connection.has_answered.set(true);
                let upload = upload.filter(|upload| !upload.is_done()).map(|mut upload| {
                    upload.is_answered();
                    upload
                });
                Ok(self.answer(&head.method, response, length, upload))
            }
            Err(fault) => {
                let error = self.failure(fault, written);
                let body = match error.progress() {
                    Progress::NothingWritten => {
                        upload.map_or_else(|| nothing.take(), |upload| upload.into_whole())
                    }
                    Progress::Written | Progress::Answering => None,
                };
                Err(Box::new(Failed { error, body, reused }))
            }
        }
    }

    fn answer<B>(
        self,
        method: &Method,
        response: Response<h2::RecvStream>,
        length: Option<u64>,
        upload: Option<Box<Upload<B>>>,
    ) -> Box<Response<Answer<B>>> {
        let (parts, stream) = response.into_parts();
        // RFC 9110 6.4.1. Whatever an engine sends all the same is cancelled.
        let has_body = *method != Method::HEAD
            && !matches!(parts.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let answer = answer::Answer::new(stream, length, has_body, upload, self);
        let mut response = Box::new(Response::new(Answer::Http2(answer)));
        *response.status_mut() = parts.status;
        *response.version_mut() = Version::HTTP_11;
        *response.headers_mut() = parts.headers;
        if parts.status == StatusCode::NO_CONTENT {
            // RFC 9110 8.6: a server must not send it with a 204.
            response.headers_mut().remove(CONTENT_LENGTH);
        }
        response
    }

    /// How a request failed. `written` is how much had been written on the connection before it.
    fn failure(&self, fault: Fault, written: u64) -> UpstreamError {
        let endpoint = || self.home.shared.label.clone();
        match fault {
            Fault::Malformed(source) => UpstreamError::Malformed { endpoint: endpoint(), source },
            Fault::Upload(source) => UpstreamError::RequestBody { source },
            Fault::Stream(error) if is_malformed(&error) => UpstreamError::Malformed {
                endpoint: endpoint(),
                source: Malformed("breaks the rules of HTTP/2"),
            },
            Fault::Stream(error) => {
                let unseen = was_not_looked_at(&error) || self.connection.traffic.written() == written;
                let progress = if unseen { Progress::NothingWritten } else { Progress::Written };
                self.closed_early(progress, error)
            }
        }
    }

    fn closed_early(&self, progress: Progress, error: h2::Error) -> UpstreamError {
        let endpoint = self.home.shared.label.clone();
        let source = if error.is_io() {
            error.into_io().unwrap_or_else(|| io::ErrorKind::BrokenPipe.into())
        } else {
            io::Error::other(error)
        };
        UpstreamError::ClosedEarly { endpoint, progress, source }
    }
}

/// Whether the engine says that it has not looked at the request, which is then as good as unsent: by a GOAWAY whose
/// last stream is an earlier one (RFC 9113 6.8; streams up to that one do not end by it), or by REFUSED_STREAM (8.7).
fn was_not_looked_at(error: &h2::Error) -> bool {
    error.is_remote() && (error.is_go_away() || error.reason() == Some(Reason::REFUSED_STREAM))
}

/// Whether the `h2` crate has ended the stream, or its connection, because the engine broke the rules.
fn is_malformed(error: &h2::Error) -> bool {
    (error.is_reset() || error.is_go_away()) && error.is_library()
}

/// How long the body is, where the head says so. RFC 9113 8.1.1 and 8.2.2, as far as the `h2` crate leaves it to us.
fn length_of(method: &Method, response: &Response<h2::RecvStream>) -> Result<Option<u64>, Malformed> {
    if response.headers().len() > MOST_LINES {
        return Err(Malformed("too many header lines"));
    }
    match Framing::of_response(method, response.status(), Version::HTTP_11, response.headers())? {
        Framing::Length(length) => Ok(Some(length)),
        Framing::UntilClose => Ok(None),
        Framing::Chunked(_) => Err(Malformed("Transfer-Encoding over HTTP/2")),
    }
}
