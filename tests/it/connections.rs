//! Connections before and beside their requests: who is at the other end, how many there may be, which worker serves
//! them, and how they end.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use crate::support::{Engine, Proxy, Wire, portal};

mod ends;
mod limits;
mod spread;

/// A connection from an address of this machine: all of 127.0.0.0/8 is.
fn wire_from(source: [u8; 4], to: SocketAddr) -> Wire {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddrV4::new(Ipv4Addr::from(source), 0).into()).expect("an address of this machine");
    socket.connect(&to.into()).expect("somebody listens");
    Wire::new(socket.into())
}

/// A proxy with these lines beside its app.
fn proxy_with(engine: &Engine, lines: &str) -> Proxy {
    Proxy::with(format!("{}\n{lines}\n", portal("", engine, engine)))
}

/// How many connections of this proxy's only listener were turned away for this reason.
fn turned_away(reason: &str) -> String {
    format!("cutover_connections_turned_away_total{{listener=\"127.0.0.1:0\",reason=\"{reason}\"}}")
}

/// How many connections of this proxy's only listener ended for this reason.
fn ended(reason: &str) -> String {
    format!("cutover_connections_closed_total{{listener=\"127.0.0.1:0\",reason=\"{reason}\"}}")
}
