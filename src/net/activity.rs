//! What one downstream connection is waiting for, and since when.
//!
//! A timer per request costs two operations on the timer wheel for something that nearly never happens. So a
//! connection only notes what it does, against a coarse clock, and its worker looks at all connections ten
//! times a second. Time-outs are therefore late by up to one [`TICK`], and never early.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use atomic_waker::AtomicWaker;

use crate::telemetry::kinds::CloseReason;

/// How often a worker looks at its connections.
pub const TICK: Duration = Duration::from_millis(100);

/// Milliseconds since the worker started; advanced once per [`TICK`]. The values are atomics only because hyper
/// wants sockets that could move between threads; one thread writes and reads them.
#[derive(Debug, Default)]
pub struct CoarseClock(AtomicU64);

impl CoarseClock {
    /// The time of the last tick.
    pub fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Called by the worker once per tick with the time since it started.
    pub fn set(&self, since_start: Duration) {
        self.0.store(millis(since_start), Ordering::Relaxed);
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// What the client owes us.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum Phase {
    /// The first byte of a request head.
    Idle,
    /// The rest of a request head.
    Head,
    /// More of a request body.
    Body,
    /// Nothing: it is waiting for us.
    Answer,
    /// Nothing: the connection carries another protocol, whose bytes either side may send when it likes.
    Tunnel,
    /// The first byte of a request, on a connection whose requests time themselves.
    Between,
}

impl Phase {
    const fn from_byte(byte: u8) -> Self {
        match byte {
            0 => Self::Idle,
            1 => Self::Head,
            2 => Self::Body,
            3 => Self::Answer,
            4 => Self::Tunnel,
            _ => Self::Between,
        }
    }
}

/// How a client stalled.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stall {
    /// No request began within the idle time-out: nobody's fault.
    Idle,
    /// A request head took too long.
    Head,
    /// The next bytes of a request body took too long.
    Body,
    /// The client did not take the response's bytes.
    Reader,
    /// A tunnel carried nothing in either direction.
    Tunnel,
    /// The deadline of the present step has passed.
    Step,
    /// The deadline of the whole exchange has passed.
    Exchange,
}

/// No point in time: nothing is awaited.
const NEVER: u64 = u64::MAX;

/// No reason of ours to end the connection.
const UNDECIDED: u8 = u8::MAX;

/// What one downstream connection is doing.
#[derive(Debug)]
pub struct Activity {
    clock: Arc<CoarseClock>,
    phase: AtomicU8,
    /// When the phase began.
    since: AtomicU64,
    /// When the request path began to wait for the client's body; [`NEVER`] while it does not.
    reading_since: AtomicU64,
    /// When a write first found no room; [`NEVER`] while bytes go.
    writing_since: AtomicU64,
    /// When what the request path waits for is late.
    step_deadline: AtomicU64,
    /// When the whole exchange is late.
    exchange_deadline: AtomicU64,
    head_timeout: AtomicU64,
    idle_timeout: AtomicU64,
    /// Why we end the connection, by [`CloseReason::index`]; [`UNDECIDED`] while we do not.
    ends: AtomicU8,
    waker: AtomicWaker,
    /// Whether there is a waker that was not used since.
    is_registered: AtomicBool,
}

impl Activity {
    /// A connection that was just accepted.
    pub fn new(clock: Arc<CoarseClock>, head_timeout: Duration, idle_timeout: Duration) -> Arc<Self> {
        let now = clock.now();
        Arc::new(Self {
            clock,
            phase: AtomicU8::new(Phase::Idle as u8),
            since: AtomicU64::new(now),
            reading_since: AtomicU64::new(NEVER),
            writing_since: AtomicU64::new(NEVER),
            step_deadline: AtomicU64::new(NEVER),
            exchange_deadline: AtomicU64::new(NEVER),
            head_timeout: AtomicU64::new(millis(head_timeout)),
            idle_timeout: AtomicU64::new(millis(idle_timeout)),
            ends: AtomicU8::new(UNDECIDED),
            waker: AtomicWaker::new(),
            is_registered: AtomicBool::new(false),
        })
    }

    /// Takes over time-outs that a reload changed.
    pub fn set_timeouts(&self, head: Duration, idle: Duration) {
        self.head_timeout.store(millis(head), Ordering::Relaxed);
        self.idle_timeout.store(millis(idle), Ordering::Relaxed);
    }

