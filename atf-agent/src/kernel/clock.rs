//! The clock of the cage: `CLOCK_BOOTTIME`, which no one can set and which counts through sleep.

use rustix::time::{ClockId, clock_gettime};

const NS_PER_S: u64 = 1_000_000_000;
const NS_PER_MS: u64 = 1_000_000;

/// Nanoseconds since boot.
pub fn boot_ns() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    // Neither part is negative: the clock starts at zero.
    now.tv_sec as u64 * NS_PER_S + now.tv_nsec as u64
}

/// Milliseconds since boot.
pub fn boot_ms() -> u64 {
    boot_ns() / NS_PER_MS
}
