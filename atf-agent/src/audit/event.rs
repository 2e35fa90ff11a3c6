//! Everything that the log can say.

use atf_common::mode::Mode;
use serde::{Deserialize, Serialize};

use crate::call::{
    AgentName, Approver, CgroupId, Chain, DecisionId, Digest, Reason, RunId, Step, Untrusted,
};

/// One thing that happened, as its reporter tells it. The recorder adds number, time, reporter and
/// chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case", deny_unknown_fields)]
pub enum Event {
    /// A process of ATF started.
    Started {
        /// Its version and what it loaded: policy revision, key ids.
        facts: Vec<(String, String)>,
    },
    /// The authority admitted a run.
    RunRegistered {
        /// The run.
        run: RunId,
        /// Its cgroup.
        cgroup: CgroupId,
        /// Its uid.
        uid: u32,
        /// Its agent.
        agent: AgentName,
        /// The person for whom it acts.
        user: Untrusted,
        /// Its task.
        task: Untrusted,
        /// The digest of its system prompt.
        prompt: Digest,
        /// The runs that handed the task on to it, its parent first.
        #[serde(default, skip_serializing_if = "Chain::is_empty")]
        chain: Chain,
        /// What the kernel programs did with what they denied when it was admitted.
        mode: Mode,
    },
    /// The authority signed a token.
    TokenMinted {
        /// The run.
        run: RunId,
        /// The agent.
        agent: AgentName,
        /// The digest of the compact token.
        token: Digest,
        /// The key's id (RFC 7638 thumbprint).
        key: String,
        /// Expiry, seconds since the epoch.
        expires_unix_s: u64,
    },
    /// A run's processes are gone.
    RunEnded {
        /// The run.
        run: RunId,
        /// How: `exit 0`, `signal 9`, `registry lost it`.
        how: Untrusted,
        /// What the kernel programs counted for it: vector name, allowed, denied, in the ring,
        /// suppressed, dropped, observed. Vectors that saw nothing are left out.
        kernel: Vec<(String, [u64; 6])>,
    },
    /// The gate decided a call. On the disk before the act when it allows.
    Decided {
        /// The call.
        call: Box<Call>,
        /// Allowed or refused.
        verdict: Verdict,
    },
    /// What became of an allowed call.
    Settled {
        /// The decision that allowed it.
        decision: DecisionId,
        /// The run.
        run: RunId,
        /// The tool, the prompt or the resource.
        target: Untrusted,
        /// What became of it.
        outcome: Outcome,
        /// What the server told the run meanwhile; absent when that was nothing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        told: Option<Notified>,
    },
    /// A run was sealed.
    Sealed {
        /// The run.
        run: RunId,
        /// Its cgroup.
        cgroup: CgroupId,
        /// The decision that did it; absent when it was no call.
        decision: Option<DecisionId>,
        /// Boot clock, nanoseconds, of the decision.
        decided_boot_ns: u64,
        /// Boot clock, nanoseconds, when the kernel's map had the entry.
        written_boot_ns: u64,
        /// Whether the kernel programs hold the run by it, or only observe.
        mode: Mode,
        /// Why.
        why: String,
    },
    /// An operator lifted a seal.
    Released {
        /// The run.
        run: RunId,
        /// Who, by the kernel's word.
        uid: u32,
    },
    /// A person answered whether a call may be made, on which the policy wants a word.
    Answered {
        /// The decision that asked.
        decision: DecisionId,
        /// The run that may make the call.
        run: RunId,
        /// The tool, the prompt or the resource.
        target: Untrusted,
        /// The digest over run, target, pin and arguments.
        call: Digest,
        /// The revision of the policy that asked.
        policy: Digest,
        /// Yes or no.
        granted: bool,
        /// Who said so.
        approver: Approver,
    },
    /// An operator put a policy in the place of another one. A finding `policy.not_taken` after it says that
    /// the gateway does not judge by it.
    PolicyPublished {
        /// Its number among the versions that are kept.
        version: u32,
        /// Its revision.
        revision: Digest,
        /// The key that signed it, where a signature is demanded.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signer: Option<Untrusted>,
        /// Who did.
        by: Approver,
    },
    /// The kernel denied an operation of a run: one of the programs, or the run's system call filter.
    KernelDenied(Judged),
    /// A kernel program would have denied an operation of a run, and let it through: the cage only
    /// observes.
    KernelObserved(Judged),
    /// Something that should not be: a stolen token, callers that disagree, a cage that is not
    /// proven, a log that was torn.
    Finding {
        /// Short stable name: `token.other_run`, `caller.disagree`, `seal.held_back`, `cage.mismatch`,
        /// `cage.loosened`, `log.torn`, `log.gone`, `policy.not_taken`.
        name: String,
        /// The run that it concerns.
        run: Option<RunId>,
        /// What was found.
        detail: Untrusted,
    },
}

