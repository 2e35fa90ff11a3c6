//! Totals that a call draws on besides its run's money: of a run, of a task, and of an agent or a user
//! for a day. What is kept is a total by the digest of the name, so that the file behind it says nobody's
//! name.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

use crate::call::{Digest, RunId};

/// Days for which the total of a task that spends no more is kept.
pub(super) const TASK_KEPT_DAYS: u32 = 90;

/// Who shares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Party {
    /// One run, while it lives.
    Run,
    /// All runs of a task, for as long as it goes on.
    Task,
    /// All runs of an agent, for a day.
    Agent,
    /// All runs for a user, for a day.
    User,
}

impl Party {
    pub(super) const ALL: [Self; 4] = [Self::Run, Self::Task, Self::Agent, Self::User];

    /// The word in the file.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Task => "task",
            Self::Agent => "agent",
            Self::User => "user",
        }
    }
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Run => "the run's",
            Self::Task => "the task's",
            Self::Agent => "the agent's day's",
            Self::User => "the user's day's",
        })
    }
}

/// What a total is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Measure {
    /// Money.
    Cents,
    /// Rows that a statement may read or change: what it asks for, known before the act.
    Rows,
    /// Bytes of results that are passed on: known after the act. What is reserved is a bound on them.
    Bytes,
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cents => "cents",
            Self::Rows => "rows",
            Self::Bytes => "bytes",
        })
    }
}

/// A cap that a call draws on, and how much it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// Who shares it.
    pub party: Party,
    /// What it is of.
    pub measure: Measure,
    /// The digest of what is counted together: the name of the task, agent or user.
    pub name: Digest,
    /// The cap.
    pub cap: u64,
    /// How much the call takes; of bytes, how much at most.
    pub amount: u64,
}

/// One total: of whom, and for a day of the policy's time zone (days since the epoch); 0 where it is
/// for no day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Total {
    /// The run, where it is one run's. First, so that all totals of a run stand together.
    pub(super) run: Option<RunId>,
    pub(super) party: Party,
    pub(super) name: Digest,
    pub(super) day: u32,
}

/// What was taken of one total.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) total: Total,
    pub(super) measure: Measure,
    pub(super) amount: u64,
}

/// What a party spent or reserved, and on which day last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Spent {
    pub(super) amount: u64,
    pub(super) day: u32,
}

/// All totals, and the newest day that was seen: a clock that is set back does not bring an old day back.
#[derive(Debug, Default)]
pub(super) struct Totals {
    pub(super) spent: BTreeMap<Total, Spent>,
    newest_day: u32,
}

impl Totals {
    /// The totals as the file has them.
    pub(super) fn of(spent: BTreeMap<Total, Spent>) -> Self {
        let newest_day = spent.values().map(|spent| spent.day).max().unwrap_or(0);
        Self { spent, newest_day }
    }

    /// The day that counts when the clock says `day`. With a new one, what nobody can draw on any more
    /// is forgotten.
    pub(super) fn day(&mut self, day: u32) -> u32 {
        if day > self.newest_day {
            self.newest_day = day;
            self.spent.retain(|total, spent| is_kept(*total, *spent, day));
        }
        self.newest_day
    }

    /// What `run` would take of each of `shares` on `day`; or the first of which less is left, and how
    /// much is. Of bytes as many are granted as the tightest cap has left, if it has any.
    pub(super) fn grant(
        &self,
        run: RunId,
        shares: &[Share],
        day: u32,
    ) -> Result<Vec<Taken>, (Share, u64)> {
        let left = |share: &Share| {
            let spent = self.spent.get(&share.total(run, day)).map_or(0, |spent| spent.amount);
            share.cap.saturating_sub(spent)
        };
        let of_bytes = shares.iter().filter(|share| share.measure == Measure::Bytes);
        let bytes = of_bytes.map(|share| left(share).min(share.amount)).min().unwrap_or(0);
        let granted = |share: &Share| {
            let (left, total) = (left(share), share.total(run, day));
            let (amount, lacks) = match share.measure {
                Measure::Bytes => (bytes, left == 0),
                Measure::Cents | Measure::Rows => (share.amount, share.amount > left),
            };
            match lacks {
                true => Err((*share, left)),
                false => Ok(Taken { total, measure: share.measure, amount }),
            }
        };
        shares.iter().map(granted).collect()
    }

    /// Takes what was granted.
    pub(super) fn take(&mut self, taken: &[Taken], day: u32) {
        for Taken { total, amount, measure: _ } in taken {
            let spent = self.spent.entry(*total).or_default();
            *spent = Spent { amount: spent.amount.saturating_add(*amount), day };
        }
    }

    /// Gives `amount` of a total back. One that has been forgotten has nothing to give to.
    pub(super) fn give(&mut self, total: &Total, amount: u64) {
        if let Some(spent) = self.spent.get_mut(total) {
            spent.amount = spent.amount.saturating_sub(amount);
        }
    }

    /// Forgets the totals of a run that has ended.
    pub(super) fn forget(&mut self, run: RunId) {
        let first =
            Total { run: Some(run), party: Party::Run, name: Digest::from_bytes([0; 32]), day: 0 };
        let of_the_run = self.spent.range(first..).take_while(|(total, _)| total.run == Some(run));
        let of_the_run: Vec<Total> = of_the_run.map(|(total, _)| *total).collect();
        for total in of_the_run {
            self.spent.remove(&total);
        }
    }
}

/// Whether a total can still be drawn on. The day before is kept for calls under way at midnight.
pub(super) fn is_kept(total: Total, spent: Spent, today: u32) -> bool {
    match total.party {
        Party::Run => true,
        Party::Task => spent.day + TASK_KEPT_DAYS >= today,
        Party::Agent | Party::User => total.day + 1 >= today,
    }
}

impl Share {
    /// The total that `run` draws on.
    pub(super) fn total(&self, run: RunId, day: u32) -> Total {
        let (run, day) = match self.party {
            Party::Run => (Some(run), 0),
            Party::Task => (None, 0),
            Party::Agent | Party::User => (None, day),
        };
        Total { run, party: self.party, name: self.name, day }
    }
}
