//! A person's word on one call, where the policy asks for it.

use serde::{Deserialize, Serialize};

use super::{AgentName, DecisionId, Digest, MayGrant, RunId, Untrusted};

/// Longest arguments of a call that a person is asked about, in bytes: nobody reads more, and what is not
/// read is not approved.
pub const APPROVAL_ARGUMENTS_BYTES_MAX: usize = 4_096;

/// What is approved: one call, under one policy. Another byte of the arguments, another run, another pin or
/// another revision is another call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approvable {
    /// The digest over run, target, pin and arguments.
    pub call: Digest,
    /// The revision of the policy that asks.
    pub policy: Digest,
    /// The run that may make the call.
    pub run: RunId,
    /// The tool, the prompt or the resource.
    pub target: Untrusted,
    /// The arguments, byte for byte.
    pub arguments: Untrusted,
    /// The agent.
    pub agent: AgentName,
    /// The person for whom it acts.
    pub user: Untrusted,
    /// Its task.
    pub task: Untrusted,
    /// Who may grant it; absent where the policy names nobody for any call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub may_grant: Option<Vec<MayGrant>>,
}

/// How an approval stands. One that was used or whose time is over is none any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Nobody has said anything.
    Pending,
    /// The call may be made, once.
    Granted,
    /// It may not.
    Denied,
}

/// Who said so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approver {
    /// The uid that asked the authority, by the kernel's word.
    pub uid: u32,
    /// The uid with which that person logged in, by the kernel's word, which `sudo` leaves alone; absent
    /// where the kernel does not say.
    pub login_uid: Option<u32>,
    /// The name that was given.
    pub name: Untrusted,
}

/// An approval, as it is listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// The decision that asked for it, by which it is named.
    pub decision: DecisionId,
    /// The call.
    pub of: Approvable,
    /// How it stands.
    pub standing: Standing,
    /// Who said so; absent while nobody has.
    pub approver: Option<Approver>,
    /// Milliseconds for which it stands like this.
    pub left_ms: u64,
}
