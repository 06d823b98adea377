//! Two embedded engines for `cutover demo` and for tests, and what `demo` prints and writes.
//!
//! An engine here is a small web app with the parts of a real one that a proxy can break: a sign-in form, a
//! session that only this engine knows, a slow page, a streamed answer, an echo and a WebSocket. Nothing here
//! knows that there is a proxy, except that the home page shows the headers that one would have sent.

mod engine;
mod guide;
mod pages;
mod routes;
#[cfg(test)]
mod tests;

pub use engine::DemoEngine;
pub use guide::{demo_config, guide};
