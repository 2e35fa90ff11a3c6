//! What the policy judges, and then allows: a tool call that kept pin and SQL rules, or something else
//! that a server is asked for, which has no pin and needs the token's word and the policy's.

use std::sync::Arc;

use serde_json::value::RawValue;

use super::ask::Ask;
use super::authenticate::{Authenticated, describe_claims};
use super::deferral::Begun;
use super::method::Method;
use super::pins::{Pin, Pins};
use super::response::Continues;
use super::schema::WellFormed;
use super::sql::SqlFacts;
use super::statement::SqlChecked;
use super::talk::Talk;
use super::wants::Wants;
use crate::audit;
use crate::call::{Caller, Defers, Digest, Reason, Refusal, Step, Target};
use crate::identity::Claims;
use crate::wire::MayDefer;

/// What is asked of a server beside its tools, by a caller whose token names it. Only [`check_ask`]
/// makes one.
#[derive(Debug)]
pub struct Asked {
    caller: Caller,
    claims: Claims,
    token: Digest,
    prompt: Option<Digest>,
    method: Method,
    ask: Box<Ask>,
    /// Of the tool of a deferred call.
    pin: Option<Arc<Pin>>,
}

/// A call of which the policy alone has not heard yet.
#[derive(Debug)]
pub enum Checked {
    /// A tool call.
    Tool(SqlChecked),
    /// Anything else that a server is asked for.
    Ask(Asked),
}

/// The same when the policy allowed it.
#[derive(Debug)]
pub enum Act {
    /// A tool call.
    Tool(WellFormed),
    /// Anything else that a server is asked for.
    Ask(Asked),
}

/// Takes a request for a prompt, a resource or a completion to the policy, or one about a deferred call.
///
/// # Errors
/// When it is none, or the pin of the deferred call's tool or what the token says of it is another now.
pub fn check_ask(authenticated: Authenticated, pins: &Pins) -> Result<Asked, Refusal> {
    let caller = authenticated.caller();
    let (received, claims, token) = authenticated.into_parts();
    let (method, prompt) = (received.method(), received.prompt());
    match received.into_ask() {
        Some(ask) => {
            let pin = ask.begun().map(|begun| same_pin(begun, &claims, pins)).transpose()?;
            Ok(Asked { caller, claims, token, prompt, method, ask, pin })
        }
        None => {
            let detail = format!("{} asks nothing of a server", method.as_str());
            Err(Refusal::new(Step::Schema, Reason::MessageInvalid, detail))
        }
    }
}

/// The pin of the tool that was called, when nothing has changed since by which the call was allowed.
fn same_pin(begun: &Begun, claims: &Claims, pins: &Pins) -> Result<Arc<Pin>, Refusal> {
    let tool = &begun.tool;
    let refuse = |reason, what| {
        Err(Refusal::new(Step::Schema, reason, format!("{what} since {tool} was called")))
    };
    match pins.get(tool) {
        None => refuse(Reason::ToolNotPinned, "the pin has gone"),
        Some(pin) if pin.digest() != begun.pin => {
            refuse(Reason::ToolWithheld, "the pin has changed")
        }
        Some(_) if claims.entitlements.narrowing.digest_of(tool) != begun.narrowing => {
            refuse(Reason::TokenNarrowed, "the token was narrowed")
        }
        Some(pin) => Ok(Arc::clone(pin)),
    }
}

impl Asked {
    /// Writes what is known now into the call that the log will tell of.
    pub fn describe(&self, call: &mut audit::Call) {
        call.method = Some(self.method.as_str().into());
        call.prompt = self.prompt;
        self.ask.describe(call);
        describe_claims(&self.claims, self.token, call);
        call.pin = self.pin.as_ref().map(|pin| pin.digest());
    }

    /// The pin of the tool of a deferred call.
    pub(super) fn pin(&self) -> Option<&Pin> {
        self.pin.as_deref()
    }

    pub(super) fn method(&self) -> Method {
        self.method
    }

    pub(super) fn ask(&self) -> &Ask {
        &self.ask
    }
}

impl From<SqlChecked> for Checked {
    fn from(checked: SqlChecked) -> Self {
        Self::Tool(checked)
    }
}

impl From<Asked> for Checked {
    fn from(asked: Asked) -> Self {
        Self::Ask(asked)
    }
}

impl Checked {
    /// The caller, what the token says, and the prompt digest that the call claims.
    pub(super) fn who(&self) -> (Caller, &Claims, Option<Digest>) {
        match self {
            Self::Tool(checked) => {
                let call = checked.call();
                (call.caller(), call.claims(), call.prompt())
            }
            Self::Ask(asked) => (asked.caller, &asked.claims, asked.prompt),
        }
    }

