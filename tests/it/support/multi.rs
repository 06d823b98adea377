//! HTTP/2: a client made of the `h2` crate, and frames written by hand.

use std::net::SocketAddr;

use bytes::Bytes;
use h2::client::{Connection, ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Request, Response};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::wire::PATIENCE;

/// A connection of a client.
pub(crate) struct Multi {
    runtime: Runtime,
    sender: SendRequest<Bytes>,
    driver: JoinHandle<Result<(), h2::Error>>,
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Whole {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: HeaderMap,
}

impl Whole {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

impl Multi {
    pub(crate) fn to(address: SocketAddr) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let (sender, driver) = runtime.block_on(async {
            let socket = TcpStream::connect(address).await.expect("somebody listens");
            let (sender, connection): (_, Connection<TcpStream, Bytes>) = h2::client::Builder::new()
                .initial_window_size(1 << 20)
                .handshake(socket)
                .await
                .expect("a preface");
            let driver = tokio::spawn(connection);
            // Until the server's settings are here, nobody knows what it allows.
            let sender = sender.ready().await.expect("settings");
            (sender, driver)
        });
        Self { runtime, sender, driver }
    }

    /// A request that is not sent yet.
    pub(crate) fn request(method: &str, path: &str) -> http::request::Builder {
        Request::builder().method(method).uri(format!("http://portal.example.com{path}"))
    }

    /// Sends a request, with a body where there is one, and reads the whole answer.
    pub(crate) fn ask(&mut self, request: Request<()>, body: &[u8]) -> Result<Whole, h2::Error> {
        let (answer, mut stream) = self.begin(request, body.is_empty());
        if !body.is_empty() {
            // Whoever answers before it has heard everything ends the stream.
            let _ = self.runtime.block_on(send_all(&mut stream, Bytes::copy_from_slice(body)));
        }
        self.finish(answer)
    }

    pub(crate) fn get(&mut self, path: &str) -> Whole {
        let request = Self::request("GET", path).body(()).expect("a request");
        self.ask(request, b"").expect("an answer")
    }

    /// Begins a request.
    pub(crate) fn begin(
        &mut self,
        request: Request<()>,
        is_whole: bool,
    ) -> (ResponseFuture, SendStream<Bytes>) {
        let runtime = &self.runtime;
        let sender = self.sender.clone();
        let mut sender = runtime
            .block_on(async { timeout(PATIENCE, sender.ready()).await.expect("in time") })
            .expect("ready");
        sender.send_request(request, is_whole).expect("a stream")
    }

    /// Reads the whole answer.
    pub(crate) fn finish(&self, answer: ResponseFuture) -> Result<Whole, h2::Error> {
        self.run(async { whole(answer.await?).await })
    }

    /// Runs something that takes this connection.
    pub(crate) fn run<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(async { timeout(PATIENCE, work).await.expect("in time") })
    }

    /// Whether no new stream may be opened any more.
    pub(crate) fn is_refused(&self) -> bool {
        let sender = self.sender.clone();
        self.run(async { sender.ready().await.is_err() })
    }

    /// Waits for the connection to end.
    pub(crate) fn ended(self) -> Result<(), h2::Error> {
        let Self { runtime, sender, driver } = self;
        drop(sender);
        runtime.block_on(async { timeout(PATIENCE, driver).await.expect("in time").expect("no panic") })
    }
}

async fn whole(response: Response<RecvStream>) -> Result<Whole, h2::Error> {
    let (parts, mut stream) = response.into_parts();
    let mut body = Vec::new();
    while let Some(data) = stream.data().await {
        let data = data?;
        stream.flow_control().release_capacity(data.len())?;
        body.extend_from_slice(&data);
    }
    let trailers = stream.trailers().await?.unwrap_or_default();
    Ok(Whole { status: parts.status.as_u16(), headers: parts.headers, body, trailers })
}

/// Sends a whole body, as the other side makes room for it.
async fn send_all(stream: &mut SendStream<Bytes>, mut body: Bytes) -> Result<(), h2::Error> {
    while !body.is_empty() {
        stream.reserve_capacity(body.len());
        let room = std::future::poll_fn(|context| stream.poll_capacity(context)).await;
        let room = room.unwrap_or(Ok(0))?.min(body.len());
        stream.send_data(body.split_to(room), false)?;
    }
    stream.send_data(Bytes::new(), true)
}

/// What a client sends first (RFC 9113 3.4), with empty settings.
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// A frame (RFC 9113 4.1).
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Header fields without compression (RFC 7541 6.2.2).
pub(crate) fn fields(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            assert!(text.len() < 127, "{text}");
            block.push(text.len() as u8);
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

/// The fields of a `GET /`.
pub(crate) const GET: &[(&str, &str)] =
    &[(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "portal.example.com")];

/// The status of an answer's header block, which begins with it: as one of the static table (RFC 7541 A), or as three
/// digits beside a name of the table, in Huffman's code (RFC 7541 B) or plain.
pub(crate) fn status(block: &[u8]) -> u16 {
    const KNOWN: [u16; 7] = [200, 204, 206, 304, 400, 404, 500];
    let first = block[0];
    if (0x88..=0x8e).contains(&first) {
        return KNOWN[usize::from(first - 0x88)];
    }
    assert!([0x08, 0x18, 0x48].contains(&first), "no status in {block:?}");
    let value = &block[2..2 + usize::from(block[1] & 0x7f)];
    if block[1] & 0x80 == 0 {
        return std::str::from_utf8(value).expect("digits").parse().expect("a number");
    }
    let bits: Vec<u8> = value.iter().flat_map(|byte| (0..8).rev().map(move |at| byte >> at & 1)).collect();
    let number = |bits: &[u8]| bits.iter().fold(0, |number, bit| number << 1 | u16::from(*bit));
    let (mut at, mut status) = (0, 0);
    for _ in 0..3 {
        // 0, 1 and 2 have five bits, the other digits six, from 25 on.
        let (digit, length) = match number(&bits[at..at + 5]) {
            short @ 0..=2 => (short, 5),
            _ => (number(&bits[at..at + 6]) - 25 + 3, 6),
        };
        status = status * 10 + digit;
        at += length;
    }
    status
}
