//! What the kernel programs and the daemons share: the records in the maps, their limits, the
//! vectors, and the verdict and what comes of it as pure functions. `core` alone; no kernel shims, ever.

#![no_std]

pub mod event;
pub mod limiter;
pub mod limits;
pub mod loopback;
pub mod mode;
pub mod operation;
#[cfg(any(test, fuzzing))]
pub mod promise;
pub mod records;
pub mod vector;
pub mod verdict;

/// Version of every record in this crate. Pinned maps of another version are not reused.
pub const ABI_VERSION: u32 = 4;
