//! Serves one downstream connection: who it is, and what it speaks.

use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};
use std::rc::{Rc, Weak};
use std::sync::Arc;

use http::HeaderValue;
use tokio::net::TcpStream;

use crate::decide::headers::{Forwarder, own};
use crate::decide::host::host_of;
use crate::net::activity::{Activity, Phase};
use crate::net::crowd::Member;
use crate::net::drain::Open;
use crate::net::stream::Stream;
use crate::net::{preface, tls};
use crate::proxy::context::{View, WorkerContext};
use crate::proxy::error::ProxyError;
use crate::proxy::{arrival, http1, http2};
use crate::telemetry::kinds::{AnswerKind, TurnedAway};
use crate::telemetry::metrics::ListenerMetrics;

/// Who connected, and where.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// Their address; an IPv4 address mapped into IPv6 is an IPv4 address.
    pub address: IpAddr,
    /// The port that they connected to.
    pub local_port: u16,
    /// Whether they speak TLS with us.
    pub is_tls: bool,
}

/// The listener that a connection came in by, as one worker serves it.
#[derive(Debug)]
pub struct Entrance {
    /// The address that the operator wrote: by it the running generation names what the listener speaks.
    pub configured: SocketAddr,
    /// The port that the system gave.
    pub local_port: u16,
    /// Where this worker counts its connections.
    pub metrics: Arc<ListenerMetrics>,
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
    /// Where it came in.
    pub door: Rc<Entrance>,
    /// Keep it counted among the open ones, of the process and of its address.
    _counted: Counted,
    _member: Option<Member>,
}

/// Keeps a connection counted among the open ones.
struct Counted {
    door: Rc<Entrance>,
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

impl Downstream {
    /// Counts an answer to something that never became a request.
    pub(super) fn refuse(&self, kind: AnswerKind) {
        self.worker.view().no_app.record_answer(kind);
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.door.metrics.connection_closed();
    }
}

/// Serves a connection to its end. Cannot fail: what goes wrong is told, and closes the connection.
pub async fn serve(
    worker: Rc<WorkerContext>,
    mut socket: TcpStream,
    remote: SocketAddr,
    door: Rc<Entrance>,
    open: Open,
) {
    // Responses are written whole; waiting for more to send only delays them. Fails when the client is gone.
    let _ = socket.set_nodelay(true);
    let view = worker.view();
    let limits = view.snapshot.limits.clone();
    let listener = view.snapshot.listeners.find(door.configured).cloned();
    let activity = Activity::new(Arc::clone(&worker.clock), limits.header_timeout, limits.idle_timeout);
    worker.watch(&activity);
    door.metrics.connection_opened();
    let counted = Counted { door: Rc::clone(&door), _open: open };
    let tls = listener.as_ref().and_then(|listener| listener.tls.clone());
    let mut peer =
        Peer { address: remote.ip().to_canonical(), local_port: door.local_port, is_tls: tls.is_some() };
    if listener.is_some_and(|listener| listener.is_proxied) {
        match arrival::introduced(&mut socket, peer, &view.snapshot).await {
            Ok(introduced) => peer = introduced,
            Err(reason) => return door.metrics.turned_away(reason),
        }
    }
    let Ok(member) = arrival::admitted(&worker, peer, &view.snapshot) else {
        door.metrics.turned_away(TurnedAway::PerAddress);
        if tls.is_none() {
            view.no_app.record_answer(AnswerKind::TooManyConnections);
            // A fresh connection has room for this; whoever hung up already misses nothing.
            let _ = socket.try_write(arrival::TOO_MANY);
        }
        return;
    };
    drop(view);
    let downstream = Rc::new(Downstream {
        peer,
        activity: Arc::clone(&activity),
        roll: worker.ambient.roll(),
        forwarder: RefCell::new(Forwarder::new(peer.address, peer.is_tls, peer.local_port)),
        claims: RefCell::default(),
        door,
        _counted: counted,
        _member: member,
        worker,
    });
    let Some(tls) = tls else {
        let mut stream = Stream::new(socket, activity);
        return match preface::speaks_http2(&mut stream).await {
            Ok(true) => http2::serve(stream, downstream, &limits).await,
            Ok(false) => http1::serve(stream, downstream, &limits).await,
            Err(error) if http1::is_slow_head(&error) => downstream.refuse(AnswerKind::SlowRequest),
            // It hung up.
            Err(_) => {}
        };
    };
    match tls::shake_hands(tls, socket, limits.header_timeout).await {
        Ok(stream) => {
            activity.enter(Phase::Idle);
            let is_http2 = stream.get_ref().1.alpn_protocol() == Some(tls::HTTP_2);
            let stream = Stream::new(stream, activity);
            if is_http2 {
                http2::serve(stream, downstream, &limits).await;
            } else {
                http1::serve(stream, downstream, &limits).await;
            }
        }
        Err(failure) => downstream.door.metrics.handshake_failed(failure),
    }
}
