//! Flow pins: what keeps a flow on the engine that began it.
//!
//! ```text
//! for each pin, the one used last first:  workflow 4 │ flags 1 │ began 4 │ used 4 │ endpoint 4
//! ```
//! Integers are big-endian; times are seconds since the Unix epoch.

use crate::decide::engine::Engine;
use crate::decide::workflow::{PinLimits, Table};

/// As many flows may a browser have open.
pub const MOST_FLOWS: usize = 4;

const PIN: usize = 17;
const FLAG_IDENTITY: u8 = 1;
const FLAG_COUNTED: u8 = 1 << 1;
const FLAG_ENDED: u8 = 1 << 2;

/// An ended pin still routes its steps and callbacks for so many seconds: the second of two callbacks, and the
/// way back.
const AFTERLIFE: u32 = 60;

/// A pin's last use is written down when the one before is so many seconds old, so that not every answer carries
/// a cookie.
const RENEW_AFTER: u32 = 60;

/// One flow of one browser.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FlowPin {
    /// The hash of its workflow's name.
    pub workflow: u32,
    /// Who began it.
    pub engine: Engine,
    /// When.
    pub began: u32,
    /// When it was used last, or, once it has ended, when it ended.
    pub used: u32,
    /// The hash of the endpoint that began it; 0: none in particular.
    pub endpoint: u32,
    /// Whether it is counted among the flows that were started: it is once its browser comes back, which mail
    /// scanners and probes do not.
    pub counted: bool,
    /// Whether it has ended.
    pub ended: bool,
}

impl FlowPin {
    /// A flow that begins.
    pub const fn new(workflow: u32, engine: Engine, now: u32) -> Self {
        Self { workflow, engine, began: now, used: now, endpoint: 0, counted: false, ended: false }
    }

    /// Whether it holds at this time. What was not written down of its last use is forgiven; a clock that went
    /// back ends nothing.
    pub const fn is_alive(&self, limits: PinLimits, now: u32) -> bool {
        let (age, unused) = (now.saturating_sub(self.began), now.saturating_sub(self.used));
        if self.ended {
            unused <= AFTERLIFE
        } else {
            age <= limits.cap && unused <= limits.idle + RENEW_AFTER
        }
    }
}

/// The flows of one browser, the one used last first.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Flows {
    pins: Vec<FlowPin>,
    /// Whether they differ from what the browser holds, or were sealed by a key that does not sign any more.
    is_due: bool,
}

