//! The events that the programs put into the ring, for the recorder alone.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use atf_common::event::Event;
use atf_common::records::VectorState;
use atf_common::vector::VECTORS;
use aya::maps::{MapData, PerCpuArray, RingBuf};

use super::error::KernelError;
use super::maps::open;
use crate::sys::bpf::Access;

/// The reading end of the ring. There must be one only.
pub struct Events {
    ring: RingBuf<MapData>,
    lost: PerCpuArray<MapData, VectorState>,
}

impl Events {
    /// Opens the ring pinned under `pin_dir`.
    ///
    /// # Errors
    /// When the cage is not up, or this process is not of the recorder's group.
    pub fn open(pin_dir: &Path) -> Result<Self, KernelError> {
        Ok(Self {
            ring: open(pin_dir, "EVENTS", Access::Write)?,
            lost: open(pin_dir, "LOST", Access::Read)?,
        })
    }

    /// The descriptor that becomes readable when there is an event. Poll it with a timeout: a
    /// wake-up can be missed.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.ring.as_fd()
    }

    /// The next event, if there is one.
    #[allow(clippy::should_implement_trait, reason = "an empty ring is not an ended one")]
    pub fn next(&mut self) -> Option<Event> {
        loop {
            let item = self.ring.next()?;
            if let Some(event) = read(&item) {
                return Some(event);
            }
            tracing::error!(bytes = item.len(), "an event of another length in the ring");
        }
    }

    /// What was counted for processes that are under no registered run, by the vector's number.
    ///
    /// # Errors
    /// The kernel's.
    pub fn lost(&self) -> Result<[VectorState; VECTORS], KernelError> {
        let mut sums = [VectorState::default(); VECTORS];
        for (place, sum) in sums.iter_mut().enumerate() {
            let each = self.lost.get(&(place as u32), 0).map_err(KernelError::object("LOST"))?;
            for one in each.iter() {
                sum.allowed += one.allowed;
                sum.denied += one.denied;
                sum.observed += one.observed;
                sum.events += one.events;
                sum.suppressed += one.suppressed;
                sum.dropped += one.dropped;
            }
        }
        Ok(sums)
    }
}

/// An event from its bytes, which are those of the C structure on this machine.
fn read(bytes: &[u8]) -> Option<Event> {
    let bytes: &[u8; 64] = bytes.try_into().ok()?;
    let long = |at: usize| bytes[at..at + 8].try_into().map(u64::from_ne_bytes).ok();
    let half = |at: usize| bytes[at..at + 2].try_into().map(u16::from_ne_bytes).ok();
    let word = |at: usize| bytes[at..at + 4].try_into().map(u32::from_ne_bytes).ok();
    Some(Event {
        boot_ns: long(0)?,
        run: long(8)?,
        pid: word(16)?,
        uid: word(20)?,
        vector: word(24)?,
        denial: half(28)?,
        observed: half(30)?,
        family: word(32)?,
        detail: word(36)?,
        comm: bytes[40..56].try_into().ok()?,
        suppressed: long(56)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_read_field_by_field() {
        let mut bytes = [0_u8; 64];
        for (at, byte) in
            [(0, 1), (8, 2), (16, 3), (20, 4), (24, 5), (28, 6), (30, 1), (32, 7), (36, 8)]
        {
            bytes[at] = byte;
        }
        bytes[40..44].copy_from_slice(b"node");
        bytes[56] = 9;
        let event = read(&bytes).expect("64 bytes are an event");
        let mut comm = [0; 16];
        comm[..4].copy_from_slice(b"node");
        let expected = Event {
            boot_ns: 1,
            run: 2,
            pid: 3,
            uid: 4,
            vector: 5,
            denial: 6,
            observed: 1,
            family: 7,
            detail: 8,
            comm,
            suppressed: 9,
        };
        assert_eq!(event, expected);
        assert_eq!(read(&bytes[..63]), None);
    }
}
