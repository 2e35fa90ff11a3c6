//! What the executor is asked and answers, and the permit on which it acts.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::super::answers::{Answers, Exchange};
use super::super::catalogue::Catalogue;
use super::super::telling::{MayTell, Told};
use super::Receipt;
use crate::call::{
    CgroupId, DecisionId, Digest, Mac, Questions, RunId, Target, ToolName, Untrusted,
};

/// A permit as it travels: its exact bytes, and their code.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SentPermit {
    /// The JSON of a [`PermitBody`], byte for byte as it was recorded.
    pub body: String,
    /// The code of `body` under the key that the gateway has with the executor.
    pub code: Mac,
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
    /// The executor's public key of this life: a permit does not outlive the executor that it was made for.
    pub nonce: Digest,
    /// Seconds since the epoch after which it is void.
    pub expires_unix_s: u64,
    /// What the server may ask of the run meanwhile, and what the run answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exchange: Option<Exchange>,
    /// What the server may tell the run meanwhile.
    #[serde(default, skip_serializing_if = "MayTell::is_nothing")]
    pub may_tell: MayTell,
    /// How the call may be deferred; none when it may not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub defers: Option<MayDefer>,
    /// The decision of the call that this is about: of a deferred one, or of one whose server has asked something
    /// that this answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub began: Option<DecisionId>,
    /// The policy refused it, and the mode of its tool lets it pass: its record says so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub waived: bool,
}

impl PermitBody {
    /// Whether it is no call of its own, but the answer to what the server of one under way has asked.
    pub fn answers_a_question(&self) -> bool {
        self.began.is_some() && self.target.tool().is_some()
    }
}

/// How a server may answer a call by a promise of its result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum MayDefer {
    /// The run wants it, as 2025-11-25 has it: the result is kept for this many milliseconds.
    Asked {
        /// How many.
        ttl_ms: u64,
    },
    /// The server may, as 2026-07-28 has it.
    Allowed,
}

/// What the executor is asked. Only the gateway's uid may ask. Tagged from outside: an inner tag
/// makes serde copy the fields first, and a raw value does not survive the copy.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ExecutorRequest {
    /// The nonce, please.
    Hello,
    /// The tools whose servers changed them since they were approved.
    Withheld,
    /// What the servers offer besides tools.
    Catalogue,
    /// All that the servers offer and what of it is withheld, as soon as it is another than the one of this
    /// number. The answer may take for ever.
    Watch {
        /// The number; 0 for who knows none.
        seen: u64,
    },
    /// Act.
    Execute {
        /// What allows it.
        permit: SentPermit,
        /// The arguments, byte for byte as judged.
        arguments: Box<RawValue>,
        /// What the run answers to the server, as judged.
        answers: Option<Box<Answers>>,
        /// The run's token, for the executor's own check. It goes no further.
        token: String,
        /// That the permit is in the log.
        receipt: Receipt,
    },
    /// Nobody answers what the server of a call asks.
    Unanswered {
        /// The decision that allowed the call.
        decision: DecisionId,
        /// What is called.
        target: Target,
        /// The executor's number for the question.
        question: u64,
    },
    /// Nobody waits any more for the call of this decision: its server may stop.
    Cancel {
        /// The decision that allowed it.
        decision: DecisionId,
        /// What is called.
        target: Target,
    },
}

/// What the executor answers. Tagged from outside, as [`ExecutorRequest`] is.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ExecutorReply {
    /// Changes with each start of the executor.
    Hello {
        /// The nonce that permits must carry: its public key (X25519), new with each life.
        nonce: Digest,
    },
    /// The tool answered: an MCP `CallToolResult` object.
    Result {
        /// The object, as JSON.
        result: Box<RawValue>,
    },
    /// The server tells something while it works; the answer follows.
    Told {
        /// What.
        told: Told,
    },
    /// That nobody waits, or answers, is known now; the call is answered all the same.
    Cancelled,
    /// The tools that no run is to be told of.
    Withheld {
        /// Their names.
        tools: Vec<ToolName>,
    },
    /// What the servers offer now.
    Offering {
        /// Of this state; no two of one life of the executor have one.
        number: u64,
        /// The tools that no run is to be told of.
        withheld: Vec<ToolName>,
        /// The lists besides tools.
        offered: Box<Catalogue>,
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
    use super::super::ReceiptBody;
    use super::*;

    fn code() -> Mac {
        Mac::from_bytes([7; 32])
    }

    #[test]
    fn raw_values_cross_the_executors_socket_byte_for_byte() {
        let raw = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
        let arguments = r#"{ "b":1e2, "a":"\u0041" }"#;
        let asked = ExecutorRequest::Execute {
            permit: SentPermit { body: "{}".to_owned(), code: code() },
            arguments: raw(arguments),
            answers: None,
            token: "a.b.c".to_owned(),
            receipt: Receipt {
                body: ReceiptBody {
                    seq: 1,
                    fingerprint: Digest::of(b""),
                    permit: Digest::of(b"{}"),
                    durable: true,
                },
                code: code(),
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
