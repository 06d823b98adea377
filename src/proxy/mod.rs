//! One request: from the bytes of a client to the answer of an engine, and what is told of it.

pub mod context;
pub mod conn;
mod arrival;
mod http1;
mod http2;
mod multiplexed;
pub mod handle;
pub mod forward;
pub mod learn;
pub mod body;
pub mod tester;
pub mod upgrade;
pub mod error;
pub mod respond;
mod restart;
pub mod record;
pub mod panic;
