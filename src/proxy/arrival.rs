//! Who has arrived: whom a balancer speaks for, and whether there is room for one more of them.

use std::rc::Rc;

use tokio::net::TcpStream;

use crate::net::crowd::Member;
use crate::net::proxy_protocol::{self, Header, ReadError};
use crate::proxy::conn::Peer;
use crate::proxy::context::WorkerContext;
use crate::runtime::snapshot::Snapshot;
use crate::telemetry::kinds::TurnedAway;

/// What a client gets whose address has as many connections open as it may. Written without reading anything.
pub(super) const TOO_MANY: &[u8] =
    b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// Whom a trusted balancer speaks for: from here on, that is the peer. Where it speaks for itself, it is the peer.
pub(super) async fn introduced(
    socket: &mut TcpStream,
    balancer: Peer,
    snapshot: &Snapshot,
) -> Result<Peer, TurnedAway> {
    if !snapshot.trust.includes(balancer.address) {
        return Err(TurnedAway::NotTrusted);
    }
    match proxy_protocol::read(socket, snapshot.limits.header_timeout).await {
        Ok(Header { addresses: None, .. }) => Ok(balancer),
        Ok(Header { addresses: Some(told), .. }) => Ok(Peer {
            address: told.source.ip().to_canonical(),
            local_port: told.destination.port(),
            is_tls: balancer.is_tls || told.is_tls,
        }),
        Err(ReadError::Late) => Err(TurnedAway::LateHeader),
        Err(ReadError::NoHeader(_) | ReadError::Closed(_)) => Err(TurnedAway::NoHeader),
    }
}

/// Counts a connection among those of its address, where they are counted. A trusted proxy has many clients: its own
/// address is not.
pub(super) fn admitted(
    worker: &Rc<WorkerContext>,
    peer: Peer,
    snapshot: &Snapshot,
) -> Result<Option<Member>, TurnedAway> {
    match snapshot.limits.connections_per_ip {
        Some(limit) if !snapshot.trust.includes(peer.address) => {
            worker.crowd.enter(peer.address, limit).map(Some).ok_or(TurnedAway::PerAddress)
        }
        Some(_) | None => Ok(None),
    }
}
