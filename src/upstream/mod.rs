//! The upstream side of sockets: endpoints, their connections, and one exchange at a time.
//!
//! Nothing here knows why an engine was chosen.
//!
//! HTTP/1.1 towards the engines is spoken here and not by hyper's client. That one moves a head in and out of
//! channels between two state machines, and consumes it, so that a request that may be sent twice is copied
//! first; measured over nginx's cost it is the difference between 1.2 and 1 (`ARCHITECTURE.md`, "Measured"). The
//! parser of heads is hyper's own, `httparse`.

pub mod standing;
pub mod endpoint;
pub mod error;
pub mod head;
pub mod framing;
pub mod upload;
pub mod client;
pub mod h2;
pub mod answer;
pub mod pool;
pub mod probe;
