//! How many refusals are told: the kernel programs' own limiter, once for each call's number, so that
//! decoys of one call do not hide another; and one for all of them, so that a run that goes through the
//! numbers does not fill the log.

use std::collections::HashMap;

use atf_common::limits::{EVENT_BURST, EVENT_INTERVAL_NS, EVENT_LONGER, EVENTS_TOLD_MAX};

/// System calls have numbers below this; all others share one limiter.
const CALLS_MAX: i64 = 512;
const OTHERS: i64 = -1;

/// For how many numbers at once all that they may have is told.
const AT_ONCE: u64 = 16;

/// The budget of one call's number: how far ahead of the clock it may be, and what one refusal takes of it,
/// in nanoseconds.
const OF_ONE: Budget = Budget { interval: EVENT_INTERVAL_NS, burst: EVENT_BURST as u64 };

/// That of all of a run's.
const OF_ALL: Budget =
    Budget { interval: EVENT_INTERVAL_NS / AT_ONCE, burst: EVENT_BURST as u64 * AT_ONCE };

/// The limiters of one run.
#[derive(Debug, Default)]
pub(super) struct Pace {
    by_call: HashMap<i64, OfCall>,
    all: Limiter,
    told: u64,
}

#[derive(Debug, Default)]
struct OfCall {
    limiter: Limiter,
    /// Refusals that were not told since the last one that was.
    silent: u64,
}

#[derive(Clone, Copy)]
struct Budget {
    interval: u64,
    burst: u64,
}

impl Budget {
    /// The budget of a run of whose refusals so many were told.
    fn after(self, told: u64) -> Self {
        let longer = if told < EVENTS_TOLD_MAX { 1 } else { EVENT_LONGER };
        Self { interval: self.interval * longer, ..self }
    }
}

#[derive(Debug, Default)]
struct Limiter {
    /// Boot clock, nanoseconds, at which the budget is whole again.
    whole_boot_ns: u64,
}

impl Limiter {
    fn has_room(&self, budget: &Budget, now_boot_ns: u64) -> bool {
        let ahead = self.whole_boot_ns.saturating_sub(now_boot_ns);
        ahead <= (budget.burst - 1) * budget.interval
    }

    fn spend(&mut self, budget: &Budget, now_boot_ns: u64) {
        self.whole_boot_ns = self.whole_boot_ns.max(now_boot_ns) + budget.interval;
    }
}

impl Pace {
    /// Whether a refusal of this call is told now: then with the number of those before it that were
    /// not.
    pub(super) fn admits(&mut self, call: i64, now_boot_ns: u64) -> Option<u64> {
        let (of_one, of_all) = (OF_ONE.after(self.told), OF_ALL.after(self.told));
        let key = if (0..CALLS_MAX).contains(&call) { call } else { OTHERS };
        let one = self.by_call.entry(key).or_default();
        if !one.limiter.has_room(&of_one, now_boot_ns) || !self.all.has_room(&of_all, now_boot_ns) {
            one.silent += 1;
            return None;
        }
        one.limiter.spend(&of_one, now_boot_ns);
        self.all.spend(&of_all, now_boot_ns);
        self.told += 1;
        Some(std::mem::take(&mut one.silent))
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

    /// The attack: every number in turn, each below its own limit.
    #[test]
    fn all_numbers_together_have_a_limit_too() {
        let mut pace = Pace::default();
        let mut told = 0;
        for round in 0..EVENT_BURST as u64 {
            told += (0..CALLS_MAX).filter(|call| pace.admits(*call, 1 + round).is_some()).count();
        }
        assert_eq!(told as u64, u64::from(EVENT_BURST) * AT_ONCE);
        let whole = 2 + EVENT_INTERVAL_NS * u64::from(EVENT_BURST);
        assert!(pace.admits(101, whole).is_some(), "and it passes");
    }

    /// The attack: a run that is refused a thousand calls a second for an hour, of every number.
    #[test]
    fn an_hour_of_refusals_does_not_fill_the_log() {
        let mut pace = Pace::default();
        let (mut told, mut silent, asked) = (0, 0, 3_600_000_u64);
        for ms in 0..asked {
            if let Some(before) = pace.admits((ms % 512).cast_signed(), 1 + ms * 1_000_000) {
                told += 1;
                silent += before;
            }
        }
        let of_all = OF_ALL.after(EVENTS_TOLD_MAX);
        let most = EVENTS_TOLD_MAX + of_all.burst + 3_600_000_000_000 / of_all.interval;
        assert!((EVENTS_TOLD_MAX..=most).contains(&told), "{told} of at most {most}");
        assert!(most < 70_000, "{most}");
        let not_yet: u64 = pace.by_call.values().map(|of_call| of_call.silent).sum();
        assert_eq!(told + silent + not_yet, asked, "each is told or counted");
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
