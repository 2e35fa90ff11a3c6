//! Every message between ATF's processes. Unknown fields and variants are refused, so that two
//! versions that do not know each other's words stop instead of guessing.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::answers::{Answers, Exchange};
use super::catalogue::Catalogue;
use crate::audit::Event;
use crate::call::{
    AgentName, Approval, Approver, CgroupId, DecisionId, Digest, Named, Questions, RunId, Target,
    ToolName, Untrusted,
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
        /// Who says so; uid and login are the kernel's to say.
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

/// What the recorder is asked. Any of ATF's processes may ask.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case", deny_unknown_fields)]
pub enum RecorderRequest {
    /// Append one record. Answered when it is durable, or, with `durable` false, when it is queued.
    Append {
        /// What happened. Boxed: an event is large beside the other variants.
        event: Box<Event>,
        /// Wait for the disk.
        durable: bool,
        /// The JSON of the [`PermitBody`] that the event allows, byte for byte as it will be signed,
        /// for a receipt that stands for it. The recorder holds it against the event.
        permit: Option<String>,
    },
}

/// What the recorder answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case", deny_unknown_fields)]
pub enum RecorderReply {
    /// It is in the log.
    Recorded {
        /// Proof for the executor; only a record with a permit has one.
        receipt: Option<Receipt>,
    },
    /// It is not, and why: the disk is full, the log is broken.
    Refused {
        /// What stood in the way.
        why: Untrusted,
    },
}

/// The recorder's proof that the record of a permit is in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// The record's number, from zero, without gaps.
    pub seq: u64,
    /// The record's fingerprint.
    pub fingerprint: Digest,
    /// The digest of the permit that the record names.
    pub permit: Digest,
    /// True when the record was on the disk before the receipt was signed, false when it was only
    /// queued. Signed too, so that the one cannot pass for the other.
    pub durable: bool,
    /// Ed25519 signature (RFC 8032) by the log key over [`Receipt::signed_bytes`], in hexadecimal.
    pub signature: String,
}

impl Receipt {
    /// The bytes that the log key signs: a domain word, the number, the fingerprint, the permit,
    /// and whether it was on the disk.
    pub fn signed_bytes(&self) -> Vec<u8> {
        format!(
            "atf-receipt-v1\n{}\n{}\n{}\n{}\n",
            self.seq,
            self.fingerprint,
            self.permit,
            if self.durable { "durable" } else { "queued" }
        )
        .into_bytes()
    }
}

/// A permit as it travels: the exact signed bytes, and the signature.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedPermit {
    /// The JSON of a [`PermitBody`], byte for byte as signed.
    pub body: String,
    /// Ed25519 signature by the gateway's permit key over `body`, in hexadecimal.
    pub signature: String,
}

/// What a permit says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PermitBody {
    /// The decision that made it; single-use.
    pub decision: DecisionId,
    /// The run that may act.
    pub run: RunId,
    /// The run's cgroup, by which the executor asks the kernel whether it is sealed.
    pub cgroup: CgroupId,
    /// The digest of the compact token that was judged.
    pub token: Digest,
    /// What may be called.
    pub target: Target,
    /// The digest of the tool's approved pin; absent when the target is no tool.
    pub pin: Option<Digest>,
    /// The digest of the arguments, byte for byte as judged.
    pub arguments: Digest,
    /// The revision of the policy that allowed it.
    pub policy: Digest,
    /// The executor's boot nonce: a permit does not outlive the executor that it was made for.
    pub nonce: Digest,
    /// Seconds since the epoch after which it is void.
    pub expires_unix_s: u64,
    /// What the server may ask of the run meanwhile, and what the run answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exchange: Option<Exchange>,
}

/// What the executor is asked. Only the gateway's uid may ask. Tagged from outside: an inner tag
/// makes serde copy the fields first, and a raw value does not survive the copy.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ExecutorRequest {
    /// The boot nonce, please.
    Hello,
    /// The tools whose servers changed them since they were approved.
    Withheld,
    /// What the servers offer besides tools.
    Catalogue,
    /// Act.
    Execute {
        /// What allows it.
        permit: SignedPermit,
        /// The arguments, byte for byte as judged.
        arguments: Box<RawValue>,
        /// What the run answers to the server, as judged.
        answers: Option<Box<Answers>>,
        /// The run's token, for the executor's own check. It goes no further.
        token: String,
        /// That the permit is in the log.
        receipt: Receipt,
    },
}

/// What the executor answers. Tagged from outside, as [`ExecutorRequest`] is.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ExecutorReply {
    /// Changes with each start of the executor.
    Hello {
        /// The nonce that permits must carry.
        nonce: Digest,
    },
    /// The tool answered: an MCP `CallToolResult` object.
    Result {
        /// The object, as JSON.
        result: Box<RawValue>,
    },
    /// The tools that no run is to be told of.
    Withheld {
        /// Their names.
        tools: Vec<ToolName>,
    },
    /// What the servers offer besides tools, all of it: what a run may be told is the gateway's to say.
    Catalogue {
        /// The lists.
        offered: Box<Catalogue>,
    },
    /// The server answered with an error of its own: it refused, or has no such thing.
    Erred {
        /// The JSON-RPC code.
        code: i64,
        /// In its words.
        message: Untrusted,
        /// What it would have had to ask of the run, and may not.
        #[serde(default)]
        missing: Questions,
    },
    /// Nothing was done, for the tool is not what was approved.
    Changed {
        /// For the log alone.
        why: Untrusted,
    },
    /// Nothing was done, and why.
    Refused {
        /// For the log alone.
        why: Untrusted,
    },
    /// Something may have been done, and why it is not known.
    Unknown {
        /// For the log alone.
        why: Untrusted,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_values_cross_the_executors_socket_byte_for_byte() {
        let raw = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
        let arguments = r#"{ "b":1e2, "a":"\u0041" }"#;
        let asked = ExecutorRequest::Execute {
            permit: SignedPermit { body: "{}".to_owned(), signature: String::new() },
            arguments: raw(arguments),
            answers: None,
            token: "a.b.c".to_owned(),
            receipt: Receipt {
                seq: 1,
                fingerprint: Digest::of(b""),
                permit: Digest::of(b"{}"),
                durable: true,
                signature: String::new(),
            },
        };
        let read = serde_json::from_slice(&serde_json::to_vec(&asked).unwrap()).unwrap();
        let ExecutorRequest::Execute { arguments: found, .. } = read else {
            panic!("{read:?}");
        };
        assert_eq!(found.get(), arguments);

        let answered = ExecutorReply::Result { result: raw(arguments) };
        let read = serde_json::from_slice(&serde_json::to_vec(&answered).unwrap()).unwrap();
        let ExecutorReply::Result { result: found } = read else {
            panic!("{read:?}");
        };
        assert_eq!(found.get(), arguments);
        assert!(serde_json::from_str::<ExecutorRequest>(r#"{"hello":1}"#).is_err());
        assert!(serde_json::from_str::<ExecutorRequest>(r#""hello""#).is_ok());
    }
}
