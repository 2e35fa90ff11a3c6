//! The permits that were used, until they expire by themselves.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::error::Mistrust;
use crate::call::DecisionId;

/// Most permits that are remembered: a permit lives for seconds, and at 1,000 calls a second a
/// minute's worth is 60,000. When it is full, nothing is done rather than something forgotten.
const HELD_MAX: usize = 100_000;

/// Decisions and when their permits expire, in seconds since the epoch.
#[derive(Default)]
pub(super) struct Used(Mutex<HashMap<DecisionId, u64>>);

impl Used {
    /// Uses the permit of `decision`, once.
    pub(super) fn take(
        &self,
        decision: DecisionId,
        expires_unix_s: u64,
        now_unix_s: u64,
    ) -> Result<(), Mistrust> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if held.contains_key(&decision) {
            return Err(Mistrust::Used { decision });
        }
        if held.len() >= HELD_MAX {
            held.retain(|_, expires| *expires >= now_unix_s);
        }
        if held.len() >= HELD_MAX {
            return Err(Mistrust::Full { held: held.len() });
        }
        held.insert(decision, expires_unix_s);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_set_forgets_the_expired_alone() {
        let used = Used::default();
        let first = DecisionId::random();
        used.take(first, 10, 5).unwrap();
        for _ in 1..HELD_MAX {
            used.take(DecisionId::random(), 20, 5).unwrap();
        }
        assert!(matches!(used.take(first, 10, 5), Err(Mistrust::Used { .. })));
        let next = DecisionId::random();
        assert!(matches!(used.take(next, 20, 5), Err(Mistrust::Full { .. })));
        assert!(matches!(used.take(next, 20, 10), Err(Mistrust::Full { .. })));
        used.take(next, 20, 11).unwrap();
    }
}
