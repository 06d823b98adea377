//! Engines that speak HTTP/2: one made of the `h2` crate's server, and one that writes its frames by hand.

use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, Request, Response};
use tokio::runtime::Builder;
use tokio::sync::{Notify, watch};
use tokio::task::spawn;

use super::engine::Conn;
use super::multi::frame;

/// A request that an engine got whole.
#[derive(Clone, Debug)]
pub(crate) struct Got {
    pub(crate) method: String,
    pub(crate) uri: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: HeaderMap,
}

impl Got {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let mut lines = self.headers.get_all(name).iter();
        let first = lines.next().and_then(|line| line.to_str().ok());
        assert!(lines.next().is_none(), "{name} came twice in {:?}", self.headers);
        first
    }
}

#[derive(Default)]
struct Seen {
    accepts: AtomicUsize,
    open: AtomicUsize,
    most: AtomicUsize,
    resets: Mutex<Vec<Reason>>,
    requests: Mutex<Vec<Got>>,
    may_go_on: AtomicBool,
    go_on: Notify,
}

/// A request in the hands of a script.
pub(crate) struct Asked {
    seen: Arc<Seen>,
    pub(crate) request: Request<RecvStream>,
    pub(crate) respond: SendResponse<Bytes>,
}

impl Asked {
    /// Reads the whole request; `None` when it is cut.
    pub(crate) async fn read(&mut self) -> Option<Got> {
        let (mut body, stream) = (Vec::new(), self.request.body_mut());
        while let Some(data) = stream.data().await {
            let Ok(data) = data else {
                self.note_reset().await;
                return None;
            };
            stream.flow_control().release_capacity(data.len()).expect("it was taken");
            body.extend_from_slice(&data);
        }
        let trailers = stream.trailers().await.ok()?.unwrap_or_default();
        let got = Got {
            method: self.request.method().to_string(),
            uri: self.request.uri().to_string(),
            headers: self.request.headers().clone(),
            body,
            trailers,
        };
        self.seen.requests.lock().expect("no panic").push(got.clone());
        Some(got)
    }

    /// Begins an answer; without a body it is the whole of it.
    pub(crate) fn begin(&mut self, head: http::response::Builder, is_whole: bool) -> SendStream<Bytes> {
        self.respond.send_response(head.body(()).expect("a head"), is_whole).expect("a stream")
    }

    /// Answers with 200 and these bytes.
    pub(crate) async fn answer(&mut self, body: impl Into<Bytes>) {
        let mut stream = self.begin(Response::builder(), false);
        send(&mut stream, body.into()).await;
        let _ = stream.send_data(Bytes::new(), true);
    }

    /// Waits for the test to say [`MultiEngine::go_on`].
    pub(crate) async fn wait(&self) {
        loop {
            let told = self.seen.go_on.notified();
            if self.seen.may_go_on.load(Ordering::SeqCst) {
                return;
            }
            told.await;
        }
    }

    /// Waits for the proxy to reset the stream, and notes why.
    pub(crate) async fn note_reset(&mut self) {
        if let Ok(reason) = std::future::poll_fn(|context| self.respond.poll_reset(context)).await {
            self.seen.resets.lock().expect("no panic").push(reason);
        }
    }

    /// As [`Asked::note_reset`], once an answer was begun.
    pub(crate) async fn note_reset_of(&self, stream: &mut SendStream<Bytes>) {
        if let Ok(reason) = std::future::poll_fn(|context| stream.poll_reset(context)).await {
            self.seen.resets.lock().expect("no panic").push(reason);
        }
    }
}

/// Sends bytes as the other side makes room for them.
pub(crate) async fn send(stream: &mut SendStream<Bytes>, mut bytes: Bytes) {
    while !bytes.is_empty() {
        stream.reserve_capacity(bytes.len());
        let room = std::future::poll_fn(|context| stream.poll_capacity(context)).await;
        let Some(Ok(room)) = room else { return };
        if stream.send_data(bytes.split_to(room.min(bytes.len())), false).is_err() {
            return;
        }
    }
}

type Script = dyn Fn(Asked) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync;

/// An upstream server that speaks HTTP/2 by prior knowledge, and nothing else.
pub(crate) struct MultiEngine {
    address: SocketAddr,
    seen: Arc<Seen>,
    leaving: watch::Sender<usize>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
}

impl MultiEngine {
    /// Answers every request with 200 and these words.
    pub(crate) fn answering(words: &'static str) -> Self {
        Self::script(100, move |mut asked| async move {
            if asked.read().await.is_some() {
                asked.answer(words).await;
            }
        })
    }

