//! Caps that several runs share: of a task, and of an agent or a user for a day. What is kept is a
//! total by the digest of the name, so that the file behind it says nobody's name.

use std::collections::HashMap;
use std::fmt;

use crate::call::Digest;

/// Days for which the total of a task that spends no more is kept.
pub(super) const TASK_KEPT_DAYS: u32 = 90;

/// Who shares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Party {
    /// All runs of a task, for as long as it goes on.
    Task,
    /// All runs of an agent, for a day.
    Agent,
    /// All runs for a user, for a day.
    User,
}

impl Party {
    pub(super) const ALL: [Self; 3] = [Self::Task, Self::Agent, Self::User];

    /// The word in the file.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Task => "task",
            Self::Agent => "agent",
            Self::User => "user",
        }
    }
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Task => "the task's",
            Self::Agent => "the agent's day's",
            Self::User => "the user's day's",
        })
    }
}

/// A cap that a call draws on besides its run's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// Who shares it.
    pub party: Party,
    /// The digest of the name of the task, agent or user.
    pub name: Digest,
    /// The cap, in cents.
    pub cap: u64,
}

/// One total: of whom, and for a day of the policy's time zone (days since the epoch); 0 where it is
/// for no day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Total {
    pub(super) party: Party,
    pub(super) name: Digest,
    pub(super) day: u32,
}

/// What a party spent or reserved, and on which day last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Spent {
    pub(super) cents: u64,
    pub(super) day: u32,
}

/// All totals, and the newest day that was seen: a clock that is set back does not bring an old day back.
#[derive(Debug, Default)]
pub(super) struct Totals {
    pub(super) spent: HashMap<Total, Spent>,
    newest_day: u32,
}

impl Totals {
    /// The totals as the file has them.
    pub(super) fn of(spent: HashMap<Total, Spent>) -> Self {
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

    /// The first of `shares` of which less than `cents` is left on `day`, and how much is.
    pub(super) fn lacking(&self, shares: &[Share], day: u32, cents: u64) -> Option<(Share, u64)> {
        let left = |share: &Share| {
            let spent = self.spent.get(&share.total(day)).map_or(0, |spent| spent.cents);
            share.cap.saturating_sub(spent)
        };
        shares.iter().map(|share| (*share, left(share))).find(|(_, left)| cents > *left)
    }

    /// Takes `cents` from each.
    pub(super) fn take(&mut self, totals: &[Total], day: u32, cents: u64) {
        for total in totals {
            let spent = self.spent.entry(*total).or_default();
            *spent = Spent { cents: spent.cents.saturating_add(cents), day };
        }
    }

    /// Gives `cents` back to each.
    pub(super) fn give(&mut self, totals: &[Total], cents: u64) {
        for total in totals {
            if let Some(spent) = self.spent.get_mut(total) {
                spent.cents = spent.cents.saturating_sub(cents);
            }
        }
    }
}

/// Whether a total can still be drawn on. The day before is kept for calls under way at midnight.
pub(super) fn is_kept(total: Total, spent: Spent, today: u32) -> bool {
    match total.party {
        Party::Task => spent.day + TASK_KEPT_DAYS >= today,
        Party::Agent | Party::User => total.day + 1 >= today,
    }
}

impl Share {
    /// The total that it draws on.
    pub(super) fn total(&self, day: u32) -> Total {
        let day = match self.party {
            Party::Task => 0,
            Party::Agent | Party::User => day,
        };
        Total { party: self.party, name: self.name, day }
    }
}
