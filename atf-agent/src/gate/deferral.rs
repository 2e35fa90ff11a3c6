//! What a request says of deferred calls (MCP's tasks): that a call may be one, and which one it is about. A run
//! knows them by handles of the gateway's; what a handle stands for, the gateway says.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::act::Checked;
use super::envelope::{self, present};
use super::era::Era;
use super::method::Method;
use super::receive::invalid;
use super::talk::{Said, Talk};
use crate::call::{
    DecisionId, Deferral, Defers, Digest, Questions, Reason, Refusal, Step, ToolName,
};
use crate::wire::MayDefer;

/// The extension of 2026-07-28 by which calls are deferred.
pub const TASKS: &str = "io.modelcontextprotocol/tasks";

/// Longest name of a deferred call in bytes, as a run writes it.
const HANDLE_BYTES_MAX: usize = 128;

/// Largest time to live in milliseconds that is a number to every reader.
const TTL_MS_MAX: u64 = 1 << 53;

/// What a run says of the result of its call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Wanted {
    /// That it wants it now.
    #[default]
    Now,
    /// That it fetches it later (2025-11-25), and for how many milliseconds it is to be kept.
    Later { ttl_ms: Option<u64> },
    /// That it takes a promise of it (2026-07-28).
    Either,
}

/// A deferred call as a request names it.
#[derive(Debug)]
pub struct Handle {
    /// What is asked of it.
    pub asks: Deferral,
    /// The name, as the run writes it.
    pub name: String,
    pub(super) talk: Talk,
    declared: bool,
}

/// A deferred call as the gateway knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    /// The decision that allowed the call.
    pub decision: DecisionId,
    /// The tool that was called.
    pub tool: ToolName,
    /// Its server's own name for it, which no run is told.
    pub task: String,
    /// The tool's pin at that time.
    pub pin: Digest,
    /// The digest of what the token said of the tool's arguments.
    pub narrowing: Digest,
    /// What the server might ask of the run.
    pub questions: Questions,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Params<'a> {
    #[serde(borrow, rename = "taskId")]
    task: Cow<'a, str>,
    #[serde(borrow, default, rename = "inputResponses", deserialize_with = "present")]
    responses: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "_meta", deserialize_with = "present")]
    #[expect(dead_code, reason = "read by AnyParams, which every method shares")]
    meta: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "task", deserialize_with = "present")]
    #[expect(
        dead_code,
        reason = "calls of tools alone are deferred, and the standard has it passed over here"
    )]
    later: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Later {
    #[serde(default)]
    ttl: Option<Value>,
}

#[derive(Deserialize)]
struct Capabilities<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    extensions: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Extensions<'a> {
    #[serde(
        borrow,
        default,
        rename = "io.modelcontextprotocol/tasks",
        deserialize_with = "present"
    )]
    tasks: Option<&'a RawValue>,
}

impl Wanted {
    /// Reads what a `tools/call` says of it; `task` is that member of its parameters. In 2026-07-28 it says
    /// nothing: the standard has it passed over.
    pub(super) fn read(said: Said<'_>, task: Option<&RawValue>) -> Result<Self, Refusal> {
        let later: Option<Later> = match (said.era, task) {
            (_, None) => None,
            (Era::Handshake, Some(task)) => Some(
                envelope::object(task.get()).map_err(|error| invalid(format!("task: {error}")))?,
            ),
            (Era::Stateless, Some(task)) if task.get().starts_with('{') => None,
            (Era::Stateless, Some(_)) => return Err(invalid("task is no object".to_owned())),
        };
        match (said.era, later) {
            (Era::Stateless, _) if declares(said)? => Ok(Self::Either),
            (Era::Stateless, _) | (Era::Handshake, None) => Ok(Self::Now),
            (Era::Handshake, Some(Later { ttl: None })) => Ok(Self::Later { ttl_ms: None }),
            (Era::Handshake, Some(Later { ttl: Some(ttl) })) => match ttl.as_u64() {
                Some(ttl_ms @ 1..=TTL_MS_MAX) => Ok(Self::Later { ttl_ms: Some(ttl_ms) }),
                Some(_) | None => {
                    Err(invalid("the ttl of a task is no whole number of milliseconds".to_owned()))
                }
            },
        }
    }
}

