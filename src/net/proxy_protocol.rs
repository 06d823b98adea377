//! The PROXY protocol, versions 1 and 2: whom a balancer in front of us speaks for
//! (<https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt>, called "the document" below).
//!
//! Bytes first: [`parse`] looks at what has come so far, and says what it is, or that more is needed.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

/// The document, 2.1: no header of version 1 is longer.
const LONGEST_V1: usize = 107;

/// The longest header of version 2 that is taken: addresses, and as many extensions as balancers send.
const LONGEST_V2: usize = 16 + 2048;

/// The document, 2.2.
const SIGNATURE_V2: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// What a header says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Header {
    /// Who is spoken for, and where they connected to; `None` when the balancer speaks for itself, as its health checks
    /// do, or does not say.
    pub addresses: Option<Addresses>,
    /// Bytes of the header: what follows is the client's.
    pub length: usize,
}

/// Both ends of the connection that a balancer took.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Addresses {
    /// The client.
    pub source: SocketAddr,
    /// Where it connected to.
    pub destination: SocketAddr,
    /// Whether it spoke TLS there (version 2, `PP2_TYPE_SSL`).
    pub is_tls: bool,
}

/// It is no PROXY protocol, or breaks its rules.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("no PROXY protocol header")]
pub struct NoHeader;

/// What the first bytes of a connection are; `None` while they could become a header.
pub fn parse(bytes: &[u8]) -> Result<Option<Header>, NoHeader> {
    let begins = |with: &[u8]| {
        let length = bytes.len().min(with.len());
        bytes[..length] == with[..length]
    };
    if begins(SIGNATURE_V2) {
        parse_v2(bytes)
    } else if begins(b"PROXY ") {
        parse_v1(bytes)
    } else {
        Err(NoHeader)
    }
}

/// The document, 2.1.
fn parse_v1(bytes: &[u8]) -> Result<Option<Header>, NoHeader> {
    let within = &bytes[..bytes.len().min(LONGEST_V1)];
    let Some(end) = memchr::memchr(b'\n', within) else {
        return if bytes.len() < LONGEST_V1 { Ok(None) } else { Err(NoHeader) };
    };
    let line = within[..end].strip_suffix(b"\r").ok_or(NoHeader)?;
    let line = std::str::from_utf8(line).map_err(|_| NoHeader)?;
    let length = end + 1;
    let mut words = line.split(' ').skip(1);
    let family = words.next().ok_or(NoHeader)?;
    if family == "UNKNOWN" {
        // Whatever else it says is to be ignored.
        return Ok(Some(Header { addresses: None, length }));
    }
    let mut next = || words.next().ok_or(NoHeader);
    let addresses = [next()?, next()?];
    let ports = [next()?, next()?];
    if words.next().is_some() {
        return Err(NoHeader);
    }
    let [source, destination] = addresses.map(|address| match family {
        "TCP4" => address.parse().map(IpAddr::V4).map_err(|_| NoHeader),
        "TCP6" => address.parse().map(IpAddr::V6).map_err(|_| NoHeader),
        _ => Err(NoHeader),
    });
    let [source_port, destination_port] = ports.map(port);
    let addresses = Addresses {
        source: SocketAddr::new(source?, source_port?),
        destination: SocketAddr::new(destination?, destination_port?),
        is_tls: false,
    };
    Ok(Some(Header { addresses: Some(addresses), length }))
}

/// Decimal, without a sign or zeros in front.
fn port(text: &str) -> Result<u16, NoHeader> {
    let is_plain =
        text.bytes().all(|byte| byte.is_ascii_digit()) && (text.len() == 1 || !text.starts_with('0'));
    text.parse().ok().filter(|_| is_plain).ok_or(NoHeader)
}

