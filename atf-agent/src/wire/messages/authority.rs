//! What the authority is asked and answers, and what it tells the gateway.

use std::num::NonZeroU64;

use serde::{Deserialize, Serialize};

use crate::call::{
    AgentName, Approval, Approver, CgroupId, DecisionId, Digest, Named, RunId, Untrusted,
};

/// A run as the authority registered it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunEntry {
    /// The run.
    pub run: RunId,
    /// Its cgroup.
    pub cgroup: CgroupId,
    /// Its uid, of no other live run.
    pub uid: u32,
    /// The agent of which it is a run.
    pub agent: AgentName,
    /// The person for whom it acts.
    pub user: Untrusted,
    /// The task that it was started for.
    pub task: Untrusted,
    /// The digest of its system prompt.
    pub prompt: Digest,
    /// Absolute end, in milliseconds of the boot clock (`CLOCK_BOOTTIME`).
    pub end_boot_ms: u64,
    /// True when an operator or a latch holds it sealed.
    pub sealed: bool,
}

/// What the authority is asked. Root may ask all but `Subscribe`; the gateway's uid may ask
/// `Subscribe` alone.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case", deny_unknown_fields)]
pub enum AuthorityRequest {
    /// Admit a run whose cgroup exists. Answered when the kernel and the gateway know it.
    Register {
        /// Chosen by the launcher.
        run: RunId,
        /// The run's cgroup.
        cgroup: CgroupId,
        /// Must have a manifest.
        agent: AgentName,
        /// Whose task it is.
        mandate: Mandate,
        /// The system prompt's digest; must be the manifest's when the manifest names one.
        prompt: Digest,
        /// Wanted lifetime in seconds; the authority's own limit holds when it is shorter.
        lifetime_s: Option<u32>,
        /// The cookie of the network that is the run's alone and on whose loopback it may make TCP sockets;
        /// absent for a run without INET.
        network: Option<NonZeroU64>,
    },
    /// A fresh token for a live run.
    Renew {
        /// The run.
        run: RunId,
    },
    /// The run's processes are gone: forget it.
    End {
        /// The run.
        run: RunId,
        /// How it ended, for the record: `exit 0`, `signal 9`.
        how: Untrusted,
        /// What its system call filter refused, as in the record of the end; absent where nobody counted.
        refused: Option<[u64; 6]>,
    },
    /// Lift a seal.
    Release {
        /// The run.
        run: RunId,
    },
    /// The live runs.
    Runs,
    /// The calls on which the policy wants a person's word.
    Approvals,
    /// A person's word on one of them.
    Approve {
        /// The decision that asked.
        decision: DecisionId,
        /// Yes or no.
        granted: bool,
        /// Who says so; uid and login are the kernel's to say.
        name: Untrusted,
    },
    /// Another policy is in the policy's directory: have the gateway judge by it.
    Publish {
        /// Its number among the versions that are kept.
        version: u32,
        /// Its revision; the gateway takes no other.
        revision: Digest,
        /// The key that signed it, where a signature is demanded. The gateway looks for itself.
        signer: Option<Untrusted>,
        /// Who says so; uid and login are the kernel's to say.
        name: Untrusted,
    },
    /// A policy was refused before it came into the policy's directory: it is to be in the log.
    NotPublished {
        /// What it was, and why.
        what: Untrusted,
        /// Who wanted it; uid and login are the kernel's to say.
        name: Untrusted,
    },
    /// From the gateway: send me the live runs, and from then on each change. The connection then
    /// carries [`Registry`] one way and [`RegistryAck`] the other.
    Subscribe,
}

/// Whose task a run has.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "snake_case", deny_unknown_fields)]
pub enum Mandate {
    /// A person's own.
    Person {
        /// The person for whom the run acts.
        user: Untrusted,
        /// The task.
        task: Untrusted,
        /// What the task and the prompt name.
        named: Named,
    },
    /// Another run's, which hands it on; with it go its person, its task and what that names.
    Run {
        /// The other run.
        parent: RunId,
    },
}

/// What the authority answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case", deny_unknown_fields)]
pub enum AuthorityReply {
    /// The run is admitted.
    Registered {
        /// The uid that the run must have.
        uid: u32,
        /// The first token.
        token: Token,
    },
    /// A fresh token.
    Renewed {
        /// The token.
        token: Token,
    },
    /// Done; nothing to say.
    Done,
    /// Done, and whether the kernel held the run as sealed until then.
    Was {
        /// False too when no such run was live, or it did nothing after its seal.
        sealed: bool,
    },
    /// The live runs.
    Runs {
        /// In the order of their registration.
        runs: Vec<RunEntry>,
        /// Those that the gateway says it would have sealed, had its breaker room; `None` when there
        /// is no gateway to ask.
        held_back: Option<Vec<RunId>>,
    },
    /// The calls on which the policy wants a person's word.
    Approvals {
        /// Those that wait first end first.
        approvals: Vec<Approval>,
    },
    /// No, and why. `why` may quote the asker.
    Refused {
        /// What was found, what was expected, what to do.
        why: Untrusted,
    },
}

/// A signed token and when to have the next one.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// The JWT in compact form.
    pub jwt: String,
    /// Seconds until it should be renewed; zero when the run's absolute end allows no renewal.
    pub renew_in_s: u64,
    /// Milliseconds until the run's absolute end, when its keeper ends it.
    pub ends_in_ms: u64,
}

/// From the authority to its one subscriber, the gateway.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case", deny_unknown_fields)]
pub enum Registry {
    /// All live runs; always first. What each of them names follows.
    Snapshot {
        /// The runs.
        runs: Vec<RunEntry>,
    },
    /// Listen for this run.
    Open {
        /// The run.
        entry: RunEntry,
        /// What its task and prompt name.
        named: Named,
    },
    /// What the task and prompt of a run name of which a snapshot told.
    Named {
        /// The run.
        run: RunId,
        /// What they name.
        named: Named,
    },
    /// Stop listening for this run and forget its DENY entry.
    Close {
        /// The run.
        run: RunId,
    },
    /// Remove the run's DENY entry: an operator lifted its seal.
    Release {
        /// The run.
        run: RunId,
    },
    /// No change, but a question: whose seals does the breaker hold back?
    HeldBack,
    /// Judge by the policy that is in the policy's directory now.
    Reload {
        /// Its revision. Another one is not taken.
        revision: Digest,
    },
    /// No change, but a question: which calls wait for a person's word, or have one?
    Approvals,
    /// A person's word on one of them. It is in the log.
    Answer {
        /// The decision that asked.
        decision: DecisionId,
        /// Yes or no.
        granted: bool,
        /// Who said so.
        approver: Approver,
    },
}

/// The gateway's answer to each [`Registry`] message, in order.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "ack", rename_all = "snake_case", deny_unknown_fields)]
pub enum RegistryAck {
    /// Done.
    Done,
    /// The runs whose seals the breaker holds back.
    HeldBack {
        /// The runs.
        runs: Vec<RunId>,
    },
    /// The calls on which the policy wants a person's word.
    Approvals {
        /// Those that wait first end first.
        approvals: Vec<Approval>,
    },
    /// Not done, and why.
    Failed {
        /// What stood in the way.
        why: Untrusted,
    },
}
