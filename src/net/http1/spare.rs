//! Room to read into, which a worker's connections take in turn.

use std::cell::RefCell;

use bytes::BytesMut;

/// The room that a connection left last. Whoever reads next finds it in the cache, and connections that wait, of which
/// there may be many, hold none.
#[derive(Debug, Default)]
pub struct Spare(RefCell<BytesMut>);

impl Spare {
    /// The room that is left, or none.
    pub fn take(&self) -> BytesMut {
        self.0.take()
    }

    /// Leaves room of `size` bytes for the next. What is larger, or still in use, is given back to the allocator.
    pub fn leave(&self, mut room: BytesMut, size: usize) {
        room.clear();
        if room.try_reclaim(size) && room.capacity() < 2 * size {
            drop(self.0.replace(room));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_left_once_nobody_uses_it_and_if_it_is_not_too_large() {
        let spare = Spare::default();
        let mut room = BytesMut::with_capacity(100);
        room.extend_from_slice(b"a head and more");
        let head = room.split_to(6);
        spare.leave(room, 100);
        assert_eq!(spare.take().capacity(), 0, "the head is in use");
        drop(head);
        let mut room = BytesMut::with_capacity(100);
        room.extend_from_slice(b"a head");
        drop(room.split_to(6));
        spare.leave(room, 100);
        let found = spare.take();
        assert!(found.is_empty() && found.capacity() >= 100);
        assert_eq!(spare.take().capacity(), 0, "it was taken");
        spare.leave(BytesMut::with_capacity(1000), 100);
        assert_eq!(spare.take().capacity(), 0, "too large");
    }
}
