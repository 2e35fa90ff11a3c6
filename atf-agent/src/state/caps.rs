//! What each run may still spend, and how often it was refused. A reservation is taken before the act
//! and settled after it: committed when it was done, refunded when it certainly was not, and kept when
//! nobody knows. What is counted is on the disk before it counts, so that no kill of the process gives
//! a run its cap anew.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::counts::{Counts, CountsError};
use super::shared::{Share, Total, Totals};
use crate::call::RunId;

/// The spending of all live runs. Clones share it. Without a file ([`Caps::default`]) it is forgotten
/// with the process, which is for tests and benches.
#[derive(Debug, Clone, Default)]
pub struct Caps(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    book: Mutex<Book>,
    /// Taken before `book` where both are, so that the last write is of the newest total.
    disk: Option<Mutex<Counts>>,
}

/// All that is counted. One lock, so that a call takes from all its caps or from none.
#[derive(Debug, Default)]
struct Book {
    runs: HashMap<RunId, Spending>,
    totals: Totals,
}

/// The caps that a call draws on besides its run's.
#[derive(Debug, Clone, Copy)]
pub struct Shared<'a> {
    /// The caps.
    pub shares: &'a [Share],
    /// Today in the policy's time zone, days since the epoch.
    pub day: u32,
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
    totals: Vec<Total>,
}

/// Why nothing is reserved.
#[derive(Debug, thiserror::Error)]
pub enum CapError {
    /// A cap would be passed.
    #[error("{wanted} cents are wanted, {left} of {whose} {cap} are left")]
    Passed {
        /// Of whom: `the run's`, `the user's day's`.
        whose: String,
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
        let book = Book { runs, totals: Totals::of(counts.totals()?) };
        Ok(Self(Arc::new(Inner { book: Mutex::new(book), disk: Some(Mutex::new(counts)) })))
    }

    /// Takes `cents` from what `run` may spend, `cap` in all, and from all that it shares with others.
    /// Asking and taking are one. Waits for the disk when there are cents.
    ///
    /// # Errors
    /// When less than that is left, or a new total cannot be kept; nothing is taken then.
    pub fn reserve(
        &self,
        run: RunId,
        cents: u64,
        cap: u64,
        shared: Shared<'_>,
    ) -> Result<Reservation, CapError> {
        let totals = self.take(run, cents, cap, shared)?;
        if cents > 0
            && let Err(error) = self.keep(run, &totals)
        {
            self.give_back(run, cents, &totals);
            return Err(error.into());
        }
        Ok(Reservation { caps: self.clone(), run, cents, totals })
    }

    fn take(
        &self,
        run: RunId,
        cents: u64,
        cap: u64,
        shared: Shared<'_>,
    ) -> Result<Vec<Total>, CapError> {
        let passed =
            |whose: String, left, cap| CapError::Passed { whose, wanted: cents, left, cap };
        let mut book = self.book();
        let Book { runs, totals } = &mut *book;
        let spending = runs.entry(run).or_default();
        let left = cap.saturating_sub(spending.total());
        if cents > left {
            return Err(passed("the run's".to_owned(), left, cap));
        }
        if cents == 0 {
            return Ok(Vec::new());
        }
        let day = totals.day(shared.day);
        if let Some((share, left)) = totals.lacking(shared.shares, day, cents) {
            return Err(passed(share.party.to_string(), left, share.cap));
        }
        let taken: Vec<Total> = shared.shares.iter().map(|share| share.total(day)).collect();
        totals.take(&taken, day, cents);
        // Cannot overflow: the sum is at most `cap`.
        spending.reserved += cents;
        Ok(taken)
    }

    fn give_back(&self, run: RunId, cents: u64, taken: &[Total]) {
        let mut book = self.book();
        book.totals.give(taken, cents);
        // A run that has been forgotten has nothing to settle; what it shared is others' too.
        if let Some(spending) = book.runs.get_mut(&run) {
            spending.reserved = spending.reserved.saturating_sub(cents);
        }
    }

    /// Cents that `run` has spent or reserved.
    pub fn spent(&self, run: RunId) -> u64 {
        self.book().runs.get(&run).map_or(0, Spending::total)
    }

    /// Refusals of `run` that were kept.
    pub fn refusals(&self, run: RunId) -> u64 {
        self.book().runs.get(&run).map_or(0, |spending| spending.refusals)
    }

    /// Keeps that `run` was refused once more, counting from the last release. Waits for the disk.
    ///
    /// # Errors
    /// When it cannot be kept; it counts in this process all the same.
    pub fn refused(&self, run: RunId) -> Result<(), CountsError> {
        self.book().runs.entry(run).or_default().refusals += 1;
        self.keep(run, &[])
    }

    /// Counts the refusals of `run` anew. Waits for the disk.
    ///
    /// # Errors
    /// When it cannot be kept; a restarted process then has the old count, which is the safe side.
    pub fn released(&self, run: RunId) -> Result<(), CountsError> {
        self.settle(run, |spending| spending.refusals = 0);
        self.keep(run, &[])
    }

    /// Forgets a run that has ended. Waits for the disk.
    ///
    /// # Errors
    /// When its row stays; it says nothing about any other run.
    pub fn forget(&self, run: RunId) -> Result<(), CountsError> {
        self.book().runs.remove(&run);
        self.keep(run, &[])
    }

    /// Forgets all runs but those that live.
    ///
    /// # Errors
    /// When a row stays.
    pub fn forget_all_but(&self, lives: impl Fn(RunId) -> bool) -> Result<(), CountsError> {
        let known: Vec<RunId> = self.book().runs.keys().copied().collect();
        known.into_iter().filter(|run| !lives(*run)).try_for_each(|run| self.forget(run))
    }

    /// Writes what `run` has now, or that there is no such run, and what these totals are now.
    fn keep(&self, run: RunId, totals: &[Total]) -> Result<(), CountsError> {
        let Some(disk) = &self.0.disk else {
            return Ok(());
        };
        let counts = lock(disk);
        let (now, totals) = {
            let book = self.book();
            let spent = |total: &Total| (*total, book.totals.spent.get(total).copied());
            let totals: Vec<_> = totals.iter().map(spent).collect();
            (book.runs.get(&run).map(|now| (now.total(), now.refusals)), totals)
        };
        counts.write(run, now, &totals)
    }

    /// Each change below is one assignment, so that the map is whole after any panic.
    fn book(&self) -> MutexGuard<'_, Book> {
        lock(&self.0.book)
    }

    fn settle(&self, run: RunId, change: impl FnOnce(&mut Spending)) {
        // A run that has been forgotten has nothing to settle.
        if let Some(spending) = self.book().runs.get_mut(&run) {
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
        self.caps.give_back(self.run, self.cents, &self.totals);
        if self.cents > 0
            && let Err(error) = self.caps.keep(self.run, &self.totals)
        {
            tracing::warn!(%error, run = %self.run, "a refund is not kept");
        }
    }
}

#[cfg(test)]
#[path = "caps_tests.rs"]
mod tests;
