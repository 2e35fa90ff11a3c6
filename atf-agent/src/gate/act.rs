//! What the policy judges, and then allows: a tool call that kept pin and SQL rules, or something else
//! that a server is asked for, which has no pin and needs the token's word and the policy's.

use serde_json::value::RawValue;

use super::ask::Ask;
use super::authenticate::{Authenticated, describe_claims};
use super::method::Method;
use super::schema::WellFormed;
use super::sql::SqlFacts;
use super::statement::SqlChecked;
use super::talk::Talk;
use super::wants::Wants;
use crate::audit;
use crate::call::{Caller, Digest, Reason, Refusal, Step, Target};
use crate::identity::Claims;

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

/// Takes a request for a prompt, a resource or a completion to the policy.
///
/// # Errors
/// When it is none.
pub fn check_ask(authenticated: Authenticated) -> Result<Asked, Refusal> {
    let caller = authenticated.caller();
    let (received, claims, token) = authenticated.into_parts();
    let (method, prompt) = (received.method(), received.prompt());
    match received.into_ask() {
        Some(ask) => Ok(Asked { caller, claims, token, prompt, method, ask }),
        None => {
            let detail = format!("{} asks nothing of a server", method.as_str());
            Err(Refusal::new(Step::Schema, Reason::MessageInvalid, detail))
        }
    }
}

impl Asked {
    /// Writes what is known now into the call that the log will tell of.
    pub fn describe(&self, call: &mut audit::Call) {
        call.method = Some(self.method.as_str().into());
        call.prompt = self.prompt;
        self.ask.describe(call);
        describe_claims(&self.claims, self.token, call);
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
            Self::Ask(_) => true,
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
            Self::Ask(_) => None,
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

    /// What the run wants to be told while the server works on it.
    pub fn wants(&self) -> &Wants {
        self.talk().wants()
    }

    /// Whether single arguments are judged: as SQL, by where they come from, or by what the token says of
    /// them. What the run answers a server would go past that.
    pub(super) fn is_judged_by_argument(&self) -> bool {
        match self {
            Self::Tool(call) => {
                let narrowed = call.claims().entitlements.narrowing.of(call.tool());
                let pin = call.pin();
                !pin.sql().is_empty() || !pin.sensitive().is_empty() || !narrowed.is_empty()
            }
            Self::Ask(_) => false,
        }
    }

    /// Writes what is known now into the call that the log will tell of.
    pub fn describe(&self, call: &mut audit::Call) {
        match self {
            Self::Tool(tool) => tool.describe(call),
            Self::Ask(asked) => asked.describe(call),
        }
    }
}
