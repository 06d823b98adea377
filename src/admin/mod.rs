//! Operators over HTTP, on a listener and a thread of their own: traffic cannot starve them, nor they traffic.
//!
//! ```text
//! mod ── listening ── auth ── api ── views        what is shown, and nothing that decides
//!                              └── explain        the same `decide`, asked by hand
//! ```

pub mod explain;
pub mod views;

mod api;
mod auth;
mod endpoints;
mod evacuate;
mod listening;
mod refusal;

use std::io;
use std::net::TcpListener as StdListener;
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::admin::listening::Listening;
use crate::ambient::Moment;
use crate::control::Control;
use crate::net::drain::Drain;
use crate::runtime::live::Live;
use crate::telemetry::metrics::Metrics;

/// What the operators' door shows.
#[derive(Clone, Debug)]
pub struct AdminState {
    /// The running generation.
    pub live: Live,
    /// The numbers of the process.
    pub metrics: Arc<Metrics>,
    /// Reaches the control thread.
    pub control: Control,
    /// The shutdown latch.
    pub drain: Arc<Drain>,
    /// When the process started.
    pub started: Moment,
    /// How many workers run.
    pub workers: usize,
}

/// Serves operators until the channel of listeners is closed. A listener that arrives on `doors` replaces the
/// one before; requests in flight finish.
pub async fn serve(
    state: AdminState,
    listener: StdListener,
    mut doors: mpsc::UnboundedReceiver<StdListener>,
) -> io::Result<()> {
    let state = Arc::new(state);
    let mut open = Listening::start(&state, listener)?;
    while let Some(listener) = doors.recv().await {
        match Listening::start(&state, listener) {
            // Dropping the one before closes it.
            Ok(next) => open = next,
            Err(error) => tracing::error!(%error, "cannot take up the new admin listener"),
        }
    }
    drop(open);
    Ok(())
}
