//! What each run may still spend. A reservation is taken before the act and settled after it: committed
//! when it was done, refunded when it certainly was not, and kept when nobody knows.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::call::RunId;

/// The spending of all live runs. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Caps(Arc<Mutex<HashMap<RunId, Spending>>>);

/// What a run has spent, in cents.
#[derive(Debug, Clone, Copy, Default)]
struct Spending {
    committed: u64,
    reserved: u64,
}

/// An amount that is taken from a run's cap. Dropped without being settled it stays taken: what became
/// of the call is then unknown, and unknown is never refunded.
#[must_use = "an amount that is reserved has to be settled"]
#[derive(Debug)]
pub struct Reservation {
    caps: Caps,
    run: RunId,
    cents: u64,
}

/// A cap would be passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{wanted} cents are wanted, {left} of the run's {cap} are left")]
pub struct CapError {
    wanted: u64,
    left: u64,
    cap: u64,
}

impl Caps {
    /// Takes `cents` from what `run` may spend, `cap` in all. Asking and taking are one.
    ///
    /// # Errors
    /// When less than that is left; nothing is taken then.
    pub fn reserve(&self, run: RunId, cents: u64, cap: u64) -> Result<Reservation, CapError> {
        let mut runs = self.runs();
        let spending = runs.entry(run).or_default();
        let left = cap.saturating_sub(spending.total());
        if cents > left {
            return Err(CapError { wanted: cents, left, cap });
        }
        // Cannot overflow: the sum is at most `cap`.
        spending.reserved += cents;
        Ok(Reservation { caps: self.clone(), run, cents })
    }

    /// Cents that `run` has spent or reserved.
    pub fn spent(&self, run: RunId) -> u64 {
        self.runs().get(&run).map_or(0, Spending::total)
    }

    /// Forgets a run that has ended.
    pub fn forget(&self, run: RunId) {
        self.runs().remove(&run);
    }

    /// Each change below is one assignment, so that the map is whole after any panic.
    fn runs(&self) -> MutexGuard<'_, HashMap<RunId, Spending>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn settle(&self, run: RunId, change: impl FnOnce(&mut Spending)) {
        // A run that has been forgotten has nothing to settle.
        if let Some(spending) = self.runs().get_mut(&run) {
            change(spending);
        }
    }
}

impl Spending {
    fn total(&self) -> u64 {
        self.committed.saturating_add(self.reserved)
    }
}

impl Reservation {
    /// The run whose cap it is.
    pub fn run(&self) -> RunId {
        self.run
    }

    /// The amount.
    pub fn cents(&self) -> u64 {
        self.cents
    }

    /// The act was done: the amount is spent.
    pub fn commit(self) {
        self.caps.settle(self.run, |spending| {
            spending.reserved = spending.reserved.saturating_sub(self.cents);
            spending.committed = spending.committed.saturating_add(self.cents);
        });
    }

    /// The act was certainly not done: the amount is free again.
    pub fn refund(self) {
        self.caps.settle(self.run, |spending| {
            spending.reserved = spending.reserved.saturating_sub(self.cents);
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn exactly_as_many_calls_pass_as_the_cap_holds() {
        let (caps, run) = (Caps::default(), RunId::random());
        let passed = AtomicU64::new(0);
        std::thread::scope(|threads| {
            for thread in 0..8 {
                let (caps, passed) = (&caps, &passed);
                threads.spawn(move || {
                    for call in 0..125 {
                        let Ok(reservation) = caps.reserve(run, 7, 700) else {
                            continue;
                        };
                        passed.fetch_add(1, Ordering::Relaxed);
                        match (thread + call) % 2 {
                            0 => reservation.commit(),
                            _ => drop(reservation),
                        }
                    }
                });
            }
        });
        assert_eq!((passed.into_inner(), caps.spent(run)), (100, 700));
    }

    #[test]
    fn only_a_refund_gives_back() {
        let (caps, run, other) = (Caps::default(), RunId::random(), RunId::random());
        let reserve = |cents| caps.reserve(run, cents, 100);
        reserve(40).unwrap().commit();
        reserve(40).unwrap().refund();
        drop(reserve(40).unwrap());
        assert_eq!(caps.spent(run), 80);
        assert!(reserve(21).is_err());
        assert!(reserve(u64::MAX).is_err());
        assert_eq!(caps.spent(run), 80, "a refusal takes nothing");
        assert!(caps.reserve(other, 100, 100).is_ok(), "runs do not share");
        assert!(reserve(20).is_ok(), "to the last cent");
        assert!(reserve(0).is_ok(), "nothing is always left");
    }

    #[test]
    fn a_settlement_after_the_end_of_the_run_changes_nothing() {
        let (caps, run) = (Caps::default(), RunId::random());
        let reservation = caps.reserve(run, 5, 10).unwrap();
        caps.forget(run);
        reservation.commit();
        assert_eq!(caps.spent(run), 0);
    }

    #[test]
    fn a_cap_that_shrinks_refuses_and_does_not_wrap() {
        let (caps, run) = (Caps::default(), RunId::random());
        caps.reserve(run, u64::MAX, u64::MAX).unwrap().commit();
        assert!(caps.reserve(run, 1, u64::MAX).is_err());
        assert!(caps.reserve(run, 1, 10).is_err());
    }
}
