//! One admin listener: its connections, and what it takes to end them politely.

use std::convert::Infallible;
use std::io;
use std::net::TcpListener as StdListener;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tower::ServiceExt;
use tower::util::BoxCloneService;

use crate::admin::{AdminState, api};
use crate::net::listener::Acceptor;

/// Operators, probes and scrapers of one proxy are a handful; a hundred are a mistake that must not cost the
/// traffic its descriptors.
const CONNECTIONS: usize = 100;

/// The largest head: a bearer token, and the odd cookie of whatever else lives on this host.
const HEAD_BYTES: usize = 16 * 1024;

/// From one answer to the whole of the next head.
const HEAD_PATIENCE: Duration = Duration::from_secs(30);

/// A connection that is older gets no further request: whoever stopped reading in the middle of a scrape would
/// keep it otherwise. Scrapers open another one without noticing.
const CONNECTION_AGE: Duration = Duration::from_secs(300);

/// How long the request may take that is under way when its connection is to end.
const LAST_REQUEST: Duration = Duration::from_secs(60);

/// The whole of the API as one service, ready to be cloned for each request.
type Service = BoxCloneService<Request<Body>, Response, Infallible>;

/// A listener that accepts. Dropping it closes the listener; its connections finish what they are at.
#[derive(Debug)]
pub(super) struct Listening {
    /// Never sent on: connections notice when it is dropped.
    _open: watch::Sender<()>,
}

impl Listening {
    /// Accepts on a task of the current runtime.
    pub(super) fn start(state: &Arc<AdminState>, listener: StdListener) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let service = api::service(Arc::clone(state), address);
        let acceptor = Acceptor::new(listener)?;
        let (open, closed) = watch::channel(());
        tokio::spawn(accept(acceptor, service, closed));
        Ok(Self { _open: open })
    }
}

async fn accept(acceptor: Acceptor, service: Service, mut closed: watch::Receiver<()>) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS));
    let on_error =
        |error: &io::Error| tracing::warn!(%error, "cannot accept operators; trying again shortly");
    let next = async || {
        let permit = Arc::clone(&permits).acquire_owned().await;
        let (socket, _) = acceptor.accept(on_error).await;
        (socket, permit.ok())
    };
    loop {
        tokio::select! {
            (socket, permit) = next() => drop(tokio::spawn(serve(socket, service.clone(), closed.clone(), permit))),
            _ = closed.changed() => break,
        }
    }
    // Closing the socket would reset what the kernel has queued for it.
    while let Some((socket, _)) = acceptor.accept_waiting().await {
        tokio::spawn(serve(socket, service.clone(), closed.clone(), None));
    }
}

async fn serve(
    socket: TcpStream,
    service: Service,
    mut closed: watch::Receiver<()>,
    permit: Option<OwnedSemaphorePermit>,
) {
    // Answers are written whole; waiting for an acknowledgement (Nagle) helps nobody.
    let _ = socket.set_nodelay(true);
    let answer =
        service_fn(move |request: Request<Incoming>| service.clone().oneshot(request.map(Body::new)));
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_PATIENCE)
            .max_buf_size(HEAD_BYTES)
            .serve_connection(TokioIo::new(socket), answer)
    );
    // How a connection ends is the operator's business: every answer has been given, or nobody waits for it.
    tokio::select! {
        // What has arrived is read first, so that it is answered whenever the end comes.
        biased;
        _ = connection.as_mut() => {}
        () = is_to_end(&mut closed) => {
            connection.as_mut().graceful_shutdown();
            let _ = tokio::time::timeout(LAST_REQUEST, connection).await;
        }
    }
    drop(permit);
}

async fn is_to_end(closed: &mut watch::Receiver<()>) {
    tokio::select! {
        _ = closed.changed() => {}
        () = tokio::time::sleep(CONNECTION_AGE) => {}
    }
}
