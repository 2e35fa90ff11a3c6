//! Who may grant calls, as `data.json` names them: by tool and by amount.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::call::{MayGrant, Target, ToolName, Untrusted};

/// The persons, by what the policy calls them.
pub(super) type Approvers = BTreeMap<Untrusted, ApproverData>;

/// One of them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ApproverData {
    /// The uid of the login.
    #[serde(default)]
    uid: Option<u32>,
    /// Or its name.
    #[serde(default)]
    login: Option<Untrusted>,
    /// The person's name where runs act for somebody.
    #[serde(default)]
    user: Option<Untrusted>,
    /// Only calls of these tools; of all, and of what is no tool, when absent.
    #[serde(default)]
    tools: Option<BTreeSet<ToolName>>,
    /// Only calls of up to so many cents.
    #[serde(default)]
    up_to_cents: Option<u64>,
}

/// Whether each of them can be told from others, and names tools that there are.
pub(super) fn check(
    approvers: &Approvers,
    known: &BTreeMap<ToolName, impl Sized>,
) -> Result<(), String> {
    for (name, data) in approvers {
        if data.uid.is_none() && data.login.is_none() {
            return Err(format!("the approver {name} has neither uid nor login"));
        }
        if let Some(tool) = data.tools.iter().flatten().find(|tool| !known.contains_key(*tool)) {
            return Err(format!("the approver {name} names {tool}, which `tools` does not have"));
        }
    }
    Ok(())
}

/// Those of `approvers` who may grant a call of `target` that spends `cents`.
pub(super) fn of(approvers: &Approvers, target: &Target, cents: u64) -> Vec<MayGrant> {
    let may = approvers.iter().filter(|(_, data)| {
        let of_tool = data
            .tools
            .as_ref()
            .is_none_or(|tools| target.tool().is_some_and(|tool| tools.contains(tool)));
        of_tool && data.up_to_cents.is_none_or(|most| cents <= most)
    });
    let named = may.map(|(name, data)| MayGrant {
        name: name.clone(),
        uid: data.uid,
        login: data.login.clone(),
        user: data.user.clone(),
    });
    named.collect()
}
