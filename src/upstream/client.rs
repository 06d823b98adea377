//! One request, sent once over one connection, and its response.
//!
//! A connection is driven by the task that uses it, and by nobody while it lies in the pool: before it is used
//! again it is asked whether the engine has hung up.

use std::error::Error;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::{Buf as _, Bytes, BytesMut};
use http::{HeaderMap, Method, Response, StatusCode, Version};
use http_body::{Body, Frame, SizeHint};
use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::io::poll_read_buf;

use crate::decide::headers::{may_be_trailer, strip_trailers};
use crate::decide::retry::Progress;
use crate::telemetry::kinds::ConnectionState;
use crate::upstream::answer::Answer as AnyAnswer;
use crate::upstream::error::{AnswerError, UpstreamError};
use crate::upstream::framing::{Framing, Part, check_interim};
use crate::upstream::head::{Malformed, RequestHead, ResponseHead, read_response, write_request};
use crate::upstream::pool::WorkerEndpoint;
use crate::upstream::upload::{Upload, UploadError};

/// The first read of a response; a body that fills it is read in larger pieces.
const SMALL_READ: usize = 8 * 1024;

/// The largest piece. Larger ones do not make downloads faster on loopback, and every connection may hold one.
const LARGE_READ: usize = 64 * 1024;

/// Most interim responses before a final one. They cost the engine nothing, and a client waits behind them.
const MOST_INTERIM: u32 = 64;

/// What a request body's error becomes on its way through here.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// An open connection to an endpoint, held by one request or by the pool.
pub struct Connection {
    pub(super) socket: TcpStream,
    /// What was read and not taken yet.
    inbox: BytesMut,
    /// How much to make room for before the next read.
    appetite: usize,
    /// What is to be written, and how much of it was.
    pub(super) outbox: Vec<u8>,
    pub(super) written: usize,
    /// Whether any byte of the present request was written.
    pub(super) has_written: bool,
    /// Whether it has carried a request before.
    pub reused: bool,
    /// Whether its last response was one that must not have a body: an engine that sends one all the same would
    /// answer the next request with it.
    pub(super) is_suspect: bool,
    /// When it was last put into the pool.
    pub(super) idle_since: Instant,
    counted: Counted,
}

/// Keeps a connection counted among the open ones.
#[derive(Debug)]
pub struct Counted {
    home: Rc<WorkerEndpoint>,
    /// Always there, until it is dropped.
    permit: Option<OwnedSemaphorePermit>,
}

impl Counted {
    pub(super) fn new(home: Rc<WorkerEndpoint>, permit: OwnedSemaphorePermit) -> Self {
        home.metrics.connection_entered(ConnectionState::Active);
        Self { home, permit: Some(permit) }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.home.metrics.connection_left(ConnectionState::Active);
        if self.home.shared.is_one_too_many()
            && let Some(permit) = self.permit.take()
        {
            permit.forget();
        }
    }
}

/// Why a request was not answered.
#[derive(Debug)]
pub struct Failed<B> {
    /// How it failed.
    pub error: UpstreamError,
    /// The body as it was given, when nobody has looked at it.
    pub body: Option<B>,
    /// Whether the connection had lain in the pool: then it may have been dead before the request.
    pub reused: bool,
}

impl Connection {
    pub(super) fn new(
        socket: TcpStream,
        home: Rc<WorkerEndpoint>,
        permit: OwnedSemaphorePermit,
        now: Instant,
    ) -> Box<Self> {
        Box::new(Self {
            socket,
            inbox: BytesMut::new(),
            appetite: SMALL_READ,
            outbox: Vec::new(),
            written: 0,
            has_written: false,
            reused: false,
            is_suspect: false,
            idle_since: now,
            counted: Counted::new(home, permit),
        })
    }

    /// Whether the engine has neither hung up nor said anything, as far as the reactor has heard. What an engine
    /// says unasked cannot belong to the next request.
    pub(super) fn seems_alive(&self) -> bool {
        // Without a waker: the request that comes next leaves its own, and until then nobody waits.
        self.socket.try_io(Interest::READABLE, || Ok(())).is_err()
    }

