//! The one pointer: readers load it, one writer replaces it.

use std::sync::Arc;

use arc_swap::{ArcSwap, Cache};

use crate::runtime::snapshot::Snapshot;

/// The running generation.
#[derive(Clone, Debug)]
pub struct Live(Arc<ArcSwap<Snapshot>>);

/// One thread's way to the running generation: looking whether it changed costs one load.
pub type Reader = Cache<Arc<ArcSwap<Snapshot>>, Arc<Snapshot>>;

impl Live {
    /// Begins with a generation.
    pub fn new(first: Arc<Snapshot>) -> Self {
        Self(Arc::new(ArcSwap::new(first)))
    }

    /// The running generation.
    pub fn load(&self) -> Arc<Snapshot> {
        self.0.load_full()
    }

    /// A reader of its own for a thread that asks often.
    pub fn reader(&self) -> Reader {
        Cache::new(Arc::clone(&self.0))
    }

    /// Replaces the running generation. Only `control` calls this; requests in flight keep the one they began
    /// with.
    pub fn replace(&self, next: Arc<Snapshot>) {
        self.0.store(next);
    }
}
