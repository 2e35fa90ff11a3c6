//! The calls that wait for a server that makes one at a time. Each run has its turn, however many of its calls wait.

use std::collections::VecDeque;

use super::{Call, WAITING_MAX};
use crate::call::RunId;

/// All of them.
#[derive(Default)]
pub(super) struct Turns {
    /// The runs, the one first whose turn it is, and what of each waits; of none nothing.
    by_run: VecDeque<(RunId, VecDeque<Call>)>,
}

impl Turns {
    /// One more waits. The one for which there is no room is given back: the last of the run of which most wait.
    pub(super) fn push(&mut self, call: Call) -> Option<Call> {
        let run = call.run;
        match self.by_run.iter_mut().find(|(of, _)| *of == run) {
            Some((_, calls)) => calls.push_back(call),
            None => self.by_run.push_back((run, [call].into())),
        }
        let waiting: usize = self.by_run.iter().map(|(_, calls)| calls.len()).sum();
        if waiting <= WAITING_MAX {
            return None;
        }
        let most = |at: &usize| (self.by_run[*at].1.len(), self.by_run[*at].0 == run);
        let at = (0..self.by_run.len()).max_by_key(most)?;
        let (_, calls) = self.by_run.get_mut(at)?;
        let last = calls.pop_back();
        if calls.is_empty() {
            self.by_run.remove(at);
        }
        last
    }

    /// The first of the run whose turn it is. Its others wait until all runs had theirs.
    pub(super) fn next(&mut self) -> Option<Call> {
        let (run, mut calls) = self.by_run.pop_front()?;
        let call = calls.pop_front();
        if !calls.is_empty() {
            self.by_run.push_back((run, calls));
        }
        call
    }

    /// All of them.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Call> {
        self.by_run.drain(..).flat_map(|(_, calls)| calls)
    }
}