    /// Does this with every request, of so many at a time per connection.
    pub(crate) fn script<F>(most: u32, script: impl Fn(Asked) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("non-blocking");
        let address = listener.local_addr().expect("an address");
        let seen = Arc::<Seen>::default();
        let (leaving, leave) = watch::channel(0);
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let script: Arc<Script> = Arc::new(move |asked| Box::pin(script(asked)));
        let of_thread = Arc::clone(&seen);
        std::thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async move {
                tokio::select! {
                    () = accept(listener, most, of_thread, leave, script) => {}
                    _ = stopped => {}
                }
            });
        });
        Self { address, seen, leaving, stop: Some(stop) }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Connections so far.
    pub(crate) fn accepts(&self) -> usize {
        self.seen.accepts.load(Ordering::SeqCst)
    }

    /// Requests that were in hand at one time, at most.
    pub(crate) fn most_at_a_time(&self) -> usize {
        self.seen.most.load(Ordering::SeqCst)
    }

    /// Requests that are in hand.
    pub(crate) fn in_hand(&self) -> usize {
        self.seen.open.load(Ordering::SeqCst)
    }

    /// Why streams were reset by the proxy.
    pub(crate) fn resets(&self) -> Vec<Reason> {
        self.seen.resets.lock().expect("no panic").clone()
    }

    /// Every whole request so far.
    pub(crate) fn requests(&self) -> Vec<Got> {
        self.seen.requests.lock().expect("no panic").clone()
    }

    /// The newest whole request.
    pub(crate) fn last(&self) -> Got {
        self.requests().pop().expect("a request")
    }

    /// Lets scripts that wait for it go on.
    pub(crate) fn go_on(&self) {
        self.seen.may_go_on.store(true, Ordering::SeqCst);
        self.seen.go_on.notify_waiters();
    }

    /// Sends GOAWAY on every connection and finishes what it has accepted, as a server does that restarts.
    pub(crate) fn goes_away(&self) {
        self.leaving.send_modify(|count| *count += 1);
    }

    /// Is gone, with all its connections.
    pub(crate) fn stop(&mut self) {
        self.stop = None;
    }
}

async fn accept(
    listener: TcpListener,
    most: u32,
    seen: Arc<Seen>,
    leave: watch::Receiver<usize>,
    script: Arc<Script>,
) {
    let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
    while let Ok((socket, _)) = listener.accept().await {
        seen.accepts.fetch_add(1, Ordering::SeqCst);
        let (seen, script, mut leave) = (Arc::clone(&seen), Arc::clone(&script), leave.clone());
        leave.mark_unchanged();
        spawn(async move {
            let handshake = h2::server::Builder::new()
                .max_concurrent_streams(most)
                .initial_window_size(256 * 1024)
                .handshake::<_, Bytes>(socket);
            let Ok(mut connection) = handshake.await else { return };
            loop {
                tokio::select! {
                    next = connection.accept() => {
                        let Some(Ok((request, respond))) = next else { return };
                        let asked = Asked { seen: Arc::clone(&seen), request, respond };
                        let now = seen.open.fetch_add(1, Ordering::SeqCst) + 1;
                        seen.most.fetch_max(now, Ordering::SeqCst);
                        let (script, seen) = (Arc::clone(&script), Arc::clone(&seen));
                        spawn(async move {
                            script(asked).await;
                            seen.open.fetch_sub(1, Ordering::SeqCst);
                        });
                    }
                    Ok(()) = leave.changed() => connection.graceful_shutdown(),
                }
            }
        });
    }
}

/// One frame.
#[derive(Debug)]
pub(crate) struct Framed {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

/// Reads the next frame; `None` when the proxy hangs up.
pub(crate) fn next_frame(conn: &mut Conn) -> Option<Framed> {
    let head = conn.take(9)?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
    let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
    let payload = conn.take(length)?;
    Some(Framed { kind: head[3], flags: head[4], stream, payload })
}

/// Reads what a client sends first, sends settings, and answers the PING that the proxy begins with.
pub(crate) fn settle(conn: &mut Conn) -> Option<()> {
    assert_eq!(conn.take(24)?, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    conn.send(frame(4, 0, 0, b""));
    loop {
        let got = next_frame(conn)?;
        match (got.kind, got.flags) {
            (4, 0) => {
                conn.send(frame(4, 1, 0, b""));
            }
            (6, 0) => {
                conn.send(frame(6, 1, 0, &got.payload));
                return Some(());
            }
            _ => {}
        }
    }
}

/// The stream of the next request's head; answers PINGs on the way.
pub(crate) fn next_request(conn: &mut Conn) -> Option<u32> {
    loop {
        let got = next_frame(conn)?;
        match (got.kind, got.flags) {
            (1, _) => return Some(got.stream),
            (6, 0) => {
                conn.send(frame(6, 1, 0, &got.payload));
            }
            _ => {}
        }
    }
}
