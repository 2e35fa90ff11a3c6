//! Numbers that a process counts together with the children that it forks.

use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::io;

use super::terminal::last_errno;

/// Some counters in memory that forked processes share.
#[derive(Debug)]
pub struct Counters {
    start: *mut AtomicU64,
    count: usize,
}

impl Counters {
    /// That many, all zero.
    ///
    /// # Errors
    /// When there is no memory.
    pub fn new(count: usize) -> io::Result<Self> {
        let bytes = count * size_of::<AtomicU64>();
        // SAFETY: a fresh mapping at an address of the kernel's choice touches nothing of ours.
        let start = unsafe {
            libc::mmap(
                ptr::null_mut(),
                bytes,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(last_errno());
        }
        Ok(Self { start: start.cast(), count })
    }

    /// Adds one to a counter; one that does not exist is none.
    pub fn add(&self, number: usize) {
        if let Some(counter) = self.all().get(number) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What they say.
    pub fn read(&self) -> Vec<u64> {
        self.all().iter().map(|counter| counter.load(Ordering::Relaxed)).collect()
    }

    fn all(&self) -> &[AtomicU64] {
        // SAFETY: the mapping has room for them, is zeroed, aligned to a page, lives as long as `self`,
        // and is only ever touched atomically.
        unsafe { std::slice::from_raw_parts(self.start, self.count) }
    }
}

impl Drop for Counters {
    fn drop(&mut self) {
        // SAFETY: exactly the mapping that `new` made; no reference into it outlives `self`.
        unsafe { libc::munmap(self.start.cast(), self.count * size_of::<AtomicU64>()) };
    }
}