    /// As [`Connection::seems_alive`], asked of the socket itself, which costs a system call: for requests that
    /// could not be repeated.
    pub(super) fn is_certainly_alive(&self) -> bool {
        let mut byte = [MaybeUninit::uninit()];
        SockRef::from(&self.socket)
            .peek(&mut byte)
            .is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Sends a request and waits for the head of its response. The answer's body brings the connection back to
    /// the pool with its last byte. The head stays with the caller, who may have to send it again.
    ///
    /// Boxed, either way: from here the outcome is handed up through half a dozen callers, each of which would copy
    /// its 180 bytes.
    pub async fn send<B>(
        mut self: Box<Self>,
        head: &RequestHead,
        body: B,
    ) -> Result<Box<Response<AnyAnswer<B>>>, Box<Failed<B>>>
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: Into<BoxError>,
    {
        let mut upload = Upload::new(body, &head.headers);
        self.outbox.clear();
        self.written = 0;
        self.has_written = false;
        write_request(&mut self.outbox, head, upload.sending());
        let mut interim = 0;
        let mut heard = false;
        let outcome = poll_fn(|context| {
            upload.poll(&mut self, context).map_err(Fault::Upload)?;
            self.poll_head(context, &mut interim, &mut heard)
        })
        .await;
        if interim > 0 {
            self.counted.home.metrics.record_interim(interim);
        }
        let framed = outcome.and_then(|response| {
            let ResponseHead { status, version, headers, .. } = &response;
            let framing = Framing::of_response(&head.method, *status, *version, headers)?;
            Ok((response, framing))
        });
        match framed {
            Ok((response, framing)) => {
                self.is_suspect = head.method == Method::HEAD
                    || matches!(response.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
                Ok(self.answer(response, framing, upload))
            }
            Err(fault) => {
                let progress = match (heard, self.has_written) {
                    (true, _) => Progress::Answering,
                    (false, false) => Progress::NothingWritten,
                    (false, true) => Progress::Written,
                };
                let error = self.failure(fault, progress);
                Err(Box::new(Failed { error, body: upload.into_untouched(), reused: self.reused }))
            }
        }
    }

    /// Reads until a final response head is there. Interim responses are counted and dropped; 101 is final.
    fn poll_head(
        &mut self,
        context: &mut Context<'_>,
        interim: &mut u32,
        heard: &mut bool,
    ) -> Poll<Result<ResponseHead, Fault>> {
        loop {
            while !self.inbox.is_empty() {
                *heard = true;
                let Some(head) = read_response(&self.inbox)? else { break };
                self.inbox.advance(head.length);
                if head.status.is_informational() && head.status != StatusCode::SWITCHING_PROTOCOLS {
                    check_interim(&head)?;
                    *interim += 1;
                    if *interim > MOST_INTERIM {
                        return Poll::Ready(Err(Malformed("too many interim responses").into()));
                    }
                    continue;
                }
                return Poll::Ready(Ok(head));
            }
            if ready!(self.poll_read(context))? == 0 {
                return Poll::Ready(Err(Fault::Io(io::ErrorKind::UnexpectedEof.into())));
            }
        }
    }

    /// Reads more into the inbox; 0 at the end of the stream.
    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.inbox.reserve(self.appetite);
        let read = ready!(poll_read_buf(Pin::new(&mut self.socket), context, &mut self.inbox))?;
        if read >= self.appetite {
            self.appetite = LARGE_READ;
        }
        Poll::Ready(Ok(read))
    }

    fn answer<B: Body<Data = Bytes>>(
        self: Box<Self>,
        head: ResponseHead,
        framing: Framing,
        upload: Upload<B>,
    ) -> Box<Response<AnyAnswer<B>>> {
        let keep_alive = head.keep_alive;
        let switches = head.status == StatusCode::SWITCHING_PROTOCOLS;
        let upload = (!upload.is_done()).then(|| Box::new(upload));
        let mut answer = Answer { connection: Some(self), framing, keep_alive, upload };
        if !switches && answer.framing.is_done() {
            // Nobody polls a body without bytes.
            answer.release();
        }
        let mut response = Box::new(Response::new(AnyAnswer::Http1(answer)));
        *response.status_mut() = head.status;
        *response.version_mut() = Version::HTTP_11;
        *response.headers_mut() = head.headers;
        if head.status == StatusCode::NO_CONTENT {
            // RFC 9110 8.6: a server must not send it with a 204, and this one did.
            response.headers_mut().remove(http::header::CONTENT_LENGTH);
        }
        response
    }

    fn failure(&self, fault: Fault, progress: Progress) -> UpstreamError {
        let endpoint = self.counted.home.shared.label.clone();
        match fault {
            Fault::Io(source) => UpstreamError::ClosedEarly { endpoint, progress, source },
            Fault::Malformed(source) => UpstreamError::Malformed { endpoint, source },
            Fault::Upload(UploadError::Body(source)) => UpstreamError::RequestBody { source },
        }
    }
}

/// What can go wrong before a response head is there.
enum Fault {
    Io(io::Error),
    Malformed(Malformed),
    Upload(UploadError),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Malformed> for Fault {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Connection({})", self.counted.home.shared.label)
    }
}

/// The body of a response, and the connection that it comes from.
#[derive(Debug)]
pub struct Answer<B> {
    /// `None` once the last byte was taken, or the connection broke.
    connection: Option<Box<Connection>>,
    framing: Framing,
    keep_alive: bool,
    /// The rest of the request's body, when the engine answered before it had come.
    /// Boxed: rare, and an answer is moved about with every request.
    upload: Option<Box<Upload<B>>>,
}

impl<B> Answer<B> {
    /// The engine's half of a connection that has switched protocols (RFC 9110 15.2.2): the socket, what was read
    /// from it already, and what keeps the connection counted. `None` when it is gone.
    pub fn into_tunnel(self) -> Option<(TcpStream, Bytes, Counted)> {
        let Connection { socket, inbox, counted, .. } = *self.connection?;
        Some((socket, inbox.freeze(), counted))
    }

