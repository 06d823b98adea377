//! Two embedded engines for `cutover demo` and for tests, and what `demo` prints and writes.
//!
//! An engine here is a small web app with the parts of a real one that a proxy can break: sign-in with a second
//! factor, recovery by mail and registration, each tied together the way Okta's samples for that engine do it;
//! sessions and transactions that only this engine knows; a slow page, a streamed answer, an echo and a WebSocket.
//! Nothing here knows that there is a proxy, except that the home page shows the headers that one would have sent.

mod transaction;
mod state;
mod visitor;
mod pages;
mod start;
mod challenge;
mod callback;
mod recovery;
mod session;
mod probes;
mod routes;
mod engine;
mod guide;
#[cfg(test)]
mod tests;

pub use engine::DemoEngine;
pub use guide::{demo_config, guide};
