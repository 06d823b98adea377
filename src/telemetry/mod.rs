//! Telling: who must be told what happened, and in which words.
//!
//! Nothing here decides, and nothing is needed for a request to be served right: a scrape, a log line or an access
//! record may be lost, a request may not.

pub mod certificates;
pub mod access_log;
pub mod events;
pub mod noticed;
pub mod init;
pub mod kinds;
pub mod grpc;
pub mod metrics;
pub mod orders;
