//! Caps of `data.json` that are not of money: how often, how many at once, and how much is read. Each is
//! of a run, a task, an agent or a user, and of all tools or of those that it names, which count together.

use std::collections::BTreeSet;
use std::num::NonZeroU64;

use serde::{Deserialize, Deserializer};

use crate::call::{Digest, ToolName};
use crate::identity::Claims;
use crate::state::{Held, Measure, Pace, Party, Share};

/// Most calls of one cap: each one that counts is kept.
const CALLS_MAX: u64 = 10_000;

/// Longest span in seconds: a day.
const SPAN_S_MAX: u64 = 86_400;

/// Calls that may begin within any span of so many seconds.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CallsCap {
    pub(super) of: Party,
    #[serde(default)]
    pub(super) tools: Tools,
    #[serde(deserialize_with = "calls")]
    most: u64,
    #[serde(deserialize_with = "span")]
    per_s: u64,
}

/// Calls that may be under way at once.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InFlightCap {
    pub(super) of: Party,
    #[serde(default)]
    pub(super) tools: Tools,
    #[serde(deserialize_with = "calls")]
    most: u64,
}

/// Rows or bytes that may be read: by a run or for a task in all, by an agent or a user in a day.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReadCap {
    pub(super) of: Party,
    #[serde(default)]
    pub(super) tools: Tools,
    most: u64,
}

/// All tools, or those that are named.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tools(Option<BTreeSet<ToolName>>);

/// The names by which calls are counted together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Whose<'a> {
    agent: &'a str,
    user: &'a str,
    task: &'a str,
}

impl<'a> Whose<'a> {
    /// Nobody's, to compare caps.
    pub(super) const NOBODY: Whose<'static> = Whose { agent: "", user: "", task: "" };

    /// Those of a token.
    pub(super) fn of(claims: &'a Claims) -> Self {
        Self {
            agent: claims.sub.as_str(),
            user: claims.context.parent_user.raw(),
            task: claims.context.task_id.raw(),
        }
    }

    /// The name of a party. A run has none: what is its own is kept by its id.
    pub(super) fn name(&self, party: Party) -> String {
        match party {
            Party::Run => String::new(),
            // A task's id is its user's: nobody spends what another one's task may.
            Party::Task => format!("{} {} {}", self.user.len(), self.user, self.task),
            Party::Agent => self.agent.to_owned(),
            Party::User => self.user.to_owned(),
        }
    }

    /// What is counted together, of a cap that says `what` of `tools`.
    fn counted(&self, of: Party, what: &str, tools: &Tools) -> Digest {
        let named: Vec<&str> = tools.named().map(ToolName::as_str).collect();
        // Neither a tool's name nor `what` has a line end.
        let text = format!("{what}\n{of}\n{}\n{}", named.join(" "), self.name(of));
        Digest::of(text.as_bytes())
    }
}

impl CallsCap {
    /// What it counts together.
    pub(super) fn name(&self, whose: Whose<'_>) -> Digest {
        whose.counted(self.of, &format!("calls in {} s", self.per_s), &self.tools)
    }

    pub(super) fn pace(&self, whose: Whose<'_>) -> Pace {
        let held = Held::ForMs(self.per_s.saturating_mul(1_000));
        Pace { party: self.of, name: self.name(whose), most: self.most, held }
    }
}

impl InFlightCap {
    /// What it counts together.
    pub(super) fn name(&self, whose: Whose<'_>) -> Digest {
        whose.counted(self.of, "calls in flight", &self.tools)
    }

    pub(super) fn pace(&self, whose: Whose<'_>) -> Pace {
        let (name, held) = (self.name(whose), Held::UntilDone);
        Pace { party: self.of, name, most: self.most, held }
    }
}

impl ReadCap {
    /// What it counts together.
    pub(super) fn name(&self, measure: Measure, whose: Whose<'_>) -> Digest {
        whose.counted(self.of, &measure.to_string(), &self.tools)
    }

    pub(super) fn share(&self, measure: Measure, whose: Whose<'_>, amount: u64) -> Share {
        let name = self.name(measure, whose);
        Share { party: self.of, measure, name, cap: self.most, amount }
    }
}

impl Tools {
    /// Whether `tool` is among them; what is no tool is, where all are meant.
    pub(super) fn have(&self, tool: Option<&ToolName>) -> bool {
        self.0.as_ref().is_none_or(|named| tool.is_some_and(|tool| named.contains(tool)))
    }

    /// Those that are named.
    pub(super) fn named(&self) -> impl Iterator<Item = &ToolName> {
        self.0.iter().flatten()
    }
}

impl<'de> Deserialize<'de> for Tools {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        let named = BTreeSet::deserialize(reader)?;
        if named.is_empty() {
            let what = "`tools` is empty; name those that the cap is of, or leave it out for all";
            return Err(serde::de::Error::custom(what));
        }
        Ok(Self(Some(named)))
    }
}

fn calls<'de, D: Deserializer<'de>>(reader: D) -> Result<u64, D::Error> {
    let most = u64::deserialize(reader)?;
    if most > CALLS_MAX {
        let what = format!("`most` is {most}; at most {CALLS_MAX} calls can be counted");
        return Err(serde::de::Error::custom(what));
    }
    Ok(most)
}

fn span<'de, D: Deserializer<'de>>(reader: D) -> Result<u64, D::Error> {
    let span = NonZeroU64::deserialize(reader)?.get();
    if span > SPAN_S_MAX {
        let what = format!("`per_s` is {span}; a span has at most {SPAN_S_MAX} seconds");
        return Err(serde::de::Error::custom(what));
    }
    Ok(span)
}