    /// Gives the connection back to its pool, or closes it when it cannot be used again: the engine said so, has
    /// not taken the whole request, or has said more than it should.
    fn release(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        if self.keep_alive && self.framing.is_done() && self.upload.is_none() && connection.inbox.is_empty() {
            connection.reused = true;
            // A large buffer's capacity alone would not tell: it is what is left behind the last part.
            if connection.appetite > SMALL_READ || connection.inbox.capacity() > SMALL_READ {
                connection.appetite = SMALL_READ;
                connection.inbox = BytesMut::new();
            }
            let home = Rc::clone(&connection.counted.home);
            home.put_back(connection);
        }
    }
}

impl<B> Answer<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    fn poll_part(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Frame<Bytes>>, AnswerError>> {
        let Some(connection) = &mut self.connection else { return Poll::Ready(Ok(None)) };
        if let Some(upload) = &mut self.upload {
            upload
                .poll(connection, context)
                .map_err(|UploadError::Body(error)| AnswerError::RequestBody(error))?;
            if upload.is_done() {
                self.upload = None;
            }
        }
        loop {
            match self.framing.take(&mut connection.inbox)? {
                Part::Data(data) => return Poll::Ready(Ok(Some(Frame::data(data)))),
                Part::Trailers(trailers) => {
                    return Poll::Ready(Ok(Some(Frame::trailers(strip_trailers(trailers)))));
                }
                Part::End => return Poll::Ready(Ok(None)),
                Part::More => {}
            }
            if ready!(connection.poll_read(context))? == 0 {
                let whole = self.framing.may_end_here();
                self.connection = None;
                return Poll::Ready(if whole { Ok(None) } else { Err(AnswerError::Cut) });
            }
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
        let part = ready!(self.poll_part(context));
        if part.is_err() {
            self.connection = None;
        } else if self.framing.is_done() || matches!(part, Ok(None)) {
            self.release();
        }
        Poll::Ready(part.transpose())
    }

    fn is_end_stream(&self) -> bool {
        self.connection.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.framing {
            Framing::Length(left) => SizeHint::with_exact(*left),
            Framing::Chunked(_) | Framing::UntilClose => SizeHint::default(),
        }
    }
}

/// Names of the header lines that the sender says its trailers will have.
pub(super) fn declared_trailers(headers: &HeaderMap) -> Vec<http::HeaderName> {
    let lines = headers.get_all(http::header::TRAILER).iter();
    let names = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii));
    names.filter_map(|name| http::HeaderName::from_bytes(name).ok()).filter(may_be_trailer).collect()
}
