//! A limit on automatic seals. One poisoned document that many runs read makes all of them misbehave;
//! sealing them all would turn it into an outage. Past the limit a run goes on, each of its bad calls
//! refused as before, until there is room for its seal or an operator has looked.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// The length of the window, in milliseconds of the boot clock.
const WINDOW_MS: u64 = 60_000;

/// Remembers when runs were sealed by themselves. It starts anew with the gateway.
#[derive(Debug)]
pub(super) struct Breaker {
    most: usize,
    sealed_boot_ms: Mutex<VecDeque<u64>>,
}

impl Breaker {
    /// A breaker that lets `most` seals through in any minute.
    pub(super) fn new(most: u32) -> Self {
        Self { most: most as usize, sealed_boot_ms: Mutex::default() }
    }

    /// Takes room for one seal; false when this minute has none left.
    #[must_use = "a seal without room is held back"]
    pub(super) fn admits(&self, now_boot_ms: u64) -> bool {
        // Whole after any panic: it is only pushed to and popped from.
        let mut sealed = self.sealed_boot_ms.lock().unwrap_or_else(PoisonError::into_inner);
        while sealed.front().is_some_and(|at| at + WINDOW_MS <= now_boot_ms) {
            sealed.pop_front();
        }
        let admits = sealed.len() < self.most;
        if admits {
            sealed.push_back(now_boot_ms);
        }
        admits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_minute_has_more_seals_than_the_limit() {
        let breaker = Breaker::new(2);
        for (now, admits) in [
            (1_000, true),
            (30_000, true),
            (30_001, false),
            (60_999, false),
            (61_000, true),
            (61_001, false),
            (90_000, true),
            (90_001, false),
            (500_000, true),
        ] {
            assert_eq!(breaker.admits(now), admits, "{now}");
        }
    }
}
