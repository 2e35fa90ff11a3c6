//! What each run may still spend, and how often it was refused. A reservation is taken before the act
//! and settled after it: committed when it was done, refunded when it certainly was not, and kept when
//! nobody knows. What is counted is on the disk before it counts, so that no kill of the process gives
//! a run its cap anew.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::counts::{Counts, CountsError};
use crate::call::RunId;

/// The spending of all live runs. Clones share it. Without a file ([`Caps::default`]) it is forgotten
/// with the process, which is for tests and benches.
#[derive(Debug, Clone, Default)]
pub struct Caps(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    runs: Mutex<HashMap<RunId, Spending>>,
    /// Taken before `runs` where both are, so that the last write is of the newest total.
    disk: Option<Mutex<Counts>>,
}

/// What a run has spent, in cents.
#[derive(Debug, Clone, Copy, Default)]
struct Spending {
    committed: u64,
    reserved: u64,
    refusals: u64,
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

/// Why nothing is reserved.
#[derive(Debug, thiserror::Error)]
pub enum CapError {
    /// A cap would be passed.
    #[error("{wanted} cents are wanted, {left} of the run's {cap} are left")]
    Passed {
        /// What the call needs.
        wanted: u64,
        /// What is left.
        left: u64,
        /// The cap.
        cap: u64,
    },
    /// What would be spent cannot be kept.
    #[error(transparent)]
    Counts(#[from] CountsError),
}

impl Caps {
    /// The spending as the file at `path` has it; the file is made when there is none. All that it
    /// has is spent: what was reserved when the process died may have been done.
    ///
    /// # Errors
    /// When the file cannot be opened or read, or is of another release.
    pub fn open(path: &Path) -> Result<Self, CountsError> {
        let counts = Counts::open(path)?;
        let kept = counts.all()?.into_iter();
        let spending = |spent, refusals| Spending { committed: spent, reserved: 0, refusals };
        let runs = kept.map(|(run, spent, refusals)| (run, spending(spent, refusals))).collect();
        Ok(Self(Arc::new(Inner { runs: Mutex::new(runs), disk: Some(Mutex::new(counts)) })))
    }

    /// Takes `cents` from what `run` may spend, `cap` in all. Asking and taking are one. Waits for the
    /// disk when there are cents.
    ///
    /// # Errors
    /// When less than that is left, or the new total cannot be kept; nothing is taken then.
    pub fn reserve(&self, run: RunId, cents: u64, cap: u64) -> Result<Reservation, CapError> {
        self.take(run, cents, cap)?;
        if cents > 0
            && let Err(error) = self.keep(run)
        {
            self.settle(run, |s| s.reserved = s.reserved.saturating_sub(cents));
            return Err(error.into());
        }
        Ok(Reservation { caps: self.clone(), run, cents })
    }

    fn take(&self, run: RunId, cents: u64, cap: u64) -> Result<(), CapError> {
        let mut runs = self.runs();
        let spending = runs.entry(run).or_default();
        let left = cap.saturating_sub(spending.total());
        if cents > left {
            return Err(CapError::Passed { wanted: cents, left, cap });
        }
        // Cannot overflow: the sum is at most `cap`.
        spending.reserved += cents;
        Ok(())
    }

    /// Cents that `run` has spent or reserved.
    pub fn spent(&self, run: RunId) -> u64 {
        self.runs().get(&run).map_or(0, Spending::total)
    }

    /// Refusals of `run` that were kept.
    pub fn refusals(&self, run: RunId) -> u64 {
        self.runs().get(&run).map_or(0, |spending| spending.refusals)
    }

    /// Keeps that `run` was refused once more, counting from the last release. Waits for the disk.
    ///
    /// # Errors
    /// When it cannot be kept; it counts in this process all the same.
    pub fn refused(&self, run: RunId) -> Result<(), CountsError> {
        self.runs().entry(run).or_default().refusals += 1;
        self.keep(run)
    }

    /// Counts the refusals of `run` anew. Waits for the disk.
    ///
    /// # Errors
    /// When it cannot be kept; a restarted process then has the old count, which is the safe side.
    pub fn released(&self, run: RunId) -> Result<(), CountsError> {
        self.settle(run, |spending| spending.refusals = 0);
        self.keep(run)
    }

    /// Forgets a run that has ended. Waits for the disk.
    ///
    /// # Errors
    /// When its row stays; it says nothing about any other run.
    pub fn forget(&self, run: RunId) -> Result<(), CountsError> {
        self.runs().remove(&run);
        self.keep(run)
    }