    /// Enters a phase.
    pub fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
        self.reading_since.store(NEVER, Ordering::Relaxed);
        self.since.store(self.clock.now(), Ordering::Relaxed);
    }

    /// Whoever registered this waker is done. As long as there is a waker of a task, its memory is kept, and the next to
    /// register may be long in coming. Another's waker stays: a stream is over when its tunnel has begun.
    pub fn leave(&self, waker: &std::task::Waker) {
        match self.waker.take() {
            Some(other) if !other.will_wake(waker) => self.waker.register(&other),
            Some(_) | None => self.is_registered.store(false, Ordering::Relaxed),
        }
    }

    /// Whoever waited has gone, and somebody else begins.
    pub fn renew(&self) {
        self.is_registered.store(false, Ordering::Relaxed);
        self.writing_since.store(NEVER, Ordering::Relaxed);
        self.set_exchange_deadline(None);
    }

    /// The time of the last tick, in milliseconds since the worker started.
    pub fn now(&self) -> u64 {
        self.clock.now()
    }

    /// Wakes the connection's task, whatever it waits for.
    pub fn nudge(&self) {
        self.is_registered.store(false, Ordering::Relaxed);
        self.waker.wake();
    }

    /// What the client owes us now.
    pub fn phase(&self) -> Phase {
        Phase::from_byte(self.phase.load(Ordering::Relaxed))
    }

    /// The task to wake when something has taken too long.
    pub fn register(&self, waker: &std::task::Waker) {
        self.waker.register(waker);
        self.is_registered.store(true, Ordering::Relaxed);
    }

    /// As [`Activity::register`], for a task that is the only one so far and comes back with every turn: its waker
    /// is still the same, and taking note of it again would cost two locked instructions.
    pub fn stay_registered(&self, waker: &std::task::Waker) {
        if !self.is_registered.load(Ordering::Relaxed) {
            self.register(waker);
        }
    }

    /// Sets when what the request path now waits for is late; `None`: it may take for ever.
    pub fn set_step_deadline(&self, within: Option<Duration>) {
        self.step_deadline.store(self.after(within), Ordering::Relaxed);
    }

    /// Begins a step that is late after `within`, unless it has begun already.
    pub fn begin_step(&self, within: Duration) {
        if self.step_deadline.load(Ordering::Relaxed) == NEVER {
            self.set_step_deadline(Some(within));
        }
    }

    /// Sets when the whole exchange is late, and lifts what was left of the one before.
    pub fn set_exchange_deadline(&self, within: Option<Duration>) {
        self.exchange_deadline.store(self.after(within), Ordering::Relaxed);
        self.step_deadline.store(NEVER, Ordering::Relaxed);
    }

    /// A whole tick is added: the coarse clock may be one behind, and time-outs are never early.
    fn after(&self, within: Option<Duration>) -> u64 {
        within.map_or(NEVER, |within| self.clock.now().saturating_add(millis(within.saturating_add(TICK))))
    }

    /// The request path waits for more of the client's body. A read of the socket says less: hyper also reads ahead,
    /// and to notice that a client has hung up.
    pub fn await_client(&self) {
        Self::note_wait(&self.reading_since, self.clock.now());
    }

    /// The client has sent more of its body.
    pub fn heard_client(&self) {
        self.reading_since.store(NEVER, Ordering::Relaxed);
    }

    /// Notes what a read of the socket gave: bytes, or nothing yet.
    pub(super) fn note_read(&self, bytes: Option<usize>) {
        if bytes.is_some() && self.phase.load(Ordering::Relaxed) == Phase::Idle as u8 {
            self.enter(Phase::Head);
        }
    }

    /// Notes whether the client takes what we have for it: a write of the socket, or the window of a stream, has room.
    pub fn note_write(&self, found_room: bool) {
        if found_room {
            self.writing_since.store(NEVER, Ordering::Relaxed);
        } else {
            Self::note_wait(&self.writing_since, self.clock.now());
        }
    }

    fn note_wait(since: &AtomicU64, now: u64) {
        if since.load(Ordering::Relaxed) == NEVER {
            since.store(now, Ordering::Relaxed);
        }
    }

    /// What, if anything, has taken too long.
    pub fn stall(&self) -> Option<Stall> {
        let now = self.clock.now();
        let idle_timeout = self.idle_timeout.load(Ordering::Relaxed);
        let waited = |since: &AtomicU64| now.saturating_sub(since.load(Ordering::Relaxed));
        // One tick of grace, since the clock that `since` was read from may be one behind.
        let tick = TICK.as_millis() as u64;
        let exceeds = |waited: u64, limit: u64| waited > limit.saturating_add(tick);

        // Before anything else: what waits to be written may belong to an exchange that is over already.
        if exceeds(waited(&self.writing_since), idle_timeout) {
            return Some(Stall::Reader);
        }
        let stall = match self.phase() {
            Phase::Idle | Phase::Between if exceeds(waited(&self.since), idle_timeout) => Some(Stall::Idle),
            Phase::Head if exceeds(waited(&self.since), self.head_timeout.load(Ordering::Relaxed)) => {
                Some(Stall::Head)
            }
            Phase::Body if exceeds(waited(&self.reading_since), idle_timeout) => Some(Stall::Body),
            Phase::Tunnel if exceeds(waited(&self.since), idle_timeout) => Some(Stall::Tunnel),
            Phase::Idle | Phase::Head | Phase::Body | Phase::Answer | Phase::Tunnel | Phase::Between => None,
        };
        if stall.is_some() {
            return stall;
        }
        if now >= self.exchange_deadline.load(Ordering::Relaxed) {
            return Some(Stall::Exchange);
        }
        (now >= self.step_deadline.load(Ordering::Relaxed)).then_some(Stall::Step)
    }

    /// We end the connection. The first reason stands.
    pub fn end(&self, reason: CloseReason) {
        if self.ends.load(Ordering::Relaxed) == UNDECIDED {
            self.ends.store(reason.index() as u8, Ordering::Relaxed);
        }
    }

    /// Why we end the connection, if we do.
    pub fn ended(&self) -> Option<CloseReason> {
        CloseReason::ALL.get(usize::from(self.ends.load(Ordering::Relaxed))).copied()
    }

    /// Wakes the connection's task when something has taken too long. Called by the worker every tick.
    pub fn check(&self) {
        if self.stall().is_some() {
            self.nudge();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(clock: &CoarseClock, seconds: u64) {
        clock.set(Duration::from_secs(seconds));
    }

    fn new() -> (Arc<CoarseClock>, Arc<Activity>) {
        let clock = Arc::new(CoarseClock::default());
        let activity = Activity::new(Arc::clone(&clock), Duration::from_secs(10), Duration::from_secs(75));
        (clock, activity)
    }

    #[test]
    fn an_idle_connection_may_idle_and_a_begun_head_may_not() {
        let (clock, activity) = new();
        at(&clock, 75);
        assert_eq!(activity.stall(), None);
        at(&clock, 76);
        assert_eq!(activity.stall(), Some(Stall::Idle));
        activity.note_read(Some(1));
        assert_eq!(activity.phase(), Phase::Head);
        at(&clock, 86);
        assert_eq!(activity.stall(), None);
        activity.note_read(Some(1));
        at(&clock, 87);
        assert_eq!(activity.stall(), Some(Stall::Head), "from the first byte, however many follow");
    }

    #[test]
    fn a_body_stalls_only_while_we_wait_for_the_client() {
        let (clock, activity) = new();
        activity.enter(Phase::Body);
        activity.note_read(None);
        at(&clock, 500);
        assert_eq!(activity.stall(), None, "nobody waits for the body: the engine is slow");
        activity.await_client();
        at(&clock, 570);
        activity.await_client();
        at(&clock, 576);
        assert_eq!(activity.stall(), Some(Stall::Body));
        activity.heard_client();
        assert_eq!(activity.stall(), None);
    }

    #[test]
    fn a_reader_that_takes_nothing_stalls() {
        let (clock, activity) = new();
        activity.enter(Phase::Answer);
        activity.note_write(false);
        at(&clock, 76);
        assert_eq!(activity.stall(), Some(Stall::Reader));
        // Its exchange may be over for us, with a part of the answer still to be written.
        activity.enter(Phase::Idle);
        at(&clock, 160);
        assert_eq!(activity.stall(), Some(Stall::Reader));
        activity.note_write(true);
        activity.enter(Phase::Answer);
        assert_eq!(activity.stall(), None);
    }

    #[test]
    fn nothing_is_kept_of_a_task_that_has_left_and_no_other_leaves_with_it() {
        struct Task;
        impl std::task::Wake for Task {
            fn wake(self: Arc<Self>) {}
        }
        let (_, activity) = new();
        let (stream, tunnel) = (Arc::new(Task), Arc::new(Task));
        let of = |task: &Arc<Task>| std::task::Waker::from(Arc::clone(task));
        activity.stay_registered(&of(&stream));
        assert_eq!(Arc::strong_count(&stream), 2);
        activity.leave(&of(&stream));
        assert_eq!(Arc::strong_count(&stream), 1);
        activity.register(&of(&tunnel));
        activity.leave(&of(&stream));
        assert_eq!(Arc::strong_count(&tunnel), 2, "it is still waited for");
        activity.leave(&of(&tunnel));
        activity.stay_registered(&of(&stream));
        assert_eq!(
            (Arc::strong_count(&stream), Arc::strong_count(&tunnel)),
            (2, 1),
            "somebody else may come"
        );
    }

    #[test]
    fn the_first_reason_to_end_a_connection_stands() {
        let (_, activity) = new();
        assert_eq!(activity.ended(), None);
        activity.end(CloseReason::SlowReader);
        activity.end(CloseReason::Idle);
        assert_eq!(activity.ended(), Some(CloseReason::SlowReader));
    }

    #[test]
    fn a_deadline_is_never_early() {
        let (clock, activity) = new();
        activity.enter(Phase::Answer);
        activity.set_exchange_deadline(Some(Duration::from_secs(1)));
        activity.set_step_deadline(Some(Duration::from_millis(250)));
        clock.set(Duration::from_millis(300));
        assert_eq!(activity.stall(), None);
        clock.set(Duration::from_millis(400));
        assert_eq!(activity.stall(), Some(Stall::Step));
        activity.set_step_deadline(None);
        assert_eq!(activity.stall(), None);
        clock.set(Duration::from_millis(1100));
        assert_eq!(activity.stall(), Some(Stall::Exchange));
        activity.set_exchange_deadline(None);
        assert_eq!(activity.stall(), None);
    }
}
