//! The pure decision as a whole: what a message has to pass before anything is reserved. The line calls
//! the steps one by one, to tell the log how far a call came; a measurement or a checker calls this.

use super::{Authenticated, Facts, Judged, Known, Message, Pins, Policy, Received, Stated};
use super::{authenticate, check_schema, check_sql, judge, trace};
use crate::call::{Caller, Reason, Refusal, Step};
use crate::identity::Verifier;

/// All that a decision depends on besides the call.
#[derive(Clone, Copy)]
pub struct Rules<'a> {
    /// The keys.
    pub verifier: &'a Verifier,
    /// The tools.
    pub pins: &'a Pins,
    /// The policy.
    pub policy: &'a Policy,
    /// What is read at all.
    pub limits: &'a super::Limits,
}

/// Who calls, as the gateway found out.
#[derive(Clone, Copy)]
pub struct Presented<'a> {
    /// By the kernel's word.
    pub caller: Caller,
    /// The token, as it came.
    pub jwt: Option<&'a str>,
    /// The prompt digest of the header, as it came.
    pub prompt: Option<&'a str>,
}

/// Decides on the bytes of one `tools/call` of a run that has seen what is `known`. A call that the policy refuses
/// and its tool's mode lets pass has `waived` its refusal.
///
/// # Errors
/// The refusal of the first step that says no.
pub fn decide(
    bytes: &[u8],
    presented: Presented<'_>,
    rules: Rules<'_>,
    (facts, known): (Facts, &Known),
) -> Result<Judged, Refusal> {
    let received = match Received::read(bytes, rules.limits, &Stated::default())? {
        Message::Request(received) => received.with_prompt_header(presented.prompt)?,
        Message::Notification(..) | Message::Response(_) => {
            let detail = "what is no request is not decided on";
            return Err(Refusal::new(Step::Receive, Reason::MessageInvalid, detail));
        }
    };
    let now_unix_s = facts.now_unix_ns / 1_000_000_000;
    let authenticated: Authenticated =
        authenticate(received, presented.caller, presented.jwt, rules.verifier, now_unix_s)?;
    let well_formed = check_schema(authenticated, rules.pins)?;
    let checked = check_sql(well_formed, rules.pins)?;
    judge(trace(checked, known), rules.policy, facts).1
}