    /// Whether what the run has seen may speak against it: the pin asks, or there is none.
    pub fn asks(&self) -> bool {
        match self {
            Self::Tool(checked) => checked.call().pin().asks(),
            Self::Ask(asked) => asked.pin().is_none_or(Pin::asks),
        }
    }

    /// Whether the pin wants every call of its tool deferred.
    pub fn defers_all(&self) -> bool {
        match self {
            Self::Tool(checked) => checked.call().pin().defers() == Defers::Required,
            Self::Ask(_) => false,
        }
    }

    /// Says how the server may defer it. Of what is no tool call, nothing can.
    pub fn defers(&mut self, may_defer: Option<MayDefer>) {
        match self {
            Self::Tool(checked) => checked.deferred(may_defer),
            Self::Ask(_) => {}
        }
    }

    /// The facts of the call's SQL, by the name of the argument; what is no tool has none.
    pub(super) fn statements(&self) -> &[(String, SqlFacts)] {
        match self {
            Self::Tool(checked) => checked.facts(),
            Self::Ask(_) => &[],
        }
    }

    pub(super) fn into_act(self) -> Act {
        match self {
            Self::Tool(checked) => Act::Tool(checked.into_call()),
            Self::Ask(asked) => Act::Ask(asked),
        }
    }
}

impl Act {
    /// The caller, by the kernel's word.
    pub fn caller(&self) -> Caller {
        match self {
            Self::Tool(call) => call.caller(),
            Self::Ask(asked) => asked.caller,
        }
    }

    /// What the token says.
    pub fn claims(&self) -> &Claims {
        match self {
            Self::Tool(call) => call.claims(),
            Self::Ask(asked) => &asked.claims,
        }
    }

    /// The digest of the compact token.
    pub fn token(&self) -> Digest {
        match self {
            Self::Tool(call) => call.token(),
            Self::Ask(asked) => asked.token,
        }
    }

    /// What it reaches.
    pub fn target(&self) -> Target {
        match self {
            Self::Tool(call) => Target::Tool(call.tool().clone()),
            Self::Ask(asked) => asked.ask.target().clone(),
        }
    }

    /// The digest of the tool's approved pin; none of what has no pin.
    pub fn pin(&self) -> Option<Digest> {
        match self {
            Self::Tool(call) => Some(call.pin().digest()),
            Self::Ask(asked) => asked.pin().map(Pin::digest),
        }
    }

    /// How the server may defer it.
    pub fn may_defer(&self) -> Option<MayDefer> {
        match self {
            Self::Tool(call) => call.tool_call().may_defer(),
            Self::Ask(_) => None,
        }
    }

    /// The deferred call that it is about.
    pub fn begun(&self) -> Option<&Begun> {
        match self {
            Self::Tool(_) => None,
            Self::Ask(asked) => asked.ask.begun(),
        }
    }

    /// The arguments, byte for byte as judged.
    pub fn arguments(&self) -> &RawValue {
        match self {
            Self::Tool(call) => call.tool_call().arguments(),
            Self::Ask(asked) => asked.ask.arguments(),
        }
    }

    /// The digest of the arguments' bytes.
    pub fn arguments_digest(&self) -> Digest {
        match self {
            Self::Tool(call) => call.tool_call().digest(),
            Self::Ask(asked) => asked.ask.digest(),
        }
    }

    /// What may go to and fro while the server works on it.
    pub(super) fn talk(&self) -> &Talk {
        match self {
            Self::Tool(call) => call.tool_call().talk(),
            Self::Ask(asked) => asked.ask.talk(),
        }
    }

    /// The question of a call under way that it answers.
    pub fn continues(&self) -> Option<&Continues> {
        self.talk().continues()
    }

    /// What the run wants to be told while the server works on it.
    pub fn wants(&self) -> &Wants {
        self.talk().wants()
    }

    /// Whether single arguments are judged: as SQL, by where they come from, or by what the token says of
    /// them. What the run answers a server would go past that.
    pub(super) fn is_judged_by_argument(&self) -> bool {
        let pin = match self {
            Self::Tool(call) => Some(call.pin()),
            Self::Ask(asked) => asked.pin(),
        };
        pin.is_some_and(|pin| {
            let narrowed = self.claims().entitlements.narrowing.of(pin.name());
            !pin.sql().is_empty() || !pin.sensitive().is_empty() || !narrowed.is_empty()
        })
    }

    /// Writes what is known now into the call that the log will tell of.
    pub fn describe(&self, call: &mut audit::Call) {
        match self {
            Self::Tool(tool) => tool.describe(call),
            Self::Ask(asked) => asked.describe(call),
        }
    }
}
