//! Which worker serves a connection.
//!
//! The kernel spreads connections over the workers' sockets by a hash of their addresses: evenly over thousands, not
//! over eight. The worker that accepted one keeps it unless another has clearly fewer; then the socket changes its
//! worker before anything is read from it. Connections are not moved later, so an even spread of a few long-lived
//! ones is one at the time they came.

use std::fmt;
use std::net::{SocketAddr, TcpStream as StdStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::net::drain::Open;

/// How many connections each worker holds, with those that are on their way to it.
#[derive(Debug)]
pub struct Loads(Box<[OneLoad]>);

/// A cache line of its own: its worker writes to it with every connection.
#[derive(Debug, Default)]
#[repr(align(64))]
struct OneLoad(AtomicUsize);

impl Loads {
    /// Nobody holds anything.
    pub fn new(workers: usize) -> Arc<Self> {
        Arc::new(Self((0..workers).map(|_| OneLoad::default()).collect()))
    }

    /// Counts a connection in at a worker, until the guard is dropped.
    pub fn enter(self: &Arc<Self>, worker: usize) -> Load {
        self.0[worker].0.fetch_add(1, Ordering::Relaxed);
        Load { loads: Arc::clone(self), worker }
    }

    /// By worker.
    pub fn by_worker(&self) -> Vec<usize> {
        self.0.iter().map(|load| load.0.load(Ordering::Relaxed)).collect()
    }

    /// The worker that should serve what `own` has just accepted, when `open` connections are held by all of them.
    pub fn choose(&self, own: usize, open: usize) -> usize {
        let workers = self.0.len();
        let held = self.0[own].0.load(Ordering::Relaxed);
        // Nobody has clearly fewer than one who has no more than the average. The usual case asks nobody.
        if workers == 1 || held.saturating_mul(workers) <= open {
            return own;
        }
        least_loaded(own, self.0.iter().map(|load| load.0.load(Ordering::Relaxed)))
    }
}

/// The position of the least load, where it is less than that of `own` by more than one and an eighth; else `own`.
fn least_loaded(own: usize, loads: impl Iterator<Item = usize> + Clone) -> usize {
    let held = loads.clone().nth(own).unwrap_or_default();
    match loads.enumerate().min_by_key(|(_, load)| *load) {
        Some((least, load)) if held > load + 1 + load / 8 => least,
        Some(_) | None => own,
    }
}

/// One connection of a worker.
#[derive(Debug)]
pub struct Load {
    loads: Arc<Loads>,
    worker: usize,
}

impl Drop for Load {
    fn drop(&mut self) {
        self.loads.0[self.worker].0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What an open connection is counted in, for as long as it lives.
#[derive(Debug)]
pub struct Held {
    /// Among those of the process.
    pub open: Open,
    /// Among those of its worker.
    pub load: Load,
}

/// A connection on its way to another worker. Dropped on the way, it is closed and counted out.
pub struct Handed {
    /// The socket, of no runtime.
    pub socket: StdStream,
    /// Who connected.
    pub remote: SocketAddr,
    /// The listener, by the address that the operator wrote.
    pub configured: SocketAddr,
    /// The port that the system gave to the listener.
    pub local_port: u16,
    /// What it is counted in.
    pub held: Held,
}

impl fmt::Debug for Handed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Handed({} to worker {})", self.remote, self.held.load.worker)
    }
}

/// One worker's way to give connections to the others.
#[derive(Clone, Debug)]
pub struct Spread {
    /// Who holds how many.
    pub loads: Arc<Loads>,
    /// This worker's number.
    pub own: usize,
    /// The others' mailboxes, and this worker's own, by number.
    pub mailboxes: Arc<[mpsc::UnboundedSender<Handed>]>,
}

impl Spread {
    /// Counts a connection in at the worker that should serve it.
    pub fn enter(&self, open: usize) -> Load {
        self.loads.enter(self.loads.choose(self.own, open))
    }

    /// Gives a connection to the worker that it was counted in at. Returns it when it is this one, or when the other
    /// is gone.
    pub fn hand_over(
        &self,
        socket: TcpStream,
        remote: SocketAddr,
        (configured, local_port): (SocketAddr, u16),
        held: Held,
    ) -> Option<(TcpStream, Held)> {
        let to = held.load.worker;
        if to == self.own {
            return Some((socket, held));
        }
        // Fails only where the socket cannot leave this runtime; then it is closed.
        let socket = socket.into_std().ok()?;
        let handed = Handed { socket, remote, configured, local_port, held };
        let Err(mpsc::error::SendError(Handed { socket, mut held, .. })) = self.mailboxes[to].send(handed)
        else {
            return None;
        };
        held.load = self.loads.enter(self.own);
        TcpStream::from_std(socket).ok().map(|socket| (socket, held))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn spread_of(workers: usize, arrivals: impl IntoIterator<Item = usize>) -> Vec<Vec<usize>> {
        let loads = Loads::new(workers);
        let mut held = Vec::new();
        let mut after_each = Vec::new();
        for accepting in arrivals {
            held.push(loads.enter(loads.choose(accepting % workers, held.len())));
            after_each.push(loads.by_worker());
        }
        drop(held);
        assert_eq!(loads.by_worker(), vec![0; workers]);
        after_each
    }

    fn differ_little(loads: &[usize]) -> bool {
        let (least, most) = (loads.iter().min().unwrap_or(&0), loads.iter().max().unwrap_or(&0));
        most - least <= 2 + least / 8
    }

    #[test]
    fn eight_connections_keep_two_workers_busy_even_if_one_accepts_them_all() {
        let after_each = spread_of(2, [0; 8]);
        assert_eq!(after_each.last(), Some(&vec![5, 3]));
        assert_eq!(spread_of(1, [0; 8]).last(), Some(&vec![8]));
    }

    #[test]
    fn a_worker_keeps_what_it_accepted_while_the_spread_is_even() {
        assert_eq!(least_loaded(0, [100, 90].into_iter()), 0);
        assert_eq!(least_loaded(0, [104, 90].into_iter()), 1);
        assert_eq!(least_loaded(0, [1, 0].into_iter()), 0);
        assert_eq!(least_loaded(0, [2, 0].into_iter()), 1);
        assert_eq!(least_loaded(2, [3, 1, 9, 1].into_iter()), 1);
    }

    proptest! {
        #[test]
        fn workers_never_differ_much_whoever_accepts(
            workers in 1_usize..9,
            arrivals in prop::collection::vec(0_usize..8, 0..200),
        ) {
            for loads in spread_of(workers, arrivals) {
                prop_assert!(differ_little(&loads), "{loads:?}");
            }
        }
    }
}