    /// Forgets all runs but those that live.
    ///
    /// # Errors
    /// When a row stays.
    pub fn forget_all_but(&self, lives: impl Fn(RunId) -> bool) -> Result<(), CountsError> {
        let known: Vec<RunId> = self.runs().keys().copied().collect();
        known.into_iter().filter(|run| !lives(*run)).try_for_each(|run| self.forget(run))
    }

    /// Writes what `run` has now, or that there is no such run.
    fn keep(&self, run: RunId) -> Result<(), CountsError> {
        let Some(disk) = &self.0.disk else {
            return Ok(());
        };
        let counts = lock(disk);
        let now = self.runs().get(&run).copied();
        match now {
            Some(now) => counts.write(run, now.total(), now.refusals),
            None => counts.remove(run),
        }
    }

    /// Each change below is one assignment, so that the map is whole after any panic.
    fn runs(&self) -> MutexGuard<'_, HashMap<RunId, Spending>> {
        lock(&self.0.runs)
    }

    fn settle(&self, run: RunId, change: impl FnOnce(&mut Spending)) {
        // A run that has been forgotten has nothing to settle.
        if let Some(spending) = self.runs().get_mut(&run) {
            change(spending);
        }
    }
}

/// What is guarded is whole even when a holder of the lock panicked: it is only set, or a statement
/// that SQLite does whole or not at all.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// The act was done: the amount is spent. The disk has it so since it was reserved.
    pub fn commit(self) {
        self.caps.settle(self.run, |spending| {
            spending.reserved = spending.reserved.saturating_sub(self.cents);
            spending.committed = spending.committed.saturating_add(self.cents);
        });
    }

    /// The act was certainly not done: the amount is free again. Waits for the disk when there are
    /// cents; when that fails, they are free until the process ends.
    pub fn refund(self) {
        self.caps.settle(self.run, |spending| {
            spending.reserved = spending.reserved.saturating_sub(self.cents);
        });
        if self.cents > 0
            && let Err(error) = self.caps.keep(self.run)
        {
            tracing::warn!(%error, run = %self.run, "a refund is not kept");
        }
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
        caps.forget(run).unwrap();
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

    /// The attack: spend all, have the gateway killed, spend again.
    #[test]
    fn a_kill_gives_no_run_its_cap_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("caps.db");
        let [run, refunded, ended, free] = [(); 4].map(|()| RunId::random());
        {
            let caps = Caps::open(&path).unwrap();
            caps.reserve(run, 60, 100).unwrap().commit();
            drop(caps.reserve(run, 40, 100).unwrap());
            caps.reserve(refunded, 70, 100).unwrap().commit();
            caps.reserve(refunded, 30, 100).unwrap().refund();
            caps.reserve(ended, 100, 100).unwrap().commit();
            caps.forget(ended).unwrap();
            caps.refused(run).unwrap();
            caps.refused(run).unwrap();
        }
        let caps = Caps::open(&path).unwrap();
        let passed = Err("1 cents are wanted, 0 of the run's 100 are left".to_owned());
        let reserve =
            |run, cents| caps.reserve(run, cents, 100).map(drop).map_err(|error| error.to_string());
        assert_eq!(reserve(run, 1), passed);
        assert_eq!((caps.spent(run), caps.refusals(run)), (100, 2));
        assert_eq!(reserve(refunded, 30), Ok(()), "the control: what was refunded is free");
        assert_eq!(reserve(refunded, 1), passed);
        assert_eq!(reserve(free, 100), Ok(()), "the control: another run");
        assert_eq!(caps.spent(ended), 0);
        let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&path).unwrap());
        assert_eq!(mode & 0o777, 0o600);

        caps.forget_all_but(|live| live == refunded).unwrap();
        caps.released(run).unwrap();
        drop(caps);
        let caps = Caps::open(&path).unwrap();
        assert_eq!((caps.spent(run), caps.refusals(run), caps.spent(refunded)), (0, 0, 100));
    }

    #[test]
    fn what_cannot_be_kept_is_not_reserved() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("caps.db");
        let (caps, run) = (Caps::open(&path).unwrap(), RunId::random());
        caps.reserve(run, 1, 10).unwrap().commit();
        rusqlite::Connection::open(&path).unwrap().execute_batch("DROP TABLE counts").unwrap();
        assert!(matches!(caps.reserve(run, 1, 10), Err(CapError::Counts(_))));
        assert_eq!(caps.spent(run), 1, "nothing is taken");
        assert!(caps.reserve(run, 0, 10).is_ok(), "a call without cents needs no disk");
    }
}