/// An operation that a kernel program, or a run's system call filter, judged, and not in its favour.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Judged {
    /// The run's cgroup, 0 when under no run.
    pub cgroup: CgroupId,
    /// Boot clock, nanoseconds.
    pub boot_ns: u64,
    /// Name of the vector.
    pub vector: String,
    /// Name of the denial.
    pub denial: String,
    /// The process.
    pub pid: u32,
    /// Its effective uid.
    pub uid: u32,
    /// Its command name.
    pub comm: Untrusted,
    /// Socket family.
    pub family: u32,
    /// Socket type or port; the number of a system call.
    pub detail: u32,
    /// Events of this run and vector suppressed since the last one.
    pub suppressed: u64,
}

impl Judged {
    /// How the vectors of a run's system call filter begin: the call's name follows. The kernel programs
    /// have no such vector.
    pub const FILTER: &str = "seccomp:";
}

/// What a server told a run while it worked on a call: all of it in one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notified {
    /// Messages that were handed to the run's connection.
    pub told: u64,
    /// Messages that were not: the run reads too slowly, there were too many, or a text is not seen.
    pub lost: u64,
    /// Bytes of those that were.
    pub bytes: u64,
    /// The digest over them: of the digest before it and the message, in their order; the first before it
    /// is that of nothing.
    pub digest: Digest,
}

/// The call that a decision is about. What the gate had not learnt yet when it said no is absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// The decision.
    pub decision: DecisionId,
    /// The run, by the kernel's word.
    pub run: RunId,
    /// Its cgroup.
    pub cgroup: CgroupId,
    /// The JSON-RPC method.
    pub method: Option<Untrusted>,
    /// The agent, from the token.
    pub agent: Option<AgentName>,
    /// The person, from the token.
    pub user: Option<Untrusted>,
    /// The task, from the token.
    pub task: Option<Untrusted>,
    /// The digest of the compact token.
    pub token: Option<Digest>,
    /// The tool.
    pub tool: Option<Untrusted>,
    /// The prompt, the resource, or what a completion is of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Untrusted>,
    /// The digest of the tool's approved pin.
    pub pin: Option<Digest>,
    /// The digest of the arguments, byte for byte: as they are sent, or as they came when they were refused before
    /// anything in them was rewritten.
    pub arguments: Option<Digest>,
    /// The arguments in whose place the gate sends its own text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rewritten: Vec<Rewritten>,
    /// The digest of what the run answers to a server, byte for byte; the state in it is the server's own
    /// once the call is judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answers: Option<Digest>,
    /// The prompt digest that the call claims.
    pub prompt: Option<Digest>,
    /// The revision of the policy that judged.
    pub policy: Option<Digest>,
    /// The digest of what the policy was told and answered, where that is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hearing: Option<Digest>,
    /// The decision that asked for the person's word that was taken for this call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<DecisionId>,
    /// The decision of the deferred call that this one is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub began: Option<DecisionId>,
    /// The digest of the permit's body.
    pub permit: Option<Digest>,
    /// Nanoseconds from the first byte judged to the decision.
    pub gate_ns: u64,
}

/// An argument with SQL, in the place of which its canonical text is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rewritten {
    /// Its name.
    pub argument: Untrusted,
    /// The digest of the text that came.
    pub came: Digest,
    /// The digest of the text that is sent.
    pub sent: Digest,
}

/// What the gate decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case", deny_unknown_fields)]
pub enum Verdict {
    /// Yes.
    Allowed,
    /// No.
    Refused {
        /// The step that said no.
        step: Step,
        /// The stable reason.
        reason: Reason,
        /// What was found.
        detail: Untrusted,
        /// False when the call was made all the same, by the mode of its tool.
        #[serde(default = "enforced", skip_serializing_if = "Clone::clone")]
        enforced: bool,
    },
}

/// A refusal is enforced unless its record says otherwise.
fn enforced() -> bool {
    true
}

/// What became of an allowed call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case", deny_unknown_fields)]
pub enum Outcome {
    /// The tool answered.
    Answered {
        /// The digest of the result.
        result: Digest,
        /// Its length in bytes.
        bytes: u64,
        /// Whether the tool itself called it an error.
        is_error: bool,
    },
    /// The executor did nothing.
    NotDone {
        /// Why.
        why: Untrusted,
    },
    /// It may have been done. Never refunded.
    Unknown {
        /// Why it is not known.
        why: Untrusted,
    },
}

/// A process of ATF, as the recorder knows it by its uid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Process {
    /// `atf enforcer`, or root on its behalf.
    Enforcer,
    /// `atf authority`.
    Authority,
    /// `atf gateway`.
    Gateway,
    /// `atf recorder`.
    Recorder,
    /// `atf executor`.
    Executor,
}
