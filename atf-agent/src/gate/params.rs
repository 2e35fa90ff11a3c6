//! What is read of parameters, of whatever method they are, and the few members of which ATF acts on the value.

use serde_json::value::RawValue;

use super::envelope::{self, AnyParams, CancelParams, InitializeParams, Meta};
use super::id::Id;
use super::receive::invalid;
use super::revision::Revision;
use super::talk;
use crate::call::{Digest, Questions, Reason, Refusal, Step};

/// The request for which nobody waits. What names none is nothing, as the standard has it.
pub(super) fn cancelled(params: &RawValue) -> Option<Id> {
    let params: CancelParams<'_> = envelope::object(params.get()).ok()?;
    Id::read(params.request?)
}

/// The members of parameters that are read of some method or other.
const MEMBERS: &[&str] = &[
    "name",
    "arguments",
    "_meta",
    "cursor",
    "protocolVersion",
    "uri",
    "ref",
    "argument",
    "context",
    "level",
    "inputResponses",
    "requestState",
    "requestId",
    "notifications",
    "task",
    "taskId",
];

/// The members of `_meta` that ATF reads, of parameters in which none is spelled in another case.
pub(super) fn meta(params: Option<&RawValue>) -> Result<Meta<'_>, Refusal> {
    let Some(params) = params else {
        return Ok(Meta::default());
    };
    let any: AnyParams<'_> =
        envelope::object(params.get()).map_err(|e| invalid(format!("params: {e}")))?;
    variants(params, MEMBERS)?;
    let Some(meta) = any.meta else {
        return Ok(Meta::default());
    };
    variants(meta, &envelope::META)?;
    envelope::object(meta.get()).map_err(|e| invalid(format!("_meta: {e}")))
}

pub(super) fn offered(params: Option<&RawValue>) -> Result<Revision, Refusal> {
    let text = params.map_or("null", RawValue::get);
    let asked: InitializeParams<'_> =
        envelope::object(text).map_err(|e| invalid(format!("initialize: params: {e}")))?;
    Ok(Revision::offered(&asked.revision))
}

/// What a client can answer by its `initialize`. One that says it in a way that is not understood can answer nothing.
pub(super) fn can(params: Option<&RawValue>) -> Questions {
    let asked: Option<InitializeParams<'_>> =
        params.and_then(|params| envelope::object(params.get()).ok());
    let capabilities = asked.and_then(|asked| asked.capabilities);
    capabilities.and_then(|capabilities| talk::can(capabilities).ok()).unwrap_or_default()
}

fn variants(object: &RawValue, known: &[&str]) -> Result<(), Refusal> {
    envelope::case_variant(object.get(), known).map_or(Ok(()), |name| {
        let detail = format!("{name:?} differs from a known member in case alone");
        Err(Refusal::new(Step::Receive, Reason::MessageInvalid, detail))
    })
}

pub(super) fn prompt_digest(text: &str) -> Result<Digest, Refusal> {
    text.parse().map_err(|error| {
        let detail = format!("the prompt digest: {error}");
        Refusal::new(Step::Receive, Reason::PromptDigest, detail)
    })
}
