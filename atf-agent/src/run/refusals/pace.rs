//! How many refusals are told: the kernel programs' own limiter, once for each call's number, so that
//! decoys of one call do not hide another.

use std::collections::HashMap;

use atf_common::limits::{EVENT_BURST, EVENT_INTERVAL_NS};

/// System calls have numbers below this; all others share one limiter.
const CALLS_MAX: i64 = 512;
const OTHERS: i64 = -1;

/// The limiters of one run.
#[derive(Debug, Default)]
pub(super) struct Pace {
    by_call: HashMap<i64, Limiter>,
}

#[derive(Debug, Default)]
struct Limiter {
    /// Boot clock, nanoseconds, at which the budget is whole again.
    whole_boot_ns: u64,
    /// Refusals that were not told since the last one that was.
    silent: u64,
}

impl Pace {
    /// Whether a refusal of this call is told now: then with the number of those before it that were
    /// not.
    pub(super) fn admits(&mut self, call: i64, now_boot_ns: u64) -> Option<u64> {
        const SPREAD_NS: u64 = (EVENT_BURST as u64 - 1) * EVENT_INTERVAL_NS;
        let key = if (0..CALLS_MAX).contains(&call) { call } else { OTHERS };
        let limiter = self.by_call.entry(key).or_default();
        let whole = limiter.whole_boot_ns.max(now_boot_ns);
        if whole - now_boot_ns > SPREAD_NS {
            limiter.silent += 1;
            return None;
        }
        limiter.whole_boot_ns = whole + EVENT_INTERVAL_NS;
        Some(std::mem::take(&mut limiter.silent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_told_and_then_one_for_each_interval() {
        let mut pace = Pace::default();
        let told = (0..100).filter(|_| pace.admits(101, 1_000).is_some()).count();
        assert_eq!(told as u32, EVENT_BURST);
        assert_eq!(pace.admits(101, 1_000 + EVENT_INTERVAL_NS), Some(84), "and says how many not");
        assert_eq!(pace.admits(101, 1_000 + EVENT_INTERVAL_NS), None);
        let next = pace.admits(101, 1_000 + 2 * EVENT_INTERVAL_NS);
        assert_eq!(next, Some(1), "each of them is counted once");
    }

    #[test]
    fn decoys_of_one_call_do_not_hide_another() {
        let mut pace = Pace::default();
        while pace.admits(101, 1).is_some() {}
        assert_eq!(pace.admits(165, 1), Some(0));
    }

    #[test]
    fn numbers_without_end_take_no_memory() {
        let mut pace = Pace::default();
        for call in -2_000..100_000 {
            let _told = pace.admits(call, 1);
        }
        assert!(pace.by_call.len() <= CALLS_MAX as usize + 1);
    }
}
