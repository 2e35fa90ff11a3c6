//! Which denials become events: a bucket for each run and vector. A pure function on plain data, compiled into every
//! kernel program and tested on the host.

use crate::limits::{EVENT_BURST, EVENT_INTERVAL_NS, EVENT_LONGER, EVENTS_TOLD_MAX};

/// How many intervals the bucket may be from whole, when it gives one more.
const SPREAD: u64 = EVENT_BURST as u64 - 1;

/// A bucket of [`EVENT_BURST`] events that gains one each interval, kept as the one time at which it is whole
/// again, which is `whole_boot_ns`. When it gives one at `now_boot_ns`, the time at which it is whole then; else `None`. An
/// interval is [`EVENT_INTERVAL_NS`], and longer once `told` events came of it. All times are of the boot clock, in
/// nanoseconds.
#[inline(always)]
#[must_use = "the bucket has given one"]
pub const fn admits(whole_boot_ns: u64, now_boot_ns: u64, told: u64) -> Option<u64> {
    let interval =
        if told < EVENTS_TOLD_MAX { EVENT_INTERVAL_NS } else { EVENT_INTERVAL_NS * EVENT_LONGER };
    let whole = if whole_boot_ns > now_boot_ns { whole_boot_ns } else { now_boot_ns };
    if whole - now_boot_ns > SPREAD * interval {
        None
    } else {
        Some(whole.saturating_add(interval))
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const HOUR: u64 = 3_600 * SECOND;

    /// How many events a run gets from `told` on that is denied each `every_ns` from `from` on, for `lasts_ns`.
    fn events((from, lasts_ns): (u64, u64), every_ns: u64, told: u64) -> u64 {
        let (mut whole, mut came) = (0, 0);
        let mut now = from;
        while now < from + lasts_ns {
            if let Some(next) = admits(whole, now, told + came) {
                whole = next;
                came += 1;
            }
            now += every_ns;
        }
        came
    }

    #[test]
    fn a_burst_is_told_and_then_one_each_interval() {
        assert_eq!(events((SECOND, 1_000), 1, 0), u64::from(EVENT_BURST));
        assert_eq!(
            events((SECOND, SECOND), EVENT_INTERVAL_NS / 10, 0),
            u64::from(EVENT_BURST) + 99
        );
    }

    #[test]
    fn who_is_denied_now_and_then_has_each_told() {
        assert_eq!(events((0, SECOND), EVENT_INTERVAL_NS, 0), SECOND / EVENT_INTERVAL_NS);
        let late = EVENT_INTERVAL_NS * EVENT_LONGER;
        assert_eq!(events((0, 600 * late), late, EVENTS_TOLD_MAX), 600);
    }

    /// The attack: to be denied for as long as one lives.
    #[test]
    fn what_one_run_puts_into_the_log_is_bounded() {
        let flood = EVENT_INTERVAL_NS / 2;
        let day = events((0, 24 * HOUR), flood, 0);
        let later = 24 * HOUR / (EVENT_INTERVAL_NS * EVENT_LONGER);
        assert!(day <= EVENTS_TOLD_MAX + later + u64::from(EVENT_BURST), "{day}");
        assert!(day > EVENTS_TOLD_MAX + later / 2, "and it is not silenced: {day}");
    }

    #[test]
    fn a_clock_at_its_ends_admits_without_a_panic() {
        assert_eq!(admits(0, 0, 0), Some(EVENT_INTERVAL_NS));
        assert_eq!(admits(u64::MAX, 0, u64::MAX), None);
    }
}
