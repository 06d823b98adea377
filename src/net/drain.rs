//! The shutdown latch: once drained, always drained, and every worker can tell when the last connection left.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Shared by all workers and whoever shuts them down.
#[derive(Debug, Default)]
pub struct Drain {
    begun: AtomicBool,
    open: AtomicUsize,
    changed: Notify,
}

impl Drain {
    /// Begins to drain. From here on responses tell their clients to close.
    pub fn begin(&self) {
        self.begun.store(true, Ordering::Release);
        self.changed.notify_waiters();
    }

    /// Whether draining has begun.
    pub fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Relaxed)
    }

    /// Downstream connections that are open, those included that are on their way to another worker.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Counts a connection in, until the guard is dropped; `None` when `limit` are open already.
    pub fn enter(self: &Arc<Self>, limit: usize) -> Option<Open> {
        if self.open.fetch_add(1, Ordering::Relaxed) >= limit {
            self.open.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        Some(Open(Arc::clone(self)))
    }

    /// Waits until no connection is open.
    pub async fn emptied(&self) {
        loop {
            let changed = self.changed.notified();
            if self.open() == 0 {
                return;
            }
            changed.await;
        }
    }
}

/// One open downstream connection.
#[derive(Debug)]
pub struct Open(Arc<Drain>);

impl Drop for Open {
    fn drop(&mut self) {
        if self.0.open.fetch_sub(1, Ordering::Release) == 1 && self.0.has_begun() {
            self.0.changed.notify_waiters();
        }
    }
}
