//! The only file that asks the machine what time it is, or rolls dice.
//!
//! Everything below the edge of the program takes a [`Moment`] instead, so that a decision can be repeated
//! exactly: `explain`, the tests and the request path all call the same functions with a moment of their own.

#![allow(clippy::disallowed_methods)] // this is the file that the bans in clippy.toml point to

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

/// What the machine said once: everything that a decision may depend on besides its rules and its request.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// For durations and deadlines; never goes back.
    pub monotonic: Instant,
    /// Seconds since the Unix epoch; may jump when the clock is set.
    pub wall: u64,
    /// 64 evenly distributed bits: one throw of the dice.
    pub roll: u64,
}

/// By how many seconds the wall clocks of a program run ahead of the machine's: a test's way to let an hour pass.
#[derive(Clone, Debug, Default)]
pub struct Ahead(Arc<AtomicU64>);

impl Ahead {
    /// Lets so many seconds pass, as far as wall clocks say.
    pub fn pass(&self, seconds: u64) {
        self.0.fetch_add(seconds, Relaxed);
    }
}

/// Clock and dice of one thread.
#[derive(Debug)]
pub struct Ambient {
    ahead: Ahead,
    dice: RefCell<SmallRng>,
    /// The wall clock read last, and when: reading both clocks for every request buys nothing, since the one goes on
    /// like the other for a while. A new second begins when it begins, on every thread: stages do.
    wall: Cell<(Instant, Duration)>,
    /// The monotonic clock when it was last read, and whether that reading is still good.
    recent: Cell<Instant>,
    is_recent: Cell<bool>,
}

/// How long a reading of the wall clock is good for.
const WALL_TOLERANCE: Duration = Duration::from_millis(100);

impl Ambient {
    /// The clock of this machine, and dice seeded from the operating system.
    pub fn system() -> Self {
        Self::ahead(Ahead::default())
    }

    /// As [`Ambient::system`], with a wall clock that runs ahead.
    pub fn ahead(ahead: Ahead) -> Self {
        Self {
            ahead,
            dice: RefCell::new(SmallRng::from_rng(&mut rand::rng())),
            wall: Cell::new((Instant::now(), unix_time())),
            recent: Cell::new(Instant::now()),
            is_recent: Cell::new(false),
        }
    }

    /// The present, with one throw of the dice.
    pub fn moment(&self) -> Moment {
        let monotonic = self.instant();
        let (read_at, mut wall) = self.wall.get();
        let since = monotonic.saturating_duration_since(read_at);
        if since > WALL_TOLERANCE {
            wall = unix_time() + Duration::from_secs(self.ahead.0.load(Relaxed));
            // `monotonic` may be a turn old, and would put the wall clock ahead.
            self.wall.set((Instant::now(), wall));
        } else {
            wall += since;
        }
        Moment { monotonic, wall: wall.as_secs(), roll: self.roll() }
    }

    /// The monotonic clock alone, for the end of a measurement. Read once per [`Ambient::expire`]: one turn of a
    /// task takes microseconds, and nobody measures less here.
    pub fn instant(&self) -> Instant {
        if !self.is_recent.replace(true) {
            self.recent.set(Instant::now());
        }
        self.recent.get()
    }

    /// Another turn begins: the next question is put to the clock.
    pub fn expire(&self) {
        self.is_recent.set(false);
    }

    /// The monotonic clock when this thread last read it: at most a tick of the worker ago, and free.
    pub fn recent(&self) -> Instant {
        self.recent.get()
    }

    /// The wall clock in milliseconds since the Unix epoch, for the access log.
    pub fn unix_millis(&self) -> u64 {
        let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
    }

    /// One throw of the dice.
    pub fn roll(&self) -> u64 {
        self.dice.borrow_mut().random()
    }
}

/// Seconds since the Unix epoch; 0 on a machine whose clock stands before it.
pub fn unix_seconds() -> u64 {
    unix_time().as_secs()
}

/// The wall clock as the time since the Unix epoch; 0 on a machine whose clock stands before it.
pub fn unix_time() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Thirty-two bytes from the operating system, for a signing key.
pub fn fresh_key() -> [u8; 32] {
    rand::rng().random()
}
