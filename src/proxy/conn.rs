//! Serves one downstream connection.

use std::cell::RefCell;
use std::error::Error;
use std::future::{Future, poll_fn};
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::Poll;

use http::HeaderValue;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::decide::headers::{Forwarder, own};
use crate::decide::host::host_of;
use crate::net::activity::{Activity, Stall};
use crate::net::drain::Open;
use crate::net::stream::{Stalled, Stream};
use crate::proxy::context::{View, WorkerContext};
use crate::proxy::error::ProxyError;
use crate::proxy::handle::handle;
use crate::proxy::panic;
use crate::telemetry::kinds::AnswerKind;
use crate::telemetry::metrics::ListenerMetrics;

/// Who connected, and where.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// Their address; an IPv4 address mapped into IPv6 is an IPv4 address.
    pub address: IpAddr,
    /// The port that they connected to.
    pub local_port: u16,
}

/// One downstream connection.
pub struct Downstream {
    /// The worker that serves it.
    pub worker: Rc<WorkerContext>,
    /// Who connected.
    pub peer: Peer,
    /// What it is waiting for.
    pub activity: Arc<Activity>,
    /// One throw of the dice for all its requests.
    pub roll: u64,
    /// Writes its requests' forwarded headers.
    pub forwarder: RefCell<Forwarder>,
    /// Knows which app its last request was for.
    pub claims: RefCell<Claims>,
    listener: Arc<ListenerMetrics>,
    /// Keeps it counted among the open ones.
    _open: Open,
}

/// Remembers the app of the last `Host`: a connection rarely names two, and reading one takes longer than
/// comparing it.
#[derive(Default)]
pub struct Claims(Option<(Weak<View>, HeaderValue, usize)>);

impl Claims {
    /// Position of the app that claims this host.
    pub fn find(&mut self, view: &Rc<View>, host: &HeaderValue) -> Result<usize, ProxyError> {
        if let Some((known_in, known, app)) = &self.0
            && std::ptr::eq(known_in.as_ptr(), Rc::as_ptr(view))
            && known == host
        {
            return Ok(*app);
        }
        let text = host.to_str().ok().filter(|text| host_of(text).is_some());
        let text = text.ok_or(ProxyError::Malformed("bad Host"))?;
        let app = view.snapshot.hosts.find(text).ok_or(ProxyError::Misdirected)?;
        // The weak pointer keeps the address from being used again by another view.
        self.0 = Some((Rc::downgrade(view), own(host), app));
        Ok(app)
    }
}

impl Drop for Downstream {
    fn drop(&mut self) {
        self.listener.connection_closed();
    }
}

/// The largest read buffer of a downstream connection; a head may be as large as `limits.header_bytes` anyway.
const READ_BUFFER_BYTES: usize = 64 * 1024;

/// Serves a connection to its end. Cannot fail: what goes wrong is told, and closes the connection.
pub async fn serve(
    worker: Rc<WorkerContext>,
    socket: TcpStream,
    remote: SocketAddr,
    local_port: u16,
    listener: Arc<ListenerMetrics>,
    open: Open,
) {
    // Responses are written whole; waiting for more to send only delays them. Fails when the client is gone.
    let _ = socket.set_nodelay(true);
    let view = worker.view();
    let limits = view.snapshot.limits.clone();
    drop(view);
    let activity = Activity::new(Arc::clone(&worker.clock), limits.header_timeout, limits.idle_timeout);
    worker.watch(&activity);
    listener.connection_opened();
    let peer = Peer { address: remote.ip().to_canonical(), local_port };
    let downstream = Rc::new(Downstream {
        peer,
        activity: Arc::clone(&activity),
        roll: worker.ambient.roll(),
        forwarder: RefCell::new(Forwarder::new(peer.address, false, local_port)),
        claims: RefCell::default(),
        listener,
        _open: open,
        worker: Rc::clone(&worker),
    });

    let service = service_fn(move |request| handle(Rc::clone(&downstream), Box::new(request)));
    let connection = http1::Builder::new()
        // One buffer for head and small body. Not `pipeline_flush`, which implies it: that holds back what was
        // written, also a 400, for as long as more lies in the read buffer, and buffers bodies without a bound.
        .writev(false)
        .max_buf_size(READ_BUFFER_BYTES.max(limits.header_bytes))
        .max_header_size(limits.header_bytes)
        .max_headers(limits.headers)
        // Ours is `Activity`: hyper's timer would cost two timer operations per request.
        .header_read_timeout(None)
        .serve_connection(TokioIo::new(Stream::new(socket, Arc::clone(&activity))), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    // What panics outside a request, in a body for one, ends its connection and nothing else.
    let mut connection = pin!(panic::catch(connection.as_mut()));
    let ended = poll_fn(|context| {
        worker.ambient.expire();
        activity.stay_registered(context.waker());
        match connection.as_mut().poll(context) {
            Poll::Ready(Ok(ended)) => Poll::Ready(ended),
            Poll::Ready(Err(message)) => {
                worker.panicked("a connection", &message);
                Poll::Ready(Ok(()))
            }
            // Nobody takes what we send, or not fast enough for the limit of the whole.
            Poll::Pending if matches!(activity.stall(), Some(Stall::Reader | Stall::Exchange)) => {
                Poll::Ready(Ok(()))
            }
            Poll::Pending => Poll::Pending,
        }
    })
    .await;
    if let Err(error) = ended
        && let Some(kind) = refused_head(&error)
    {
        worker.view().no_app.record_answer(kind);
    }
}

/// The answer that a head got which never became a request: hyper or `net::stream` wrote it, bare, and closed.
fn refused_head(error: &hyper::Error) -> Option<AnswerKind> {
    if error.is_parse_too_large() {
        Some(AnswerKind::HeadTooLarge)
    } else if error.is_parse() {
        Some(AnswerKind::Malformed)
    } else {
        match find_source::<std::io::Error>(error)?.get_ref()?.downcast_ref::<Stalled>()? {
            Stalled(Stall::Head) => Some(AnswerKind::SlowRequest),
            Stalled(
                Stall::Idle | Stall::Body | Stall::Reader | Stall::Tunnel | Stall::Step | Stall::Exchange,
            ) => None,
        }
    }
}

/// An error of this type in a chain of hyper's.
fn find_source<E: Error + 'static>(error: &hyper::Error) -> Option<&E> {
    let mut source = error.source();
    while let Some(inner) = source {
        if let Some(found) = inner.downcast_ref::<E>() {
            return Some(found);
        }
        source = inner.source();
    }
    None
}
