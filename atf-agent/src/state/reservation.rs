//! What a call has taken of its caps, until it is known what became of the call.

use super::caps::{Caps, Grant};
use super::shared::Measure;
use super::turns::Turn;
use crate::call::RunId;

/// What is taken from a run's caps. Dropped without being settled it stays taken: what became of the
/// call is then unknown, and unknown is never refunded.
#[must_use = "what is reserved has to be settled"]
#[derive(Debug)]
pub struct Reservation {
    caps: Caps,
    run: RunId,
    cents: u64,
    grant: Grant,
    settled: bool,
}

impl Reservation {
    pub(super) fn new(caps: Caps, run: RunId, cents: u64, grant: Grant) -> Self {
        Self { caps, run, cents, grant, settled: false }
    }

    pub(super) fn grant(&self) -> &Grant {
        &self.grant
    }

    /// The run whose caps it is of.
    pub fn run(&self) -> RunId {
        self.run
    }

    /// The amount of money.
    pub fn cents(&self) -> u64 {
        self.cents
    }

    /// How many bytes the result may have, where a cap says so.
    pub fn bytes(&self) -> Option<u64> {
        let mut taken = self.grant.taken.iter();
        taken.find(|taken| taken.measure == Measure::Bytes).map(|taken| taken.amount)
    }

    /// Whether settling it waits for the disk. A refund of money does too.
    pub fn waits(&self) -> bool {
        self.bytes().is_some() || self.grant.turns.iter().any(|turn| turn.ends_with_the_call())
    }

    /// The act was done, and `bytes` of its result are passed on: what it took is spent, but for the
    /// bytes that the result did not have, and it is under way no more. Waits for the disk where
    /// [`Reservation::waits`] says so; when that fails, what is free is so until the process ends.
    pub fn commit(mut self, bytes: u64) {
        self.settled = true;
        let Self { caps, run, cents, grant, settled: _ } = &self;
        caps.settle(|book| {
            // A run that has been forgotten has nothing to settle.
            if let Some(spending) = book.runs.get_mut(run) {
                spending.reserved = spending.reserved.saturating_sub(*cents);
                spending.committed = spending.committed.saturating_add(*cents);
            }
            for taken in &grant.taken {
                match taken.measure {
                    Measure::Cents | Measure::Rows => {}
                    Measure::Bytes => {
                        book.totals.give(&taken.total, taken.amount.saturating_sub(bytes));
                    }
                }
            }
            let done = grant.turns.iter().filter(|turn| turn.ends_with_the_call());
            done.for_each(|turn| book.turns.end(grant.call, turn));
        });
        // The disk has the money so since it was reserved.
        if self.waits() {
            self.keep(false);
        }
    }

    /// The act goes on after it was answered: what it took is spent as by a commit, and its turns are held until
    /// what is given back here is dropped; nothing when it holds none. Waits for the disk as a commit does.
    pub fn goes_on(mut self, bytes: u64) -> Option<Stays> {
        let ends = |turn: &&Turn| turn.ends_with_the_call();
        let turns: Vec<Turn> = self.grant.turns.iter().filter(ends).copied().collect();
        // They are not this reservation's any more.
        self.grant.turns.retain(|turn| !turn.ends_with_the_call());
        let (caps, run, call) = (self.caps.clone(), self.run, self.grant.call);
        self.commit(bytes);
        let grant = Grant { call, taken: Vec::new(), turns };
        (!grant.turns.is_empty()).then_some(Stays { caps, run, grant })
    }

    /// The act was certainly not done: what it took is free again. Waits for the disk when anything was
    /// kept; when that fails, it is free until the process ends.
    pub fn refund(mut self) {
        self.take_back();
        if self.cents > 0 || !self.grant.taken.is_empty() || !self.grant.turns.is_empty() {
            self.keep(self.cents > 0);
        }
    }

    /// As a refund of what the disk never had.
    pub(super) fn give_back(mut self) {
        self.take_back();
    }

    fn take_back(&mut self) {
        self.settled = true;
        let Self { caps, run, cents, grant, settled: _ } = self;
        caps.settle(|book| {
            // A run that has been forgotten has nothing to settle; what it shared is others' too.
            if let Some(spending) = book.runs.get_mut(run) {
                spending.reserved = spending.reserved.saturating_sub(*cents);
            }
            grant.taken.iter().for_each(|taken| book.totals.give(&taken.total, taken.amount));
            grant.turns.iter().for_each(|turn| book.turns.end(grant.call, turn));
        });
    }

    fn keep(&self, through_power_cut: bool) {
        if let Err(error) = self.caps.keep(self.run, &self.grant, through_power_cut) {
            tracing::warn!(%error, run = %self.run, "what is free again is not kept");
        }
    }
}

/// The turns of a call that goes on after it was answered. Dropped, they end; that waits for the disk.
#[must_use = "what is held has to be held by somebody"]
#[derive(Debug)]
pub struct Stays {
    caps: Caps,
    run: RunId,
    grant: Grant,
}

impl Drop for Stays {
    fn drop(&mut self) {
        let Self { caps, run, grant } = self;
        caps.settle(|book| grant.turns.iter().for_each(|turn| book.turns.end(grant.call, turn)));
        if let Err(error) = caps.keep(*run, grant, false) {
            tracing::warn!(%error, %run, "what is free again is not kept");
        }
    }
}

/// Nobody knows what became of the call: what it took is spent, and it counts as under way for as long as
/// the executor may be busy with it. Waits for the disk when it was bound by how many may be.
impl Drop for Reservation {
    fn drop(&mut self) {
        if self.settled || !self.grant.turns.iter().any(|turn| turn.ends_with_the_call()) {
            return;
        }
        let Self { caps, grant, .. } = self;
        caps.settle(|book| {
            let open = grant.turns.iter_mut().filter(|turn| turn.ends_with_the_call());
            open.for_each(|turn| book.turns.unheard(grant.call, turn));
        });
        self.keep(false);
    }
}