/// The document, 2.2.
fn parse_v2(bytes: &[u8]) -> Result<Option<Header>, NoHeader> {
    let Some((head, rest)) = bytes.split_first_chunk::<16>() else { return Ok(None) };
    let (version, command) = (head[12] >> 4, head[12] & 0xf);
    let (family, transport) = (head[13] >> 4, head[13] & 0xf);
    let payload = usize::from(u16::from_be_bytes([head[14], head[15]]));
    let length = 16 + payload;
    if version != 2 || command > 1 || family > 3 || transport > 2 || length > LONGEST_V2 {
        return Err(NoHeader);
    }
    let Some(payload) = rest.get(..payload) else { return Ok(None) };
    // LOCAL: the balancer's own connection; and families that name no address on the network.
    let size = match (command, family, transport) {
        (1, 1, 1) => 4,
        (1, 2, 1) => 16,
        (1, 1 | 2, _) => return Err(NoHeader),
        _ => return Ok(Some(Header { addresses: None, length })),
    };
    let (addresses, extensions) = payload.split_at_checked(2 * size + 4).ok_or(NoHeader)?;
    let address = |from: usize| match <[u8; 4]>::try_from(&addresses[from..from + size]) {
        Ok(four) => IpAddr::V4(Ipv4Addr::from(four)),
        Err(_) => {
            let mut sixteen = [0; 16];
            sixteen.copy_from_slice(&addresses[from..from + size]);
            IpAddr::V6(Ipv6Addr::from(sixteen))
        }
    };
    let port = |from: usize| u16::from_be_bytes([addresses[from], addresses[from + 1]]);
    let addresses = Addresses {
        source: SocketAddr::new(address(0), port(2 * size)),
        destination: SocketAddr::new(address(size), port(2 * size + 2)),
        is_tls: is_tls(extensions)?,
    };
    Ok(Some(Header { addresses: Some(addresses), length }))
}

/// Walks over the extensions for `PP2_TYPE_SSL` (the document, 2.2.5), whose first byte says whether the client spoke
/// TLS. The others are skipped.
fn is_tls(mut extensions: &[u8]) -> Result<bool, NoHeader> {
    const PP2_TYPE_SSL: u8 = 0x20;
    const PP2_CLIENT_SSL: u8 = 0x01;
    let mut is_tls = false;
    while let Some(([kind, high, low], rest)) = extensions.split_first_chunk::<3>() {
        let (value, rest) =
            rest.split_at_checked(usize::from(u16::from_be_bytes([*high, *low]))).ok_or(NoHeader)?;
        if *kind == PP2_TYPE_SSL {
            is_tls |= value.first().is_some_and(|client| client & PP2_CLIENT_SSL != 0);
        }
        extensions = rest;
    }
    if extensions.is_empty() { Ok(is_tls) } else { Err(NoHeader) }
}

/// Why no header came.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// What came is none.
    #[error(transparent)]
    NoHeader(#[from] NoHeader),
    /// It took too long.
    #[error("no PROXY protocol header in time")]
    Late,
    /// The peer hung up.
    #[error("the peer hung up")]
    Closed(#[source] io::Error),
}

/// Reads a header within a time, and not a byte of what follows: that belongs to TLS, or to HTTP.
pub async fn read(socket: &mut TcpStream, within: Duration) -> Result<Header, ReadError> {
    tokio::time::timeout(within, read_exactly(socket)).await.unwrap_or(Err(ReadError::Late))
}

async fn read_exactly(socket: &mut TcpStream) -> Result<Header, ReadError> {
    let mut seen = [0; LONGEST_V2];
    // Balancers send it whole, and it is there with the first look.
    let there = socket.peek(&mut seen).await.map_err(ReadError::Closed)?;
    if let Some(header) = parse(&seen[..there])? {
        socket.read_exact(&mut seen[..header.length]).await.map_err(ReadError::Closed)?;
        return Ok(header);
    }
    let mut length = 0;
    loop {
        socket.read_exact(&mut seen[length..=length]).await.map_err(ReadError::Closed)?;
        length += 1;
        if let Some(header) = parse(&seen[..length])? {
            return Ok(header);
        }
    }
}

#[cfg(test)]
mod tests;
