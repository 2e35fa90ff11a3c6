//! Turns: how many calls began within a span of time, and how many are under way. A call takes a turn of
//! each pace that it is bound by; the turn ends with the span, or with the call. Times are those of the
//! boot clock, which nobody sets.

use std::collections::{BTreeMap, BTreeSet};

use super::shared::Party;
use crate::call::{Digest, RunId};

/// Milliseconds for which a call stays under way that nobody heard of: the gateway was killed, or the
/// executor did not answer. Either has given it up by then (30 seconds, by default), and no server has longer for it.
pub const UNHEARD_HELD_MS: u64 = 90_000;

/// The end of a turn that ends with its call.
pub(super) const WITH_THE_CALL: u64 = i64::MAX.cast_unsigned();

/// Keys below which looking for those that hold nothing any more is not worth while.
const SWEEP_MIN: usize = 1_024;

/// How long a turn is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Held {
    /// For these milliseconds, from the reservation on: so many calls begin within any such span.
    ForMs(u64),
    /// Until the call is done: so many are under way at once.
    UntilDone,
}

/// How many turns there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Who shares them.
    pub party: Party,
    /// The digest of what is counted together: the name of the task, agent or user.
    pub name: Digest,
    /// How many.
    pub most: u64,
    /// How long one is held.
    pub held: Held,
}

/// Whose turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) run: Option<RunId>,
    pub(super) name: Digest,
}

/// One turn that is held, and when it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Turn {
    pub(super) key: Key,
    pub(super) began_boot_ms: u64,
    pub(super) ends_boot_ms: u64,
}

/// All turns that are held.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// When a turn ends and the call that holds it: those that ended stand in front.
    held: BTreeMap<Key, BTreeSet<(u64, u64)>>,
    newest_boot_ms: u64,
    sweep_at: usize,
    last_call: u64,
}

impl Turns {
    /// A number for a call that takes turns.
    pub(super) fn call(&mut self) -> u64 {
        self.last_call += 1;
        self.last_call
    }

    /// The time that counts when the clock says `now_boot_ms`: threads come here in another order than
    /// they read it.
    pub(super) fn now(&mut self, now_boot_ms: u64) -> u64 {
        self.newest_boot_ms = self.newest_boot_ms.max(now_boot_ms);
        self.newest_boot_ms
    }

    /// Puts a turn where it belongs.
    pub(super) fn put(&mut self, call: u64, turn: &Turn) {
        self.held.entry(turn.key).or_default().insert((turn.ends_boot_ms, call));
        self.last_call = self.last_call.max(call);
    }

    /// The turns that `run` would take at `now`; or the first pace that has none, and after how many
    /// milliseconds it has one, where that is known.
    pub(super) fn grant(
        &mut self,
        run: RunId,
        paces: &[Pace],
        now: u64,
    ) -> Result<Vec<Turn>, (Pace, Option<u64>)> {
        paces.iter().map(|pace| self.granted(run, pace, now)).collect()
    }

    fn granted(&mut self, run: RunId, pace: &Pace, now: u64) -> Result<Turn, (Pace, Option<u64>)> {
        let turn = pace.turn(run, now);
        let held = match self.held.get_mut(&turn.key) {
            None => 0,
            Some(held) => {
                while held.first().is_some_and(|&(ends, _)| ends <= now) {
                    held.pop_first();
                }
                held.len() as u64
            }
        };
        if held < pace.most {
            return Ok(turn);
        }
        let first = self.held.get(&turn.key).and_then(|held| held.first());
        let after = first.map(|&(ends, _)| ends).filter(|&ends| ends != WITH_THE_CALL);
        Err((*pace, after.map(|ends| ends.saturating_sub(now))))
    }

    /// Takes what was granted, for `call`.
    pub(super) fn take(&mut self, call: u64, turns: &[Turn]) {
        for turn in turns {
            self.put(call, turn);
        }
        if self.held.len() > self.sweep_at.max(SWEEP_MIN) {
            let now = self.newest_boot_ms;
            self.held.retain(|_, held| held.last().is_some_and(|&(ends, _)| ends > now));
            self.sweep_at = self.held.len() * 2;
        }
    }

    /// Ends a turn before its time.
    pub(super) fn end(&mut self, call: u64, turn: &Turn) {
        if let Some(held) = self.held.get_mut(&turn.key) {
            held.remove(&(turn.ends_boot_ms, call));
        }
    }

    /// The call of this turn is not heard of any more: when the turn ends from now on.
    pub(super) fn unheard(&mut self, call: u64, turn: &mut Turn) {
        self.end(call, turn);
        turn.ends_boot_ms = self.newest_boot_ms.saturating_add(UNHEARD_HELD_MS);
        self.put(call, turn);
    }

    /// These turns of `call`, each with whether it is held.
    pub(super) fn of(&self, call: u64, turns: &[Turn]) -> Vec<(Turn, bool)> {
        let is_held = |turn: &Turn| {
            let held = self.held.get(&turn.key);
            held.is_some_and(|held| held.contains(&(turn.ends_boot_ms, call)))
        };
        turns.iter().map(|turn| (*turn, is_held(turn))).collect()
    }

    /// The newest time that was seen, milliseconds of the boot clock.
    pub(super) fn newest_boot_ms(&self) -> u64 {
        self.newest_boot_ms
    }

    /// Forgets the turns of a run that has ended.
    pub(super) fn forget(&mut self, run: RunId) {
        let first = Key { run: Some(run), name: Digest::from_bytes([0; 32]) };
        let of_the_run = self.held.range(first..).take_while(|(key, _)| key.run == Some(run));
        let of_the_run: Vec<Key> = of_the_run.map(|(key, _)| *key).collect();
        for key in of_the_run {
            self.held.remove(&key);
        }
    }
}

impl Turn {
    /// Whether it ends when its call does.
    pub(super) fn ends_with_the_call(&self) -> bool {
        self.ends_boot_ms == WITH_THE_CALL
    }
}

impl Pace {
    fn turn(&self, run: RunId, now: u64) -> Turn {
        let run = (self.party == Party::Run).then_some(run);
        let ends_boot_ms = match self.held {
            Held::ForMs(span) => now.saturating_add(span),
            Held::UntilDone => WITH_THE_CALL,
        };
        let key = Key { run, name: self.name };
        Turn { key, began_boot_ms: now, ends_boot_ms }
    }
}
