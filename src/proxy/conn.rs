//! Serves one downstream connection: who it is, and what it speaks.

use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};
use std::rc::{Rc, Weak};
use std::sync::Arc;

use http::HeaderValue;
use tokio::net::TcpStream;

use crate::decide::certified::CertifiedNames;
use crate::decide::headers::{Forwarder, Seen, own};
use crate::decide::host::host_of;
use crate::net::activity::{Activity, Phase};
use crate::net::crowd::Member;
use crate::net::listener::last_word;
use crate::net::spread::Held;
use crate::net::stream::Stream;
use crate::net::{client_certificate, preface, tls};
use crate::proxy::context::{View, WorkerContext};
use crate::proxy::error::ProxyError;
use crate::proxy::{arrival, http1, http2};
use crate::runtime::listener::Listener;
use crate::runtime::snapshot::Snapshot;
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
    /// Whether they are believed where `trust.proxies` has their address. Not where a balancer brings somebody whom it
    /// does not name: then the address is the balancer's, and the words are not.
    pub speaks_for_itself: bool,
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
    /// What it spoke when it was last looked at.
    spoken: RefCell<Option<Arc<Listener>>>,
}

impl Entrance {
    /// A listener, as one worker serves it.
    pub fn new(configured: SocketAddr, local_port: u16, metrics: Arc<ListenerMetrics>) -> Self {
        Self { configured, local_port, metrics, spoken: RefCell::default() }
    }

    /// What it speaks. A listener that an edit took away speaks what it did before, until its queue is empty: who waits
    /// there came for that.
    pub fn speaks(&self, snapshot: &Snapshot) -> Option<Arc<Listener>> {
        let mut spoken = self.spoken.borrow_mut();
        if let Some(listener) = snapshot.listeners.find(self.configured)
            && !spoken.as_ref().is_some_and(|known| Arc::ptr_eq(known, listener))
        {
            *spoken = Some(Arc::clone(listener));
        }
        spoken.clone()
    }
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
    /// What the client's certificate calls it, where the listener asks for one.
    pub certified: Option<CertifiedNames>,
    /// Where it came in.
    pub door: Rc<Entrance>,
    /// Keep it counted among the open ones, of the process and of its address.
    _counted: Counted,
    _member: Option<Member>,
}

/// Keeps a connection counted among the open ones.
struct Counted {
    door: Rc<Entrance>,
    _held: Held,
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
    /// The names of whom a request is for, where that is who holds the certificate. What a trusted proxy forwards is
    /// somebody else's: by the proxy's own certificate all its users would be one.
    pub(super) fn certified_for(&self, seen: Seen, peer_is_trusted: bool) -> Option<&CertifiedNames> {
        self.certified.as_ref().filter(|_| !(peer_is_trusted && seen.forwarded))
    }

    /// Counts an answer to something that never became a request.
    pub(super) fn refuse(&self, kind: AnswerKind) {
        self.worker.view().no_app.record_answer(kind);
    }
}

impl Drop for Downstream {
    fn drop(&mut self) {
        if let Some(reason) = self.activity.ended() {
            self.door.metrics.record_closed(reason);
        }
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
    held: Held,
) {
    if cfg!(not(target_os = "linux")) {
        // There the listening socket passes it on. Fails when the client is gone.
        let _ = socket.set_nodelay(true);
    }
    let view = worker.view();
    let limits = view.snapshot.limits.clone();
    let listener = door.speaks(&view.snapshot);
    let activity = Activity::new(Arc::clone(&worker.clock), limits.header_timeout, limits.idle_timeout);
    worker.watch(&activity);
    door.metrics.connection_opened();
    let counted = Counted { door: Rc::clone(&door), _held: held };
    let tls = listener.as_ref().and_then(|listener| listener.tls.clone());
    let mut peer = Peer {
        address: remote.ip().to_canonical(),
        local_port: door.local_port,
        is_tls: tls.is_some(),
        speaks_for_itself: true,
    };
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
            last_word(&socket, arrival::TOO_MANY);
        }
        return;
    };
    drop(view);
    let mut downstream = Downstream {
        peer,
        activity: Arc::clone(&activity),
        roll: worker.ambient.roll(),
        forwarder: RefCell::new(Forwarder::new(peer.address, peer.is_tls, peer.local_port)),
        claims: RefCell::default(),
        certified: None,
        door,
        _counted: counted,
        _member: member,
        worker,
    };
    let Some(tls) = tls else {
        let downstream = Rc::new(downstream);
        let mut stream = Stream::new(socket, activity);
        // Boxed, here and below: a connection keeps room for what it speaks, and not for what it might have spoken.
        return match preface::speaks_http2(&mut stream).await {
            Ok(true) => Box::pin(http2::serve(stream, downstream, &limits)).await,
            Ok(false) => Box::pin(http1::serve(stream, downstream, &limits)).await,
            Err(error) if http1::is_slow_head(&error) => downstream.refuse(AnswerKind::SlowRequest),
            // It hung up.
            Err(_) => {}
        };
    };
    let stream = match tls::shake_hands(tls, socket, limits.header_timeout).await {
        // Boxed: each future on its way would keep room for it.
        Ok(stream) => Box::new(stream),
        Err(failure) => return downstream.door.metrics.handshake_failed(failure),
    };
    let (_, session) = stream.get_ref();
    match client_certificate::names_of(session, downstream.worker.ambient.moment().wall) {
        Ok(names) => downstream.certified = names,
        Err(failure) => return downstream.door.metrics.handshake_failed(failure),
    }
    let downstream = Rc::new(downstream);
    activity.enter(Phase::Idle);
    let is_http2 = session.alpn_protocol() == Some(tls::HTTP_2);
    let stream = Stream::new(stream, activity);
    if is_http2 {
        Box::pin(http2::serve(stream, downstream, &limits)).await;
    } else {
        Box::pin(http1::serve(stream, downstream, &limits)).await;
    }
}