impl Flows {
    pub(super) fn write(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.pins.len() * PIN);
        for pin in &self.pins {
            let flag = |set: bool, flag: u8| if set { flag } else { 0 };
            let flags = flag(pin.engine == Engine::Identity, FLAG_IDENTITY)
                | flag(pin.counted, FLAG_COUNTED)
                | flag(pin.ended, FLAG_ENDED);
            bytes.extend_from_slice(&pin.workflow.to_be_bytes());
            bytes.push(flags);
            bytes.extend_from_slice(&pin.began.to_be_bytes());
            bytes.extend_from_slice(&pin.used.to_be_bytes());
            bytes.extend_from_slice(&pin.endpoint.to_be_bytes());
        }
        bytes
    }

    pub(super) fn read(bytes: &[u8], is_current: bool) -> Option<Self> {
        if bytes.is_empty() || !bytes.len().is_multiple_of(PIN) || bytes.len() > MOST_FLOWS * PIN {
            return None;
        }
        let pins = bytes.chunks_exact(PIN).map(|pin| {
            let integer = |from: usize| u32::from_be_bytes(pin[from..from + 4].try_into().expect("4 bytes"));
            let has = |flag: u8| pin[4] & flag != 0;
            FlowPin {
                workflow: integer(0),
                engine: if has(FLAG_IDENTITY) { Engine::Identity } else { Engine::Classic },
                began: integer(5),
                used: integer(9),
                endpoint: integer(13),
                counted: has(FLAG_COUNTED),
                ended: has(FLAG_ENDED),
            }
        });
        Some(Self { pins: pins.collect(), is_due: !is_current })
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.pins.is_empty()
    }

    /// Whether the browser should be given them.
    pub fn is_due(&self) -> bool {
        self.is_due
    }

    /// The browser goes on holding what it holds.
    pub(super) fn leave_as_held(&mut self) {
        self.is_due = false;
    }

    /// All of them, the one used last first.
    pub fn iter(&self) -> impl Iterator<Item = &FlowPin> {
        self.pins.iter()
    }

    /// Drops pins that hold no more, and returns those of them that had not ended. Pins of a workflow that is not
    /// configured any more end without a word.
    pub(super) fn prune(&mut self, table: &Table, now: u32) -> Vec<(u8, FlowPin)> {
        let mut expired = Vec::new();
        let before = self.pins.len();
        self.pins.retain(|pin| {
            let Some(at) = table.named_by(pin.workflow) else { return false };
            let alive = pin.is_alive(table.workflow(at).pin, now);
            if !alive && !pin.ended {
                expired.push((at, *pin));
            }
            alive
        });
        self.is_due |= self.pins.len() != before;
        expired
    }

    /// Takes away and returns the pins of which this holds.
    pub(super) fn take(&mut self, is_void: impl Fn(&FlowPin) -> bool) -> Vec<FlowPin> {
        let taken: Vec<FlowPin> = self.pins.extract_if(.., |pin| is_void(pin)).collect();
        self.is_due |= !taken.is_empty();
        taken
    }

    /// The pin of a workflow.
    pub fn of(&self, workflow: u32) -> Option<&FlowPin> {
        self.pins.iter().find(|pin| pin.workflow == workflow)
    }

    /// The flow used last among those of a set of workflows. One that has ended holds steps and callbacks, not
    /// starts: `with_ended` says whether it counts.
    pub(super) fn last_used(&self, table: &Table, set: u32, with_ended: bool) -> Option<(u8, FlowPin)> {
        self.pins.iter().find_map(|pin| {
            let at = table.named_by(pin.workflow)?;
            (set & (1 << at) != 0 && (with_ended || !pin.ended)).then_some((at, *pin))
        })
    }

    /// Puts a pin to the front, in place of the one of its workflow; beyond [`MOST_FLOWS`] the one that was
    /// longest unused goes.
    pub fn open(&mut self, pin: FlowPin) {
        self.pins.retain(|known| known.workflow != pin.workflow);
        self.pins.insert(0, pin);
        self.pins.truncate(MOST_FLOWS);
        self.is_due = true;
    }

    /// Notes that a workflow's pin was used.
    pub(super) fn touch(&mut self, pin: FlowPin, now: u32) {
        let is_first = self.pins.first().is_some_and(|first| first.workflow == pin.workflow);
        let known = self.of(pin.workflow).copied();
        let is_recent = now.saturating_sub(pin.used) < RENEW_AFTER;
        if !(is_first && is_recent && known == Some(pin)) {
            self.open(FlowPin { used: if pin.ended { pin.used } else { now }, ..pin });
        }
    }

    /// Takes a workflow's pin away.
    pub fn close(&mut self, workflow: u32) {
        let before = self.pins.len();
        self.pins.retain(|pin| pin.workflow != workflow);
        self.is_due |= self.pins.len() != before;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: PinLimits = PinLimits { idle: 1800, cap: 7200 };

    #[test]
    fn a_pin_holds_while_it_is_used_and_at_most_its_cap() {
        let pin = FlowPin { used: 3000, ..FlowPin::new(1, Engine::Classic, 1000) };
        for (now, alive) in [(3000, true), (4860, true), (4861, false), (0, true)] {
            assert_eq!(pin.is_alive(LIMITS, now), alive, "at {now}");
        }
        let used = FlowPin { used: 8200, ..pin };
        assert!(used.is_alive(LIMITS, 8200) && !used.is_alive(LIMITS, 8201));
        let ended = FlowPin { ended: true, ..pin };
        assert!(ended.is_alive(LIMITS, 3060) && !ended.is_alive(LIMITS, 3061));
    }

    #[test]
    fn the_flow_used_last_comes_first_and_the_fifth_pushes_the_first_out() {
        let mut flows = Flows::default();
        for workflow in 1..=5 {
            flows.open(FlowPin::new(workflow, Engine::Identity, 10));
        }
        flows.open(FlowPin::new(3, Engine::Classic, 11));
        let order: Vec<u32> = flows.iter().map(|pin| pin.workflow).collect();
        assert_eq!(order, [3, 5, 4, 2]);
        assert_eq!(flows.of(3).map(|pin| pin.engine), Some(Engine::Classic));
    }

    #[test]
    fn what_is_written_is_read_again_and_nothing_else_is() {
        let mut flows = Flows::default();
        flows.open(FlowPin { counted: true, endpoint: 9, ..FlowPin::new(7, Engine::Identity, 10) });
        flows.open(FlowPin { ended: true, used: 12, ..FlowPin::new(8, Engine::Classic, 11) });
        let bytes = flows.write();
        let read = Flows::read(&bytes, true).expect("ours");
        assert!(read.iter().eq(flows.iter()) && !read.is_due());
        for length in
            (0..=5 * PIN).filter(|length| !length.is_multiple_of(PIN) || *length == 0 || *length > 4 * PIN)
        {
            assert_eq!(Flows::read(&vec![0; length], true), None, "{length} bytes");
        }
    }

    #[test]
    fn a_use_is_written_down_once_a_minute() {
        let mut flows = Flows::default();
        flows.open(FlowPin::new(7, Engine::Identity, 10));
        let mut held = Flows::read(&flows.write(), true).expect("ours");
        let pin = *held.of(7).expect("open");
        held.touch(pin, 69);
        assert!(!held.is_due());
        held.touch(pin, 70);
        assert!(held.is_due() && held.of(7).is_some_and(|pin| pin.used == 70));
    }
}
