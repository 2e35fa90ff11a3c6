//! Which decisions of the log are meant, and what is kept of them.

use std::collections::{HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::Context as _;

use crate::audit::{self, Decided};
use crate::call::DecisionId;
use crate::config::Config;
use crate::gate::Hearing;
use crate::state;

/// A decision by the number of its record or by its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named {
    /// The record's number.
    Seq(u64),
    /// The decision.
    Decision(DecisionId),
}

impl FromStr for Named {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let decision = text.parse().map(Self::Decision);
        decision.or_else(|_| text.parse().map(Self::Seq)).map_err(|_| {
            format!("expected a record's number or a decision's id, as `atf audit show` prints them, found {text:?}")
        })
    }
}

/// The log and the kept hearings.
pub(super) struct Past {
    log: PathBuf,
    hearings: PathBuf,
}

impl Past {
    pub(super) fn of(config: &Config, log: Option<&Path>) -> Self {
        let log = log.map_or_else(|| config.places.log_dir(), Path::to_owned);
        Self { log, hearings: config.places.hearings() }
    }

    /// The decision that is `named`.
    pub(super) fn one(&self, named: Named) -> anyhow::Result<Decided> {
        let mut found = None;
        audit::decided(&self.log, |decided| {
            let is_it = match named {
                Named::Seq(seq) => decided.seq == seq,
                Named::Decision(decision) => decided.decision == decision,
            };
            if is_it {
                found = Some(decided);
            }
        })?;
        let what = match named {
            Named::Seq(seq) => format!("record {seq}"),
            Named::Decision(decision) => decision.to_string(),
        };
        found.with_context(|| {
            format!(
                "the log {} has no decision {what}; `atf audit show` lists what it has",
                self.log.display()
            )
        })
    }

    /// The last so many, or all; oldest first.
    pub(super) fn last(&self, last: Option<usize>) -> anyhow::Result<Vec<Decided>> {
        let mut found = VecDeque::new();
        audit::decided(&self.log, |decided| {
            found.push_back(decided);
            if last.is_some_and(|last| found.len() > last) {
                found.pop_front();
            }
        })?;
        Ok(found.into())
    }

    /// What the policy was told and answered at each of `decisions`, or why that is not known.
    pub(super) fn heard(
        &self,
        decisions: &[Decided],
    ) -> anyhow::Result<Vec<Result<Hearing, Unknown>>> {
        let wanted: HashSet<DecisionId> =
            decisions.iter().filter(|d| d.hearing.is_some()).map(|d| d.decision).collect();
        let kept = state::kept(&self.hearings, &wanted)
            .with_context(|| format!("cannot read {}; are you root?", self.hearings.display()))?;
        let heard = decisions.iter().map(|decided| {
            let digest = decided.hearing.ok_or_else(|| Unknown::of(decided))?;
            let line = kept.get(&decided.decision).ok_or(Unknown::Gone)?;
            Hearing::read(line, digest).map_err(|error| Unknown::Other(error.to_string()))
        });
        Ok(heard.collect())
    }
}

/// Why it is not known what a policy was told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unknown {
    /// It was told nothing.
    #[error("the policy was not asked")]
    NotAsked,
    /// It may have been told something.
    #[error(
        "what the policy was told was not kept: gateway.hearings_bytes_max is 0, or too much waited to be written"
    )]
    NotKept,
    /// It was kept once.
    #[error(
        "what the policy was told is not kept any more; gateway.hearings_bytes_max says how much is"
    )]
    Gone,
    /// It is not what the log says.
    #[error("{0}")]
    Other(String),
}

impl Unknown {
    fn of(decided: &Decided) -> Self {
        use crate::audit::Verdict;
        use crate::call::Step;
        match &decided.verdict {
            Verdict::Refused { step, .. } => match step {
                Step::Receive | Step::Authenticate | Step::Schema | Step::Sql => Self::NotAsked,
                Step::Policy
                | Step::Approve
                | Step::Reserve
                | Step::Record
                | Step::Execute
                | Step::Filter => Self::NotKept,
            },
            // A list or a handshake, which no policy judges.
            Verdict::Allowed if decided.policy.is_none() => Self::NotAsked,
            Verdict::Allowed => Self::NotKept,
        }
    }
}
