//! The time by which days and hours are told apart. The wall clock is read once, at the start; from then on the
//! boot clock carries it, so that a clock that is set while the gateway runs brings no day nearer.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::gate::Moment;
use crate::kernel;

/// A clock that nobody can set.
#[derive(Debug, Clone, Copy)]
pub(super) struct Steady {
    unix_s_at_start: u64,
    boot_ns_at_start: u64,
}

impl Steady {
    /// The wall clock as it is now.
    pub(super) fn start() -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            unix_s_at_start: wall.map_or(0, |since| since.as_secs()),
            boot_ns_at_start: kernel::boot_ns(),
        }
    }

    /// Now.
    pub(super) fn moment(&self) -> Moment {
        let boot_ns = kernel::boot_ns();
        Moment { unix_s: self.at(boot_ns), boot_ms: boot_ns / 1_000_000 }
    }

    fn at(&self, boot_ns: u64) -> u64 {
        let passed_s = boot_ns.saturating_sub(self.boot_ns_at_start) / 1_000_000_000;
        self.unix_s_at_start.saturating_add(passed_s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_boot_clock_moves_it() {
        let steady = Steady { unix_s_at_start: 1_000, boot_ns_at_start: 5_000_000_000 };
        for (boot_ns, unix_s) in
            [(5_000_000_000, 1_000), (5_999_999_999, 1_000), (65_000_000_000, 1_060), (0, 1_000)]
        {
            assert_eq!(steady.at(boot_ns), unix_s);
        }
    }
}
