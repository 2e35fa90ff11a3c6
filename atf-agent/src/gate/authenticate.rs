//! Step 2: whose call it is. The kernel names the run; the token must be that run's own, and must name
//! the tool, the prompt or the resource.

use super::era::Era;
use super::method::Method;
use super::receive::Received;
use super::tool_call::ToolCall;
use crate::audit;
use crate::call::{Caller, Digest, Reason, Refusal, StateKey, Step, ToolName};
use crate::identity::{Claims, Verifier};

/// A request of a caller who is who the token says. Only [`authenticate`] makes one.
#[derive(Debug)]
pub struct Authenticated {
    received: Received,
    caller: Caller,
    claims: Claims,
    token: Digest,
}

/// Checks the token against the caller, and what is called against the token.
///
/// `now_unix_s` is the wall clock in seconds since the epoch.
///
/// # Errors
/// When there is no token, it is not good, it is another run's, or it does not name what is called.
pub fn authenticate(
    received: Received,
    caller: Caller,
    jwt: Option<&str>,
    verifier: &Verifier,
    now_unix_s: u64,
) -> Result<Authenticated, Refusal> {
    let refuse = |reason, detail: String| Err(Refusal::new(Step::Authenticate, reason, detail));
    let Some(jwt) = jwt else {
        return refuse(Reason::TokenInvalid, "no token".to_owned());
    };
    let (claims, token) = match verifier.verify_digested(jwt, now_unix_s) {
        Ok(verified) => verified,
        Err(error) => return refuse(Reason::TokenInvalid, error.to_string()),
    };
    if claims.jti != caller.run {
        let detail = format!("the token is run {}'s, the kernel says {}", claims.jti, caller.run);
        return refuse(Reason::TokenOtherRun, detail);
    }
    if let Some(handle) = received.handle() {
        let detail = format!("{:?} stands for no deferred call of this run", handle.name);
        return refuse(Reason::TaskUnknown, detail);
    }
    if let Some(call) = received.tool_call().filter(|call| !claims.names(call.name())) {
        let detail = format!("the token does not name {}", call.name());
        return refuse(Reason::ToolNotNamed, detail);
    }
    if let Some(ask) = received.ask().filter(|ask| !claims.allows(ask.target())) {
        let detail = format!("the token does not name {}", ask.target());
        return refuse(Reason::NotNamed, detail);
    }
    Ok(Authenticated { received, caller, claims, token })
}

impl Authenticated {
    /// The request.
    pub fn received(&self) -> &Received {
        &self.received
    }

    /// The way in which it is to be answered.
    pub fn era(&self) -> Era {
        self.received.era()
    }

    /// The method.
    pub fn method(&self) -> Method {
        self.received.method()
    }

    /// The tool call, when the method is `tools/call`.
    pub fn tool_call(&self) -> Option<&ToolCall> {
        self.received.tool_call()
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

    /// Whether the token names `tool`.
    pub fn names(&self, tool: &ToolName) -> bool {
        self.claims.names(tool)
    }

    /// The same call with the state that its server gave, taken out of what the run brings.
    ///
    /// # Errors
    /// When it was not given for this call of this run. A call with a state that was not taken out is
    /// refused by [`super::judge`].
    pub fn opened(mut self, key: &StateKey) -> Result<Self, Refusal> {
        self.received.open(key, self.caller)?;
        Ok(self)
    }

    /// Writes what is known now into the call that the log will tell of.
    pub fn describe(&self, call: &mut audit::Call) {
        self.received.describe(call);
        describe_claims(&self.claims, self.token, call);
    }

    pub(super) fn into_parts(self) -> (Received, Claims, Digest) {
        (self.received, self.claims, self.token)
    }
}

/// Writes what a token says into the call that the log will tell of.
pub(super) fn describe_claims(claims: &Claims, token: Digest, call: &mut audit::Call) {
    call.agent = Some(claims.sub.clone());
    call.user = Some(claims.context.parent_user.clone());
    call.task = Some(claims.context.task_id.clone());
    call.token = Some(token);
}
