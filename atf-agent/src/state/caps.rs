//! What each run may still do: spend, read, begin and have under way; and how often it was refused. A
//! reservation is taken before the act and settled after it: committed when it was done, refunded when it
//! certainly was not, and kept when nobody knows. What is counted is in the file before it counts, so
//! that no kill of the process gives a run its caps anew.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::counts::{Boot, Change, Counts, CountsError};
use super::reservation::Reservation;
use super::shared::{Measure, Party, Share, Taken, Total, Totals};
use super::turns::{Held, Pace, Turn, Turns};
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
pub(super) struct Book {
    pub(super) runs: HashMap<RunId, Spending>,
    pub(super) totals: Totals,
    pub(super) turns: Turns,
}

/// What a run has spent, in cents.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Spending {
    pub(super) committed: u64,
    pub(super) reserved: u64,
    refusals: u64,
}

/// What a call needs of the caps that it draws on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Demand {
    /// Cents.
    pub cents: u64,
    /// Cents that its run may spend in all.
    pub per_run_cents: u64,
    /// The other totals that it draws on.
    pub shares: Vec<Share>,
    /// The paces that it is bound by.
    pub paces: Vec<Pace>,
    /// Today in the policy's time zone, days since the epoch.
    pub day: u32,
    /// Now, milliseconds of the boot clock.
    pub now_boot_ms: u64,
}

/// What was taken for one call.
#[derive(Debug, Default)]
pub(super) struct Grant {
    pub(super) call: u64,
    pub(super) taken: Vec<Taken>,
    pub(super) turns: Vec<Turn>,
}

/// Why nothing is reserved.
#[derive(Debug, thiserror::Error)]
pub enum CapError {
    /// A cap would be passed.
    #[error("{wanted} {measure} are wanted, {left} of {} {cap} are left", whose(*party))]
    Passed {
        /// Of whom.
        party: Party,
        /// Of what.
        measure: Measure,
        /// What the call needs.
        wanted: u64,
        /// What is left.
        left: u64,
        /// The cap.
        cap: u64,
    },
    /// There were as many calls as may be.
    #[error("{} {} {}", whose(pace.party), pace.most, calls(pace.held))]
    NoTurn {
        /// Which pace.
        pace: Pace,
        /// Milliseconds until there is a turn, where that is known.
        retry_ms: Option<u64>,
    },
    /// What would be spent cannot be kept.
    #[error(transparent)]
    Counts(#[from] CountsError),
}

fn whose(party: Party) -> String {
    party.to_string()
}

fn calls(held: Held) -> String {
    match held {
        Held::ForMs(span) => format!("calls within {} s have begun", span / 1_000),
        Held::UntilDone => "calls are under way".to_owned(),
    }
}

impl Demand {
    /// Whether anything of it is kept, so that reserving it waits for the disk.
    pub fn is_kept(&self) -> bool {
        self.cents > 0 || !self.shares.is_empty() || !self.paces.is_empty()
    }
}

impl Caps {
    /// The spending as the file at `path` has it; the file is made when there is none. All that it
    /// has is spent: what was reserved when the process died may have been done. `boot` is this boot of
    /// the host.
    ///
    /// # Errors
    /// When the file cannot be opened or read, or is of another release.
    pub fn open(path: &Path, boot: &Boot) -> Result<Self, CountsError> {
        let counts = Counts::open(path, boot)?;
        let kept = counts.all()?.into_iter();
        let spending = |spent, refusals| Spending { committed: spent, reserved: 0, refusals };
        let runs = kept.map(|(run, spent, refusals)| (run, spending(spent, refusals))).collect();
        let mut turns = Turns::default();
        turns.now(boot.now_ms);
        counts.turns()?.iter().for_each(|(call, turn)| turns.put(*call, turn));
        let book = Book { runs, totals: Totals::of(counts.totals()?), turns };
        Ok(Self(Arc::new(Inner { book: Mutex::new(book), disk: Some(Mutex::new(counts)) })))
    }

