//! Who handed a task on: the runs between the person and a sub-agent's run.

use serde::{Deserialize, Serialize};

use super::{AgentName, RunId};

/// Most runs above one.
pub const DELEGATIONS_MAX: usize = 4;

/// A run that handed its task on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delegator {
    /// Its agent.
    pub agent: AgentName,
    /// The run.
    pub run: RunId,
}

/// The runs above a run, from its own parent to the one that the person started; none for that one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Chain(Vec<Delegator>);

impl Chain {
    /// These runs, the nearest first.
    pub fn new(nearest_first: Vec<Delegator>) -> Self {
        Self(nearest_first)
    }

    /// Whether a person started the run.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them, the nearest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Delegator> {
        self.0.iter()
    }

    /// The run's parent.
    pub fn parent(&self) -> Option<RunId> {
        self.0.first().map(|delegator| delegator.run)
    }

    /// The chain of a run that `delegator`, whose own chain this is, hands its task to.
    #[must_use]
    pub fn below(&self, delegator: Delegator) -> Self {
        Self([vec![delegator], self.0.clone()].concat())
    }

    /// Whether it may be the chain of `run`; what is wrong otherwise.
    ///
    /// # Errors
    /// When it is too long, or a run stands above itself.
    pub fn check(&self, run: RunId) -> Result<(), String> {
        if self.0.len() > DELEGATIONS_MAX {
            return Err(format!("{} runs above the run, at most {DELEGATIONS_MAX}", self.0.len()));
        }
        let runs: Vec<RunId> = self.0.iter().map(|d| d.run).chain([run]).collect();
        match (1..runs.len()).find(|&i| runs[..i].contains(&runs[i])) {
            None => Ok(()),
            Some(twice) => Err(format!("run {} stands above itself", runs[twice])),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_is_short_and_has_no_circle() {
        let delegator = || Delegator { agent: "clerk".parse().unwrap(), run: RunId::random() };
        let run = RunId::random();
        let mut chain = Chain::default();
        assert_eq!(chain.parent(), None);
        for length in 1..=DELEGATIONS_MAX {
            let nearest = delegator();
            chain = chain.below(nearest.clone());
            assert_eq!((chain.check(run), chain.iter().count()), (Ok(()), length));
            assert_eq!(chain.parent(), Some(nearest.run));
        }
        assert!(chain.check(chain.parent().unwrap()).is_err(), "its own parent");
        let twice = Chain::new(vec![delegator(); 2]);
        assert!(twice.check(run).is_err(), "a parent twice");
        assert!(chain.below(delegator()).check(run).is_err(), "one too many");
    }
}
