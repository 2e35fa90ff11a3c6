//! What a policy is told of a call, and what it answers.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::act::Checked;
use super::method::Method;
use super::pins::Pin;
use super::provenance::{Sourced, Traced};
use super::sql::SqlFacts;
use crate::call::{
    AgentName, CgroupId, Digest, Notices, PromptName, Questions, ResourceScope, RunId, ToolName,
    Untrusted,
};

/// What the gateway knows besides the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Facts {
    /// What the run has done so far.
    pub counters: Counters,
    /// The wall clock, nanoseconds since the epoch.
    pub now_unix_ns: u64,
}

/// What a run has done so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Counters {
    /// Tool calls that were judged before this one.
    pub calls: u64,
    /// Of these, refused.
    pub refusals: u64,
    /// Cents that are spent or reserved.
    pub spent_cents: u64,
}

/// The policy's `input`.
#[derive(Serialize)]
pub(super) struct Input<'a> {
    caller: CallerFacts,
    identity: IdentityFacts<'a>,
    call: CallFacts<'a>,
    sql: Statements<'a>,
    provenance: ProvenanceFacts<'a>,
    counters: Counters,
    prompt: Option<Digest>,
    time: TimeFacts,
}

#[derive(Serialize)]
struct CallerFacts {
    run: RunId,
    cgroup: CgroupId,
}

#[derive(Serialize)]
struct IdentityFacts<'a> {
    agent: &'a AgentName,
    user: &'a Untrusted,
    task: &'a Untrusted,
    tools: &'a [ToolName],
    prompts: &'a [PromptName],
    resources: &'a [ResourceScope],
    prompt: Digest,
}

/// A tool call names tool and pin, all else what is asked for; both name the server.
#[derive(Serialize)]
#[serde(untagged)]
enum CallFacts<'a> {
    Tool {
        method: &'static str,
        server: &'a str,
        tool: &'a ToolName,
        pin: Digest,
        arguments: &'a RawValue,
        answers: Option<&'a RawValue>,
        sink: bool,
    },
    /// What has no pin is a sink: nobody has said that it is none.
    Ask {
        method: &'static str,
        server: &'a str,
        target: &'a str,
        arguments: &'a RawValue,
        answers: Option<&'a RawValue>,
        sink: bool,
    },
}

#[derive(Serialize)]
struct ProvenanceFacts<'a> {
    values: &'a [Sourced],
    secret_read: bool,
}

#[derive(Serialize)]
struct TimeFacts {
    now_ns: u64,
}

/// The facts of each statement, by the name of its argument.
struct Statements<'a>(&'a [(String, SqlFacts)]);

impl Serialize for Statements<'_> {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.0.iter().map(|(name, facts)| (name, facts)))
    }
}

impl<'a> Input<'a> {
    pub(super) fn of(traced: &'a Traced, facts: Facts) -> Self {
        let checked = traced.checked();
        let (caller, claims, prompt) = checked.who();
        let call = match checked {
            Checked::Tool(checked) => {
                let call = checked.call();
                CallFacts::Tool {
                    method: Method::ToolsCall.as_str(),
                    server: call.tool().split().0,
                    tool: call.tool(),
                    pin: call.pin().digest(),
                    arguments: call.tool_call().arguments(),
                    answers: call.tool_call().talk().responses(),
                    sink: call.pin().is_sink(),
                }
            }
            Checked::Ask(asked) => {
                let (target, arguments) = (asked.ask().target(), asked.ask().arguments());
                CallFacts::Ask {
                    method: asked.method().as_str(),
                    server: target.split().0,
                    target: target.as_str(),
                    arguments,
                    answers: asked.ask().talk().responses(),
                    sink: asked.pin().is_none_or(Pin::is_sink),
                }
            }
        };
        Self {
            caller: CallerFacts { run: caller.run, cgroup: caller.cgroup },
            identity: IdentityFacts {
                agent: &claims.sub,
                user: &claims.context.parent_user,
                task: &claims.context.task_id,
                tools: &claims.entitlements.allowed_tools,
                prompts: &claims.entitlements.reach.prompts,
                resources: &claims.entitlements.reach.resources,
                prompt: claims.prompt_integrity_hash,
            },
            call,
            sql: Statements(checked.statements()),
            provenance: ProvenanceFacts {
                values: traced.values(),
                secret_read: traced.secret_read(),
            },
            counters: facts.counters,
            prompt,
            time: TimeFacts { now_ns: facts.now_unix_ns },
        }
    }
}

/// The policy's answer. A member that is not known is an error, and an error denies: an obligation
/// that is not understood cannot be kept.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Decision {
    pub(super) allow: bool,
    pub(super) reasons: Vec<String>,
    pub(super) obligations: Obligations,
}

/// What has to be done with an allowed call.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Obligations {
    /// Cents to reserve of the run's cap before the call.
    pub reserve_cents: u64,
    /// A person has to say yes to this very call before it is made.
    pub require_approval: bool,
    /// What the server may ask of the run while it works on the call, as far as the token allows it too.
    pub questions: Questions,
    /// What the server may tell the run while it works on the call, as far as the run wants to be told.
    pub notices: Notices,
}
