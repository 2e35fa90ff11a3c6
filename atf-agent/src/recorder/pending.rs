//! What was written and is not durable yet: kept in memory, against a disk that fails to sync.

/// Memory that is kept for the lines to come, in bytes: twice what is synced at once while the disk keeps up.
const KEPT_BYTES: usize = 8 << 20;

/// Lines of the log, in their order.
#[derive(Default)]
pub(super) struct Pending {
    /// The number of the first record; without meaning while there is none.
    first_seq: u64,
    lines: Vec<u8>,
}

impl Pending {
    /// Adds `lines`, of which the first is record `first_seq`.
    pub(super) fn add(&mut self, first_seq: u64, lines: &[u8]) {
        if self.lines.is_empty() {
            self.first_seq = first_seq;
        }
        self.lines.extend_from_slice(lines);
    }

    /// Drops the first `bytes`, before record `next_seq`: they are durable.
    pub(super) fn drop_durable(&mut self, bytes: u64, next_seq: u64) {
        let pending = self.lines.len();
        self.lines.drain(..usize::try_from(bytes).map_or(pending, |bytes| bytes.min(pending)));
        self.first_seq = next_seq;
        self.give_back();
    }

    /// Drops all of it: it is durable.
    pub(super) fn clear(&mut self) {
        self.lines.clear();
        self.give_back();
    }

    /// How much it is, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.lines.len()
    }

    /// The number of the first record, and all lines; `None` when nothing is pending.
    pub(super) fn lines(&self) -> Option<(u64, &[u8])> {
        (!self.lines.is_empty()).then_some((self.first_seq, &self.lines))
    }

    /// A disk that was slow once does not cost its memory for ever.
    fn give_back(&mut self) {
        if self.lines.capacity() > KEPT_BYTES {
            self.lines.shrink_to(KEPT_BYTES);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_is_that_of_the_first_record_which_is_not_durable() {
        let mut pending = Pending::default();
        pending.add(3, b"three\n");
        pending.add(4, b"four\n");
        assert_eq!(pending.lines(), Some((3, &b"three\nfour\n"[..])));
        pending.drop_durable(6, 4);
        assert_eq!(pending.lines(), Some((4, &b"four\n"[..])));
        pending.clear();
        assert_eq!(pending.lines(), None);
        pending.add(7, b"seven\n");
        assert_eq!(pending.lines(), Some((7, &b"seven\n"[..])));
    }

    #[test]
    fn a_flood_gives_its_memory_back() {
        let much = vec![b'x'; 2 * KEPT_BYTES];
        for dropped in [None, Some(much.len()), Some(much.len() - 5)] {
            let mut pending = Pending::default();
            pending.add(0, &much);
            match dropped {
                None => pending.clear(),
                Some(bytes) => pending.drop_durable(bytes as u64, 1),
            }
            assert!(pending.lines.capacity() <= KEPT_BYTES, "{dropped:?}");
        }
    }
}
