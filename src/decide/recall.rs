//! Tickets that were opened before.
//!
//! A browser sends its ticket with a page and again with each of its dozens of files, and every opening costs an
//! HMAC. What a ticket says never changes, so one worker remembers the last few thousand. A memory of a pure
//! function: with it or without, every answer is the same.

use std::cell::{OnceCell, RefCell};
use std::fmt;

use subtle::ConstantTimeEq as _;

use crate::decide::ticket::Ticket;

/// How many tickets one worker remembers, at 128 bytes each: half a megabyte, from the first ticket on.
const SLOTS: usize = 4096;

/// Tickets that may lie at one place: with one alone, two browsers that meet there would forget each other in turn.
const WAYS: usize = 2;

/// The longest value that is remembered: every ticket of ours is shorter.
const LONGEST: usize = 80;

/// The tickets that one worker opened last.
#[derive(Default)]
pub struct Recall(OnceCell<RefCell<Box<[Slot]>>>);

/// One ticket. Aligned to where the processor reads anyway.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Slot {
    /// Which seal opened it: what another app's opens, this one's may not.
    seal: u64,
    /// The cookie's value, filled up with zeros, which none contains.
    value: [u8; LONGEST],
    ticket: Option<Ticket>,
}

impl Recall {
    /// What this value said to this seal, if that is remembered.
    pub(super) fn find(&self, seal: u64, value: &[u8]) -> Option<Ticket> {
        let (at, value) = (place_of(value)?, filled_up(value)?);
        let slots = self.0.get()?.borrow();
        // In constant time: how far a forged ticket resembles a genuine one is nobody's business.
        slots[at..at + WAYS].iter().find(|slot| slot.seal == seal && is_same(&slot.value, &value))?.ticket
    }

    /// Remembers what a genuine ticket says. Only these are: a forged one takes nobody's place.
    pub(super) fn keep(&self, seal: u64, value: &[u8], ticket: &Ticket) {
        let (Some(at), Some(value)) = (place_of(value), filled_up(value)) else { return };
        let nothing = Slot { seal: 0, value: [0; LONGEST], ticket: None };
        let slots = self.0.get_or_init(|| RefCell::new(vec![nothing; SLOTS].into_boxed_slice()));
        let place = &mut slots.borrow_mut()[at..at + WAYS];
        place.rotate_right(1);
        place[0] = Slot { seal, value, ticket: Some(*ticket) };
    }
}

/// In constant time, eight bytes at a step.
fn is_same(one: &[u8; LONGEST], other: &[u8; LONGEST]) -> bool {
    let (one, other) = (one.as_chunks::<8>().0, other.as_chunks::<8>().0);
    let step = |difference, (one, other): (&[u8; 8], &[u8; 8])| {
        difference | (u64::from_ne_bytes(*one) ^ u64::from_ne_bytes(*other))
    };
    one.iter().zip(other).fold(0, step).ct_eq(&0).into()
}

/// A ticket ends in its signature, which is as good as a hash of it.
fn place_of(value: &[u8]) -> Option<usize> {
    let last = value.last_chunk::<8>()?;
    // Six bits a letter, and the last letter may hold fewer: the product's upper bits depend on all of them.
    let mixed = u64::from_le_bytes(*last).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    Some((mixed >> 32) as usize % (SLOTS / WAYS) * WAYS)
}

fn filled_up(value: &[u8]) -> Option<[u8; LONGEST]> {
    let mut filled = [0; LONGEST];
    filled.get_mut(..value.len())?.copy_from_slice(value);
    Some(filled)
}

impl fmt::Debug for Recall {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Recall")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUE: &[u8] = b"AQAAAAEAAAABAAAAAAAAAAAAAAAA-signature";

    #[test]
    fn only_the_very_same_value_is_remembered_and_only_for_its_seal() {
        let recall = Recall::default();
        assert_eq!(recall.find(1, VALUE), None);
        recall.keep(1, VALUE, &Ticket::new(7));
        assert_eq!(recall.find(1, VALUE), Some(Ticket::new(7)));
        assert_eq!(recall.find(2, VALUE), None, "another app's, or one with other keys");
        for at in 0..VALUE.len() {
            let mut forged = VALUE.to_vec();
            forged[at] ^= 1;
            assert_eq!(recall.find(1, &forged), None, "byte {at}");
        }
        assert_eq!(recall.find(1, &VALUE[..VALUE.len() - 1]), None);
        assert_eq!(recall.find(1, &[VALUE, b"\0"].concat()), None, "the place is another");
    }

    #[test]
    fn two_that_meet_at_one_place_are_both_remembered_and_a_third_takes_the_older_ones() {
        let recall = Recall::default();
        let value = |number: u32| [&number.to_be_bytes()[..], b"same-end"].concat();
        for number in 0..3 {
            recall.keep(1, &value(number), &Ticket::new(number));
        }
        let found = [0, 1, 2].map(|number| recall.find(1, &value(number)));
        assert_eq!(found, [None, Some(Ticket::new(1)), Some(Ticket::new(2))]);
    }

    #[test]
    fn what_is_no_ticket_by_its_length_is_not_remembered() {
        let recall = Recall::default();
        for value in [&b"short"[..], &[b'A'; LONGEST + 1]] {
            recall.keep(1, value, &Ticket::new(7));
            assert_eq!(recall.find(1, value), None);
        }
        recall.keep(1, &[b'A'; LONGEST], &Ticket::new(7));
        assert_eq!(recall.find(1, &[b'A'; LONGEST]), Some(Ticket::new(7)));
    }
}
