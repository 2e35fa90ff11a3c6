//! Making a way out small: the one sequence that took it, and of its draws those that it needs.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;

use anyhow::{Result, bail};

use super::Part;
use crate::hijacked::storm::DRAWS;

/// A way out that can be made again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Smallest {
    seed: u64,
    sequence: u64,
    /// The draws that it takes.
    pub(super) draws: BTreeSet<u64>,
}

impl fmt::Display for Smallest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let draws: Vec<String> = self.draws.iter().map(u64::to_string).collect();
        let (seed, first, only) = (self.seed, self.sequence, draws.join(","));
        write!(f, "hijacked storm --seed {seed} --first {first} --sequences 1 --only {only}")
    }
}

/// The smallest part of these sequences, which got out together, that gets out too. `got_out` tries one.
pub(super) fn of(
    seed: u64,
    sequences: Range<u64>,
    mut got_out: impl FnMut(&Part) -> Result<bool>,
) -> Result<Smallest> {
    let sequence = sequence(seed, sequences, &mut got_out)?;
    let mut draws: BTreeSet<u64> = (0..DRAWS).collect();
    // Ever smaller pieces are left out, as long as the rest gets out.
    let mut piece = draws.len() / 2;
    while piece > 0 {
        let mut left: Vec<u64> = draws.iter().copied().collect();
        while !left.is_empty() {
            let tried: Vec<u64> = left.drain(..piece.min(left.len())).collect();
            let mut rest = draws.clone();
            rest.retain(|draw| !tried.contains(draw));
            let part = Part { only: rest.clone(), ..Part::of(seed, sequence..sequence + 1) };
            if !rest.is_empty() && got_out(&part)? {
                draws = rest;
            }
        }
        piece /= 2;
    }
    Ok(Smallest { seed, sequence, draws })
}

/// A sequence that gets out by itself: found by halves.
fn sequence(
    seed: u64,
    mut all: Range<u64>,
    got_out: &mut impl FnMut(&Part) -> Result<bool>,
) -> Result<u64> {
    while all.end - all.start > 1 {
        let middle = all.start + (all.end - all.start) / 2;
        if got_out(&Part::of(seed, all.start..middle))? {
            all.end = middle;
        } else {
            all.start = middle;
        }
    }
    if !got_out(&Part::of(seed, all.clone()))? {
        bail!("no sequence of them gets out by itself, --seed {seed} --first {}", all.start);
    }
    Ok(all.start)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A way out that takes three draws of one sequence.
    fn got_out(part: &Part) -> Result<bool> {
        let needs = [3, 40, 63];
        let has = |draw| part.only.is_empty() || part.only.contains(draw);
        Ok(part.sequences.contains(&77) && needs.iter().all(has))
    }

    #[test]
    fn a_way_out_is_found_by_its_sequence_and_its_draws() {
        for sequences in [0..1_000, 77..78, 76..1_000_000] {
            let found = of(7, sequences, got_out).expect("it gets out");
            assert_eq!(
                found.to_string(),
                "hijacked storm --seed 7 --first 77 --sequences 1 --only 3,40,63"
            );
        }
    }

    #[test]
    fn a_way_out_that_does_not_come_again_is_told() {
        let error = of(7, 0..10, |_| Ok(false)).expect_err("it does not get out");
        assert!(error.to_string().contains("by itself"), "{error}");
    }
}
