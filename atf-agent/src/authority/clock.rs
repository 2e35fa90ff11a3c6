//! The two clocks: the boot clock, by which runs and tokens end in the kernel, and the wall clock,
//! which tokens carry and anybody with the right may set.

use std::time::{SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

/// Milliseconds of the boot clock.
pub(super) fn boot_ms() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    // Neither part is negative: the clock starts at zero.
    now.tv_sec.unsigned_abs() * 1_000 + now.tv_nsec.unsigned_abs() / 1_000_000
}

/// Seconds since the epoch; 0 when the clock stands before it, which mints nothing.
pub(super) fn now_unix_s() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