    /// Takes what `demand` says from what `run` may spend, and from all that it shares with others.
    /// Asking and taking are one. Waits for the disk when there is anything to keep.
    ///
    /// # Errors
    /// When less than that is left, or a new total cannot be kept; nothing is taken then.
    pub fn reserve(&self, run: RunId, demand: &Demand) -> Result<Reservation, CapError> {
        let grant = self.take(run, demand)?;
        let reservation = Reservation::new(self.clone(), run, demand.cents, grant);
        if demand.is_kept()
            && let Err(error) = self.keep(run, reservation.grant(), demand.cents > 0)
        {
            reservation.give_back();
            return Err(error.into());
        }
        Ok(reservation)
    }

    fn take(&self, run: RunId, demand: &Demand) -> Result<Grant, CapError> {
        let mut book = self.book();
        let Book { runs, totals, turns } = &mut *book;
        let Demand { cents, per_run_cents: cap, shares, paces, day, now_boot_ms } = demand;
        let spending = runs.entry(run).or_default();
        let left = cap.saturating_sub(spending.total());
        let passed = |party, measure, wanted, left, cap| {
            Err(CapError::Passed { party, measure, wanted, left, cap })
        };
        if *cents > left {
            return passed(Party::Run, Measure::Cents, *cents, left, *cap);
        }
        let (day, now) = (totals.day(*day), turns.now(*now_boot_ms));
        let taken = match totals.grant(run, shares, day) {
            Ok(taken) => taken,
            Err((share, left)) => {
                return passed(share.party, share.measure, share.amount, left, share.cap);
            }
        };
        let granted = turns.grant(run, paces, now);
        let granted = granted.map_err(|(pace, retry_ms)| CapError::NoTurn { pace, retry_ms })?;
        // Cannot overflow: the sum is at most `cap`.
        spending.reserved += cents;
        totals.take(&taken, day);
        let call = turns.call();
        turns.take(call, &granted);
        Ok(Grant { call, taken, turns: granted })
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
        self.keep(run, &Grant::default(), true)
    }

    /// Counts the refusals of `run` anew. Waits for the disk.
    ///
    /// # Errors
    /// When it cannot be kept; a restarted process then has the old count, which is the safe side.
    pub fn released(&self, run: RunId) -> Result<(), CountsError> {
        // A run that has been forgotten has nothing to release.
        if let Some(spending) = self.book().runs.get_mut(&run) {
            spending.refusals = 0;
        }
        self.keep(run, &Grant::default(), true)
    }

    /// Forgets a run that has ended, with all that is its own. Waits for the disk.
    ///
    /// # Errors
    /// When its row stays; it says nothing about any other run.
    pub fn forget(&self, run: RunId) -> Result<(), CountsError> {
        {
            let mut book = self.book();
            book.runs.remove(&run);
            book.totals.forget(run);
            book.turns.forget(run);
        }
        self.keep(run, &Grant::default(), true)
    }

    /// Forgets all runs but those that live.
    ///
    /// # Errors
    /// When a row stays.
    pub fn forget_all_but(&self, lives: impl Fn(RunId) -> bool) -> Result<(), CountsError> {
        let known: Vec<RunId> = self.book().runs.keys().copied().collect();
        known.into_iter().filter(|run| !lives(*run)).try_for_each(|run| self.forget(run))
    }

    /// Writes what `run` has now, or that there is no such run, and what became of a grant.
    pub(super) fn keep(
        &self,
        run: RunId,
        grant: &Grant,
        through_power_cut: bool,
    ) -> Result<(), CountsError> {
        let Some(disk) = &self.0.disk else {
            return Ok(());
        };
        let counts = lock(disk);
        let change = {
            let book = self.book();
            let total = |taken: &Taken| taken.total;
            let spent = |total: Total| (total, book.totals.spent.get(&total).copied());
            Change {
                run,
                counts: book.runs.get(&run).map(|now| (now.total(), now.refusals)),
                totals: grant.taken.iter().map(total).map(spent).collect(),
                call: grant.call,
                turns: book.turns.of(grant.call, &grant.turns),
                now_boot_ms: book.turns.newest_boot_ms(),
                through_power_cut,
            }
        };
        counts.write(&change)
    }

    /// Changes what is counted, as one.
    pub(super) fn settle(&self, change: impl FnOnce(&mut Book)) {
        change(&mut self.book());
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        lock(&self.0.book)
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

#[cfg(test)]
#[path = "killed_tests.rs"]
mod killed;
#[cfg(test)]
#[path = "pace_tests.rs"]
mod paces;
#[cfg(test)]
#[path = "caps_tests.rs"]
mod tests;
