//! Where access records end up: one thread that writes to standard output or a file.
//!
//! The thread lives as long as somebody holds a sender: when a reload names another file, the old thread writes
//! what it was given and ends by itself.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use crate::telemetry::events::AccessLogDropped;
use crate::telemetry::metrics::Metrics;

/// How many batches may wait: 2 MiB and more, which is a second of 5,000 requests.
const WAITING: usize = 64;

/// Records of one worker, formatted.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) lines: Vec<u8>,
    pub(super) records: u64,
    /// When the last of them was made, in seconds since the Unix epoch.
    pub(super) wall: u64,
}

/// Why the access log cannot be written where the configuration says.
#[derive(Debug, thiserror::Error)]
pub enum AccessLogError {
    /// The file cannot be opened.
    #[error("cannot open the access log {}", path.display())]
    Open {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The system gives us no thread.
    #[error("cannot start the thread that writes the access log")]
    Thread(#[source] io::Error),
}

/// A thread that writes.
#[derive(Debug)]
pub(super) struct Sink {
    pub(super) sender: SyncSender<Batch>,
    pub(super) ended: Ended,
}

/// Becomes true when a writer has written everything and is gone.
#[derive(Debug)]
pub(super) struct Ended(Receiver<()>);

impl Ended {
    /// Whether it ended within this time.
    pub(super) fn wait(&self, patience: Duration) -> bool {
        // Nothing is ever sent: the thread drops its end when it is done.
        matches!(self.0.recv_timeout(patience), Err(RecvTimeoutError::Disconnected))
    }
}

impl Sink {
    pub(super) fn start(
        out: impl Write + Send + 'static,
        metrics: Arc<Metrics>,
    ) -> Result<Self, AccessLogError> {
        let (sender, batches) = sync_channel(WAITING);
        let (alive, ended) = sync_channel(0);
        let writer = move || {
            write_batches(out, &batches, &metrics);
            drop(alive);
        };
        std::thread::Builder::new()
            .name("access-log".to_owned())
            .spawn(writer)
            .map_err(AccessLogError::Thread)?;
        Ok(Self { sender, ended: Ended(ended) })
    }
}

/// Opens a file to append to. Who reads it may be told things about users, so others may not.
pub(super) fn open(path: &Path) -> Result<File, AccessLogError> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o640)
        .open(path)
        .map_err(|source| AccessLogError::Open { path: path.to_owned(), source })
}

/// Writes until every sender is gone.
fn write_batches(mut out: impl Write, batches: &Receiver<Batch>, metrics: &Metrics) {
    let mut is_torn = false;
    for Batch { lines, records, wall } in batches {
        // A disk that was full may have taken half a line: what follows shall not continue it.
        let repaired = if is_torn { out.write_all(b"\n") } else { Ok(()) };
        match repaired.and_then(|()| out.write_all(&lines)).and_then(|()| out.flush()) {
            Ok(()) => is_torn = false,
            Err(error) => {
                is_torn = true;
                AccessLogDropped { records, cause: &error, wall }.tell(metrics);
            }
        }
    }
}