/// Whether the client says that it takes promises.
fn declares(said: Said<'_>) -> Result<bool, Refusal> {
    let wrong = |error| invalid(format!("clientCapabilities: {error}"));
    let Some(capabilities) = said.capabilities else { return Ok(false) };
    let capabilities: Capabilities<'_> = envelope::object(capabilities.get()).map_err(wrong)?;
    let Some(extensions) = capabilities.extensions else { return Ok(false) };
    let extensions: Extensions<'_> = envelope::object(extensions.get()).map_err(wrong)?;
    Ok(extensions.tasks.is_some_and(|tasks| tasks.get().starts_with('{')))
}

impl Handle {
    /// Reads which deferred call a request of `method` is about; `None` for one that is about none.
    pub(super) fn read(
        method: Method,
        params: Option<&RawValue>,
        said: Said<'_>,
    ) -> Result<Option<Self>, Refusal> {
        let Some(asks) = method.deferral() else { return Ok(None) };
        let wrong = |error| invalid(format!("params: {error}"));
        let params =
            params.ok_or_else(|| invalid(format!("{} without params", method.as_str())))?;
        let read: Params<'_> = envelope::object(params.get()).map_err(wrong)?;
        if read.task.len() > HANDLE_BYTES_MAX {
            return Err(invalid(format!("a taskId of more than {HANDLE_BYTES_MAX} bytes")));
        }
        if read.responses.is_some() != (asks == Deferral::Update) {
            return Err(invalid(
                "inputResponses are what tasks/update has, and nothing else".into(),
            ));
        }
        let declared = said.era == Era::Handshake || declares(said)?;
        let name = read.task.into_owned();
        Ok(Some(Self { asks, name, talk: Talk::read(said, params)?, declared }))
    }

    /// What its client has to declare, and whether it does.
    ///
    /// # Errors
    /// When it does not.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        match self.declared {
            true => Ok(()),
            false => {
                let detail = format!("{} without the extension", self.asks.method());
                Err(Refusal::new(Step::Receive, Reason::TaskCapability, detail))
            }
        }
    }
}

impl Begun {
    /// What its server is told of it, as an object of parameters.
    pub(super) fn arguments(&self) -> String {
        json!({ "taskId": self.task }).to_string()
    }
}

/// How the server may defer a call; none of what is no tool call, or is answered now. The run is promised at most
/// `ttl_ms_max`.
///
/// # Errors
/// When the pin wants calls of its tool deferred and this one is not to be, or forbids what the run wants.
pub fn may_defer(checked: &Checked, ttl_ms_max: u64) -> Result<Option<MayDefer>, Refusal> {
    let Checked::Tool(checked) = checked else { return Ok(None) };
    let call = checked.call();
    let refuse = |reason, what: &str| {
        let detail = format!("the pin of {} {what}", call.tool());
        Err(Refusal::new(Step::Schema, reason, detail))
    };
    match (call.tool_call().wanted(), call.pin().defers()) {
        (Wanted::Now | Wanted::Either, Defers::Forbidden) | (Wanted::Now, Defers::Optional) => {
            Ok(None)
        }
        (Wanted::Later { .. }, Defers::Forbidden) => {
            refuse(Reason::TaskForbidden, "lets no call be deferred")
        }
        (Wanted::Now, Defers::Required) => {
            refuse(Reason::TaskRequired, "has every call deferred, and this client takes none")
        }
        (Wanted::Either, Defers::Optional | Defers::Required) => Ok(Some(MayDefer::Allowed)),
        (Wanted::Later { ttl_ms }, Defers::Optional | Defers::Required) => {
            let ttl_ms = ttl_ms.unwrap_or(ttl_ms_max).min(ttl_ms_max);
            Ok(Some(MayDefer::Asked { ttl_ms }))
        }
    }
}
