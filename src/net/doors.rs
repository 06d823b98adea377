//! The listeners of the process: which are open, and how an edit opens and closes them.
//!
//! Opening binds before anything else changes, and may fail; closing never does.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::time::Duration;

use tokio::sync::mpsc;

use crate::net::listener::{BindError, Bound, bind};

/// What a worker is told about its listeners.
#[derive(Debug)]
pub enum Door {
    /// Accept from this socket.
    Open {
        /// The address that the operator wrote; names the listener in metrics.
        configured: SocketAddr,
        /// The address that the system gave.
        local: SocketAddr,
        /// A socket of this worker's own.
        socket: StdListener,
    },
    /// Accept what waits at this listener, then close it.
    Close {
        /// The address that the operator wrote.
        configured: SocketAddr,
    },
}

/// The listeners of the process.
#[derive(Debug)]
pub struct Doors {
    workers: Vec<mpsc::UnboundedSender<Door>>,
    open: BTreeMap<SocketAddr, SocketAddr>,
    /// Those that were closed once: a worker that is busy may still have to see to it.
    closed: BTreeSet<SocketAddr>,
}

/// How long one of those is waited for, and how often it is tried.
const PATIENCE: Duration = Duration::from_secs(2);
const TRIES: u32 = 100;

/// Listeners that are bound but accept nothing yet. Dropping them closes them.
#[derive(Debug)]
pub struct Prepared {
    opened: Vec<Bound>,
    closed: Vec<SocketAddr>,
}

impl Doors {
    /// No listener yet. Each sender reaches one worker.
    pub fn new(workers: Vec<mpsc::UnboundedSender<Door>>) -> Self {
        Self { workers, open: BTreeMap::new(), closed: BTreeSet::new() }
    }

    /// Binds what is wanted and not open yet. On failure nothing has changed.
    pub fn prepare(&self, wanted: impl IntoIterator<Item = SocketAddr>) -> Result<Prepared, BindError> {
        let wanted: Vec<SocketAddr> = wanted.into_iter().collect();
        let mut opened = Vec::new();
        for address in &wanted {
            if !self.open.contains_key(address) {
                opened.push(self.bind(*address)?);
            }
        }
        let closed = self.open.keys().filter(|address| !wanted.contains(address)).copied().collect();
        Ok(Prepared { opened, closed })
    }

    fn bind(&self, address: SocketAddr) -> Result<Bound, BindError> {
        let mut bound = bind(address, self.workers.len());
        let is_closing = |bound: &Result<Bound, BindError>| {
            bound.as_ref().is_err_and(|error| error.source.kind() == io::ErrorKind::AddrInUse)
                && self.closed.contains(&address)
        };
        for _ in 0..TRIES {
            if !is_closing(&bound) {
                break;
            }
            std::thread::sleep(PATIENCE / TRIES);
            bound = bind(address, self.workers.len());
        }
        bound
    }

    /// Lets the new listeners accept, and the unwanted ones close. Returns the addresses of both.
    pub fn settle(&mut self, prepared: Prepared) -> (Vec<SocketAddr>, Vec<SocketAddr>) {
        let mut opened = Vec::new();
        for Bound { configured, local, sockets } in prepared.opened {
            for (worker, socket) in self.workers.iter().zip(sockets) {
                // A worker that is gone is on its way out with the process.
                let _ = worker.send(Door::Open { configured, local, socket });
            }
            self.open.insert(configured, local);
            opened.push(local);
        }
        let mut closed = Vec::new();
        for configured in prepared.closed {
            closed.extend(self.close(configured));
        }
        (opened, closed)
    }

    /// Closes every listener: the process is about to end.
    pub fn close_all(&mut self) {
        for configured in self.open.keys().copied().collect::<Vec<_>>() {
            self.close(configured);
        }
    }

    fn close(&mut self, configured: SocketAddr) -> Option<SocketAddr> {
        for worker in &self.workers {
            let _ = worker.send(Door::Close { configured });
        }
        self.closed.insert(configured);
        self.open.remove(&configured)
    }

    /// The open listeners: the address as configured, and the one that the system gave.
    pub fn open(&self) -> impl Iterator<Item = (SocketAddr, SocketAddr)> {
        self.open.iter().map(|(configured, local)| (*configured, *local))
    }
}
