//! The upstream side of sockets: endpoints, their connections, and one exchange at a time.
//!
//! Nothing here knows why an engine was chosen.

pub mod endpoint;
pub mod error;
pub mod stream;
pub mod connect;
pub mod client;
pub mod pool;
