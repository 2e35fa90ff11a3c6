//! The claim `act` (RFC 8693, section 4.1): the run's parent, and within it that one's, up to the run that the
//! person started.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::claims::{agent, only_object, task_run};
use crate::call::{AgentName, Chain, Delegator, RunId};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Act {
    #[serde(with = "agent")]
    sub: AgentName,
    #[serde(with = "task_run")]
    jti: RunId,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "there")]
    act: Option<Box<Act>>,
}

pub(super) fn serialize<S: Serializer>(chain: &Chain, to: S) -> Result<S::Ok, S::Error> {
    let within = |act: Option<Box<Act>>, delegator: &Delegator| {
        Some(Box::new(Act { sub: delegator.agent.clone(), jti: delegator.run, act }))
    };
    chain.iter().rev().fold(None, within).serialize(to)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Chain, D::Error> {
    let (mut above, mut chain) = (Some(Box::new(only_object::<D, Act>(from)?)), Vec::new());
    while let Some(act) = above {
        let Act { sub, jti, act } = *act;
        chain.push(Delegator { agent: sub, run: jti });
        above = act;
    }
    Ok(Chain::new(chain))
}

/// An object, and not null.
fn there<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Box<Act>>, D::Error> {
    only_object(from).map(|act| Some(Box::new(act)))
}
