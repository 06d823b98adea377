//! The one writer: one loop over one kind of command, each with a reply.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, oneshot};

use crate::telemetry::events::Origin;

pub mod evacuate;
pub mod probes;
pub mod reload;
pub mod stages;
pub mod watch;

/// What the control thread is asked for.
#[derive(Debug)]
pub enum Command {
    /// Look at the configuration, and apply it when it changed.
    Reload {
        /// Who asks.
        origin: Origin,
        /// Who wants to hear what became of it.
        reply: Option<oneshot::Sender<Outcome>>,
    },
    /// Write an order to evacuate an engine into the configuration, and apply it.
    Evacuate(evacuate::Wanted),
    /// Close all listeners: the process is about to end.
    CloseDoors,
}

/// What became of a look at the configuration.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It runs.
    Applied {
        /// Its number.
        generation: u64,
        /// What changed, a line each, and behind a schedule a line for each moment that lies ahead.
        changes: Vec<String>,
        /// What is odd about it, as `cutover check` would show it.
        warnings: Vec<String>,
    },
    /// It is the one that runs.
    Unchanged {
        /// The running generation.
        generation: u64,
    },
    /// The old one keeps running.
    Rejected {
        /// The generation that keeps running.
        generation: u64,
        /// Every problem, as `cutover check` would show it.
        problems: String,
    },
}

/// The newest look at the configuration, for whoever wants to know.
#[derive(Debug)]
pub struct LastLook {
    /// When, in seconds since the Unix epoch.
    pub at: u64,
    /// Who asked.
    pub origin: Origin,
    /// What became of it.
    pub outcome: Outcome,
}

/// Reaches the control thread.
#[derive(Clone, Debug)]
pub struct Control {
    commands: mpsc::UnboundedSender<Command>,
    last: Arc<ArcSwap<LastLook>>,
}

impl Control {
    /// A way to the control thread, and the thread's end of it.
    pub fn channel(first: LastLook) -> (Self, mpsc::UnboundedReceiver<Command>) {
        let (commands, received) = mpsc::unbounded_channel();
        (Self { commands, last: Arc::new(ArcSwap::from_pointee(first)) }, received)
    }

    /// Asks without waiting.
    pub fn send(&self, command: Command) {
        // The control thread outlives everybody who could ask, except at the very end.
        let _ = self.commands.send(command);
    }

    /// Asks for a look at the configuration and waits for what becomes of it; `None` when the process ends
    /// first.
    pub async fn reload(&self, origin: Origin) -> Option<Outcome> {
        let (reply, outcome) = oneshot::channel();
        self.send(Command::Reload { origin, reply: Some(reply) });
        outcome.await.ok()
    }

    /// The newest look at the configuration.
    pub fn last(&self) -> Arc<LastLook> {
        self.last.load_full()
    }
}
