//! SIGTERM and SIGINT: the first asks the process to end, the second one insists.

use std::io;
use std::process;

use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Both signals, caught from here on.
#[derive(Debug)]
pub(super) struct Signals {
    runtime: Runtime,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(super) fn catch() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_io().build()?;
        let guard = runtime.enter();
        let (terminate, interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        drop(guard);
        Ok(Self { runtime, terminate, interrupt })
    }

    /// Waits for one of them.
    pub(super) fn wait(&mut self) {
        let Self { runtime, terminate, interrupt } = self;
        runtime.block_on(async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        });
    }

    /// Ends the process at the next one, whatever it is doing; `last` is done before.
    pub(super) fn insist(mut self, last: impl FnOnce() + Send + 'static) {
        std::thread::spawn(move || {
            self.wait();
            last();
            process::exit(1);
        });
    }
}
