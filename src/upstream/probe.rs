//! One probe: a request over a connection of its own, and whether its answer is that of an endpoint that is well.
//!
//! The connection is new each time: an endpoint that accepts no more is not well, whatever it still says on old ones.

use std::io;
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use http::header::USER_AGENT;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, Version};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::config::model::Probing;
use crate::upstream::endpoint::Endpoint;
use crate::upstream::error::UpstreamError;
use crate::upstream::framing::{Framing, Part};
use crate::upstream::head::{Malformed, read_response};
use crate::upstream::pool::connect;

/// So much of a body is looked at.
const MOST_BODY: usize = 64 * 1024;

/// A room for reading; heads of health pages are smaller.
const READ: usize = 4 * 1024;

/// What engines read as `User-Agent`.
const NAME: &str = concat!("cutover-probe/", env!("CARGO_PKG_VERSION"));

/// How an endpoint is probed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Probe {
    /// What is asked, how often, and what an answer must be.
    pub rules: Probing,
    /// The host that is asked for.
    pub host: String,
    /// Whether in HTTP/2.
    pub http2: bool,
}

/// Why a probe failed.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// No connection came about.
    #[error("{0}")]
    Connect(&'static str),
    /// Not all of it happened in time.
    #[error("no whole answer within {0:?}")]
    Late(Duration),
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(#[from] io::Error),
    /// What came is not HTTP.
    #[error("the answer is not HTTP: {0}")]
    Malformed(#[from] Malformed),
    /// The stream or its connection broke.
    #[error("the connection broke: {0}")]
    Http2(#[from] h2::Error),
    /// The answer has a status that says something else.
    #[error("status {}", .0.as_u16())]
    Status(StatusCode),
    /// The answer does not say what it should.
    #[error("the body does not hold what health.body says")]
    Body,
}

impl Probe {
    /// Asks an endpoint.
    pub async fn ask(&self, endpoint: &Endpoint) -> Result<(), ProbeError> {
        let within = self.rules.timeout;
        let exchange = async {
            let socket = connect(endpoint, within).await.map_err(|error| {
                ProbeError::Connect(match error {
                    UpstreamError::Connect { source, .. }
                        if source.kind() == io::ErrorKind::ConnectionRefused =>
                    {
                        "connection refused"
                    }
                    UpstreamError::ConnectTimeout { .. } => "no connection in time",
                    _others => "no connection",
                })
            })?;
            if self.http2 { self.by_http2(socket).await } else { self.by_http1(socket).await }
        };
        tokio::time::timeout(within, exchange).await.unwrap_or(Err(ProbeError::Late(within)))
    }

    async fn by_http1(&self, mut socket: TcpStream) -> Result<(), ProbeError> {
        let head = format!(
            "GET {} HTTP/1.1\r\nhost: {}\r\nuser-agent: {NAME}\r\naccept: */*\r\nconnection: close\r\n\r\n",
            self.rules.path, self.host
        );
        socket.write_all(head.as_bytes()).await?;
        let mut inbox = BytesMut::with_capacity(READ);
        let (status, version, headers) = loop {
            if let Some(head) = read_response(&inbox)? {
                inbox.advance(head.length);
                if head.status.is_informational() && head.status != StatusCode::SWITCHING_PROTOCOLS {
                    continue;
                }
                break (head.status, head.version, head.headers);
            }
            more(&mut socket, &mut inbox).await?;
        };
        self.check_status(status)?;
        let Some(wanted) = &self.rules.body else { return Ok(()) };
        let body = read_body(&mut socket, inbox, status, version, &headers).await?;
        check_body(&body, wanted)
    }

    async fn by_http2(&self, socket: TcpStream) -> Result<(), ProbeError> {
        let (mut sender, connection) = h2::client::handshake(socket).await?;
        let exchange = async {
            let mut request = Request::new(());
            let uri = format!("http://{}{}", self.host, self.rules.path);
            *request.uri_mut() = Uri::try_from(uri).map_err(|_| Malformed("no URL"))?;
            request.headers_mut().insert(USER_AGENT, HeaderValue::from_static(NAME));
            let (response, _) = sender.send_request(request, true)?;
            let (head, mut stream) = response.await?.into_parts();
            self.check_status(head.status)?;
            let Some(wanted) = &self.rules.body else { return Ok(()) };
            let mut body = BytesMut::new();
            while let Some(part) = stream.data().await {
                let part: Bytes = part?;
                let _ = stream.flow_control().release_capacity(part.len());
                body.extend_from_slice(&part);
                if body.len() >= MOST_BODY {
                    break;
                }
            }
            check_body(&body, wanted)
        };
        tokio::select! {
            outcome = exchange => outcome,
            ended = connection => {
                ended?;
                Err(ProbeError::Broken(io::ErrorKind::UnexpectedEof.into()))
            }
        }
    }

    fn check_status(&self, status: StatusCode) -> Result<(), ProbeError> {
        if self.rules.status.contains(status) { Ok(()) } else { Err(ProbeError::Status(status)) }
    }
}

async fn more(socket: &mut TcpStream, inbox: &mut BytesMut) -> Result<(), ProbeError> {
    inbox.reserve(READ);
    match socket.read_buf(inbox).await? {
        0 => Err(ProbeError::Broken(io::ErrorKind::UnexpectedEof.into())),
        _ => Ok(()),
    }
}

/// The body, or as much of it as is looked at.
async fn read_body(
    socket: &mut TcpStream,
    mut inbox: BytesMut,
    status: StatusCode,
    version: Version,
    headers: &HeaderMap,
) -> Result<BytesMut, ProbeError> {
    let mut framing = Framing::of_response(&Method::GET, status, version, headers)?;
    let mut body = BytesMut::new();
    while body.len() < MOST_BODY {
        match framing.take(&mut inbox)? {
            Part::Data(data) => body.extend_from_slice(&data),
            Part::Trailers(_) | Part::End => break,
            Part::More => {
                inbox.reserve(READ);
                if socket.read_buf(&mut inbox).await? == 0 {
                    if framing.may_end_here() {
                        break;
                    }
                    return Err(ProbeError::Broken(io::ErrorKind::UnexpectedEof.into()));
                }
            }
        }
    }
    Ok(body)
}

fn check_body(body: &[u8], wanted: &str) -> Result<(), ProbeError> {
    let found = memchr::memmem::find(&body[..body.len().min(MOST_BODY)], wanted.as_bytes());
    if found.is_some() { Ok(()) } else { Err(ProbeError::Body) }
}
