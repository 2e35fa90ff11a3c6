//! Step 3: the arguments are what the tool's approved pin says, and what the token allows of it.

use std::sync::Arc;

use serde_json::Value;

use super::authenticate::{Authenticated, describe_claims};
use super::json;
use super::method::Method;
use super::pins::{Pin, Pins};
use super::tool_call::ToolCall;
use crate::audit::{self, Rewritten};
use crate::call::{Caller, Digest, Reason, Refusal, Step, ToolName};
use crate::identity::Claims;
use crate::wire::MayDefer;

/// A tool call whose arguments satisfy the pin. Only [`check_schema`] makes one.
#[derive(Debug)]
pub struct WellFormed {
    caller: Caller,
    claims: Claims,
    token: Digest,
    prompt: Option<Digest>,
    call: ToolCall,
    arguments: Value,
    rewritten: Vec<Rewritten>,
    pin: Arc<Pin>,
}

/// Checks the arguments of a tool call against the tool's pin and the token's narrowing.
///
/// # Errors
/// When the request is no tool call, the tool has no pin, or the arguments are not what pin and token say.
pub fn check_schema(authenticated: Authenticated, pins: &Pins) -> Result<WellFormed, Refusal> {
    let refuse = |reason, detail: String| Err(Refusal::new(Step::Schema, reason, detail));
    let caller = authenticated.caller();
    let (received, claims, token) = authenticated.into_parts();
    let (method, prompt) = (received.method(), received.prompt());
    let Some(call) = received.into_tool_call() else {
        let detail = format!("{} is no tool call", method.as_str());
        return refuse(Reason::MessageInvalid, detail);
    };
    let Some(pin) = pins.get(call.name()) else {
        return refuse(Reason::ToolNotPinned, format!("no pin of {}", call.name()));
    };
    let arguments: Value = match json::value(call.arguments().get()) {
        Ok(arguments) => arguments,
        Err(error) => return refuse(Reason::SchemaArguments, error.to_string()),
    };
    let pin = Arc::clone(pin);
    let rewritten = Vec::new();
    let well_formed = WellFormed { caller, claims, token, prompt, call, arguments, rewritten, pin };
    well_formed.holds(pins)?;
    Ok(well_formed)
}

impl WellFormed {
    /// Pin and token, on the arguments as they are now.
    fn holds(&self, pins: &Pins) -> Result<(), Refusal> {
        let Self { claims, token, arguments, pin, .. } = self;
        let refuse = |reason, detail: String| Err(Refusal::new(Step::Schema, reason, detail));
        if let Err(detail) = pin.check(arguments) {
            return refuse(Reason::SchemaArguments, detail);
        }
        let (claimed, bounds) = ((claims, *token), Some(pin.bounds()));
        match pins.fragments().check(claimed, pin.name(), bounds, arguments) {
            Err(detail) => refuse(Reason::TokenNarrowed, detail),
            Ok(()) => Ok(()),
        }
    }

    /// The call with these canonical texts in the place of those that came, which pin and token have to allow as
    /// well.
    pub(super) fn rewritten(
        mut self,
        texts: Vec<(String, String)>,
        pins: &Pins,
    ) -> Result<Self, Refusal> {
        if texts.is_empty() {
            return Ok(self);
        }
        for (argument, text) in texts {
            let refuse = |detail| Refusal::new(Step::Sql, Reason::SqlRefused, detail);
            self.call.put(&argument, &text).map_err(refuse)?;
            let Some(value) = self.arguments.get_mut(&argument) else {
                return Err(refuse(format!("no argument {argument}")));
            };
            let came = Digest::of(value.as_str().unwrap_or_default().as_bytes());
            let sent = Digest::of(text.as_bytes());
            *value = Value::String(text);
            self.rewritten.push(Rewritten { argument: argument.into(), came, sent });
        }
        self.holds(pins)?;
        Ok(self)
    }

    pub(super) fn deferred(&mut self, may_defer: Option<MayDefer>) {
        self.call.deferred(may_defer);
    }

    /// The caller, by the kernel's word.
    pub fn caller(&self) -> Caller {
        self.caller
    }

    /// What the token says.
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// The digest of the compact token.
    pub fn token(&self) -> Digest {
        self.token
    }

    /// The digest of the system prompt that the caller claims to follow.
    pub fn prompt(&self) -> Option<Digest> {
        self.prompt
    }

    /// The tool.
    pub fn tool(&self) -> &ToolName {
        self.pin.name()
    }

    /// The tool's pin.
    pub fn pin(&self) -> &Pin {
        &self.pin
    }

    /// The call as it came, with the bytes of its arguments.
    pub fn tool_call(&self) -> &ToolCall {
        &self.call
    }

    /// The arguments, parsed.
    pub fn arguments(&self) -> &Value {
        &self.arguments
    }

    /// Writes what is known now into the call that the log will tell of.
    pub fn describe(&self, call: &mut audit::Call) {
        call.method = Some(Method::ToolsCall.as_str().into());
        call.prompt = self.prompt;
        self.call.describe(call);
        describe_claims(&self.claims, self.token, call);
        call.pin = Some(self.pin.digest());
        call.rewritten.clone_from(&self.rewritten);
    }
}
