//! A storm: random sequences of socket calls. Each sequence begins with nothing and depends on the seed
//! and its number alone, and each of its draws on its own number too, so that one sequence, or some of its
//! draws, can be made again without the rest.

mod choice;
mod kind;
mod sequence;
mod target;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::trial::errno_name;
use crate::sys::counters::Counters;
use kind::Kind;
use sequence::Sequence;
use target::Targets;

/// Draws of one sequence: enough to make a socket, pass it on, connect it and send, several times over.
pub(crate) const DRAWS: u64 = 64;

/// Errors that are counted by themselves; include/asm-generic/errno.h ends at 133.
const ERRORS: usize = 134;

/// What to do.
#[derive(Debug, Clone)]
pub struct Storm {
    /// What deals everything.
    pub seed: u64,
    /// The first sequence.
    pub first: u64,
    /// How many sequences at the most.
    pub sequences: u64,
    /// Sequences until there are so many calls.
    pub calls: u64,
    /// Of each sequence these draws alone; all of them when there are none.
    pub only: BTreeSet<u64>,
    /// The folder of the lab's unix sockets.
    pub lab: PathBuf,
    /// A folder in which the attacker may make sockets.
    pub own: PathBuf,
}

/// What came of it: one JSON line, which nobody believes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stormed {
    /// How many calls were made, also by children.
    pub calls: u64,
    /// The sequence after the last one.
    pub next: u64,
    /// How many calls of each kind ended how: `ok` or the name of an error.
    pub kinds: BTreeMap<String, BTreeMap<String, u64>>,
}

impl Stormed {
    /// Adds what another storm came to.
    pub(crate) fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.next = self.next.max(other.next);
        for (kind, outcomes) in &other.kinds {
            for (outcome, count) in outcomes {
                let kind = self.kinds.entry(kind.clone()).or_default();
                *kind.entry(outcome.clone()).or_default() += count;
            }
        }
    }
}

/// Makes the calls.
///
/// # Errors
/// When there is no memory to count in.
pub fn storm(storm: &Storm) -> anyhow::Result<Stormed> {
    let tally = Tally(Counters::new(Kind::ALL.len() * ERRORS)?);
    let targets = Targets::new(&storm.lab, &storm.own);
    let mut next = storm.first;
    let end = storm.first.saturating_add(storm.sequences);
    while next < end && tally.calls() < storm.calls {
        Sequence::new(storm, next, &targets, &tally).run();
        next += 1;
    }
    Ok(Stormed { calls: tally.calls(), next, kinds: tally.kinds() })
}

/// Counts calls by kind and error.
struct Tally(Counters);

impl Tally {
    fn count<T>(&self, kind: Kind, done: &rustix::io::Result<T>) {
        let error = done.as_ref().err().map_or(0, |error| error.raw_os_error().unsigned_abs());
        // Errors past the last known one are counted as that one.
        self.0.add(kind as usize * ERRORS + (error as usize).min(ERRORS - 1));
    }

    fn calls(&self) -> u64 {
        self.0.read().iter().sum()
    }

    fn kinds(&self) -> BTreeMap<String, BTreeMap<String, u64>> {
        let mut kinds = BTreeMap::new();
        for (kind, counts) in Kind::ALL.iter().zip(self.0.read().chunks(ERRORS)) {
            let outcomes: BTreeMap<String, u64> =
                (0_i32..).zip(counts).filter(|(_, count)| **count > 0).map(outcome).collect();
            if !outcomes.is_empty() {
                kinds.insert(kind.name().to_owned(), outcomes);
            }
        }
        kinds
    }
}

fn outcome((error, count): (i32, &u64)) -> (String, u64) {
    let name = match error {
        0 => "ok".to_owned(),
        error => errno_name(rustix::io::Errno::from_raw_os_error(error)),
    };
    (name, *count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stormed(calls: u64, next: u64, outcomes: &[(&str, &str, u64)]) -> Stormed {
        let mut stormed = Stormed { calls, next, kinds: BTreeMap::new() };
        for (kind, outcome, count) in outcomes {
            let kind = stormed.kinds.entry((*kind).to_owned()).or_default();
            kind.insert((*outcome).to_owned(), *count);
        }
        stormed
    }

    #[test]
    fn storms_add_up() {
        let mut all = stormed(3, 5, &[("socket", "ok", 2), ("bind", "EPERM", 1)]);
        all.add(&stormed(4, 9, &[("socket", "ok", 1), ("socket", "EPERM", 3)]));
        let expected = [("socket", "ok", 3), ("socket", "EPERM", 3), ("bind", "EPERM", 1)];
        assert_eq!(all, stormed(7, 9, &expected));
    }

    #[test]
    fn calls_are_counted_by_kind_and_error() {
        let tally = Tally(Counters::new(Kind::ALL.len() * ERRORS).expect("memory"));
        let denied: rustix::io::Result<()> = Err(rustix::io::Errno::PERM);
        let unknown: rustix::io::Result<()> = Err(rustix::io::Errno::from_raw_os_error(512));
        for done in [Ok(()), Ok(()), denied, unknown] {
            tally.count(Kind::Connect, &done);
        }
        let expected = [("connect", "ok", 2), ("connect", "EPERM", 1), ("connect", "errno 133", 1)];
        assert_eq!(tally.calls(), 4);
        assert_eq!(tally.kinds(), stormed(0, 0, &expected).kinds);
    }
}
