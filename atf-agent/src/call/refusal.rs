//! A step's no: little to the caller, everything to the log.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Untrusted;

/// The steps of the line, in the order in which a call meets them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Strict reading of the JSON-RPC message.
    Receive,
    /// The caller, proven by the kernel, and the token.
    Authenticate,
    /// The tool's pinned schema.
    Schema,
    /// The SQL in the arguments.
    Sql,
    /// The Rego policy.
    Policy,
    /// A person's word, where the policy asks for it.
    Approve,
    /// The caps.
    Reserve,
    /// The record before the act.
    Record,
    /// The executor.
    Execute,
    /// The result on its way back.
    Filter,
}

/// Why a step says no. The codes are stable: callers, policies and alerts may depend on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Reason {
    /// The message is not JSON-RPC as ATF reads it, or names a method that is not known.
    #[serde(rename = "message.invalid")]
    MessageInvalid,
    /// What the run brings back of a server was not given to it for this call.
    #[serde(rename = "message.state")]
    MessageState,
    /// No token, or one whose form, signature, issuer, audience or time is wrong.
    #[serde(rename = "token.invalid")]
    TokenInvalid,
    /// A good token of another run than the one that the kernel attests.
    #[serde(rename = "token.other_run")]
    TokenOtherRun,
    /// The token does not name the tool.
    #[serde(rename = "token.tool_not_named")]
    ToolNotNamed,
    /// The token does not name the prompt, or does not cover the resource.
    #[serde(rename = "token.not_named")]
    NotNamed,
    /// The token names the tool, and the arguments are outside of what it allows of it.
    #[serde(rename = "token.narrowed")]
    TokenNarrowed,
    /// No approved pin for the tool.
    #[serde(rename = "tool.not_pinned")]
    ToolNotPinned,
    /// The tool's server changed it after it was approved, or does not offer it.
    #[serde(rename = "tool.withheld")]
    ToolWithheld,
    /// The arguments do not satisfy the tool's pinned schema.
    #[serde(rename = "schema.arguments")]
    SchemaArguments,
    /// The SQL is not of the allowed statements, tables, columns, functions or size.
    #[serde(rename = "sql.refused")]
    SqlRefused,
    /// The prompt digest of the call is missing or is not the token's.
    #[serde(rename = "policy.prompt_digest")]
    PromptDigest,
    /// The policy denies, is undefined, or failed.
    #[serde(rename = "policy.denied")]
    PolicyDenied,
    /// A value of the arguments comes from where the policy takes none from.
    #[serde(rename = "policy.provenance")]
    Provenance,
    /// The run may have read a secret, and the tool gives what it is told to others.
    #[serde(rename = "policy.secret_to_sink")]
    SecretToSink,
    /// The policy wants a person's word on this call, and nobody has given it yet.
    #[serde(rename = "approval.needed")]
    ApprovalNeeded,
    /// A person said no to this call.
    #[serde(rename = "approval.denied")]
    ApprovalDenied,
    /// The run answers a question that nobody may have asked it.
    #[serde(rename = "policy.answers")]
    AnswersRefused,
    /// A cap would be passed.
    #[serde(rename = "cap.exceeded")]
    CapExceeded,
    /// As many calls as may begin within a span of time have begun.
    #[serde(rename = "cap.calls")]
    CapCalls,
    /// As many calls as may be under way at once are.
    #[serde(rename = "cap.in_flight")]
    CapInFlight,
    /// The tool is not called at this hour.
    #[serde(rename = "cap.hours")]
    CapHours,
    /// More rows are asked for than may still be.
    #[serde(rename = "cap.rows")]
    CapRows,
    /// As many bytes as may be read were read.
    #[serde(rename = "cap.bytes")]
    CapBytes,
    /// No deferred call of this run has that name, or none any more.
    #[serde(rename = "task.unknown")]
    TaskUnknown,
    /// It answers no question that is open, or none any more.
    #[serde(rename = "question.unknown")]
    QuestionUnknown,
    /// The tool's pin lets no call be deferred.
    #[serde(rename = "task.forbidden")]
    TaskForbidden,
    /// The tool's pin has every call deferred.
    #[serde(rename = "task.required")]
    TaskRequired,
    /// The client does not say that it knows of deferred calls.
    #[serde(rename = "task.capability")]
    TaskCapability,
    /// The run is sealed.
    #[serde(rename = "run.sealed")]
    RunSealed,
    /// A part of ATF that the call needs did not answer: recorder, executor.
    #[serde(rename = "atf.unavailable")]
    Unavailable,
    /// The executor refused or failed the permit.
    #[serde(rename = "execute.failed")]
    ExecuteFailed,
    /// The result passes a limit and was withheld.
    #[serde(rename = "result.withheld")]
    ResultWithheld,
}

/// One step's no.
#[must_use = "a refusal has to reach the caller and the log"]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The step that says no.
    pub step: Step,
    /// The stable reason, all that a caller learns by default.
    pub reason: Reason,
    /// What was found, for the log alone. It may quote the caller.
    pub detail: Untrusted,
    /// Seconds after which it is worth asking again, where that is known; the caller learns it.
    pub retry_after_s: Option<u64>,
}

impl Refusal {
    /// A refusal; `detail` is for the log alone.
    pub fn new(step: Step, reason: Reason, detail: impl Into<String>) -> Self {
        Self { step, reason, detail: Untrusted::new(detail), retry_after_s: None }
    }

    /// The same, and worth asking again in `ms` milliseconds, rounded up to seconds.
    pub fn retry_in(self, ms: u64) -> Self {
        Self { retry_after_s: Some(ms.div_ceil(1_000)), ..self }
    }
}

/// The serialized spelling of a unit variant: one source for the wire, the log and the screen.
fn spelling(value: &impl Serialize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => f.write_str(&text),
        _ => Err(fmt::Error),
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        spelling(self, f)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        spelling(self, f)
    }
}
