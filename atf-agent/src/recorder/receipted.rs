//! What a receipt stands for. The gateway may be lost to an attacker, so a receipt names a permit only
//! when the record says of the call what the permit says.

use crate::audit::{Call, Event, Process, Verdict};
use crate::call::{Digest, Step, Target};
use crate::identity::IdentityError;
use crate::wire::PermitBody;

/// Why a record is not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unfit {
    /// A permit with a record that allows nothing, or from somebody who decides nothing.
    #[error(
        "a permit goes with the gateway's record of a call that is made, found one of {reporter:?}"
    )]
    Apart {
        /// Who sent it.
        reporter: Process,
    },
    /// The text of the permit is none.
    #[error("expected the JSON of a permit: {0}")]
    Text(#[from] serde_json::Error),
    /// The record and the permit are about two things.
    #[error("the record and its permit differ in `{what}`")]
    Differs {
        /// The first field that does.
        what: &'static str,
    },
    /// The nonce of the permit is no executor's.
    #[error("the permit's nonce: {0}")]
    Nonce(#[from] IdentityError),
}

/// What a receipt stands for, and who reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Permitted {
    /// The digest of the permit.
    pub(super) permit: Digest,
    /// The nonce of the executor that it is for.
    pub(super) executor: Digest,
}

/// The permit that a receipt for `event` stands for: none without `permit`, the text of its body.
///
/// # Errors
/// When `permit` is not what `event` allows; such a record is not taken.
pub(super) fn receipted(
    event: &Event,
    reporter: Process,
    permit: Option<&str>,
) -> Result<Option<Permitted>, Unfit> {
    let Some(text) = permit else {
        return Ok(None);
    };
    let (Event::Decided { call, verdict }, Process::Gateway) = (event, reporter) else {
        return Err(Unfit::Apart { reporter });
    };
    let waived = match verdict {
        Verdict::Allowed => false,
        // The policy's no alone can be waived, and the record has to say that it was.
        Verdict::Refused { step: Step::Policy, enforced: false, .. } => true,
        Verdict::Refused { .. } => return Err(Unfit::Apart { reporter }),
    };
    let body: PermitBody = serde_json::from_str(text)?;
    if body.waived != waived {
        return Err(Unfit::Differs { what: "waived" });
    }
    let digest = Digest::of(text.as_bytes());
    match difference(call, &body, digest) {
        Some(what) => Err(Unfit::Differs { what }),
        None => Ok(Some(Permitted { permit: digest, executor: body.nonce })),
    }
}

/// The first field in which the record and the permit are not one.
fn difference(call: &Call, permit: &PermitBody, digest: Digest) -> Option<&'static str> {
    // What the record does not have: the executor alone judges it.
    let PermitBody {
        decision,
        run,
        cgroup,
        token,
        target,
        pin,
        arguments,
        policy,
        nonce: _,
        expires_unix_s: _,
        exchange,
        may_tell: _,
        defers: _,
        began,
        // Compared with the verdict.
        waived: _,
    } = permit;
    let named = match target.tool() {
        Some(_) => call.tool.as_ref(),
        None => call.target.as_ref(),
    };
    let same = [
        ("permit", call.permit == Some(digest)),
        ("decision", call.decision == *decision),
        ("run", call.run == *run),
        ("cgroup", call.cgroup == *cgroup),
        ("token", call.token == Some(*token)),
        ("method", call.method.as_ref().is_some_and(|found| found.raw() == method(target))),
        ("target", named.is_some_and(|found| found.raw() == target.as_str())),
        ("pin", call.pin == *pin),
        ("arguments", call.arguments == Some(*arguments)),
        ("answers", call.answers == exchange.as_ref().and_then(|exchange| exchange.answers)),
        ("began", call.began == *began),
        ("policy", call.policy == Some(*policy)),
    ];
    same.iter().find(|(_, same)| !same).map(|(what, _)| *what)
}

/// The method that reaches such a target.
fn method(target: &Target) -> &'static str {
    match target {
        Target::Tool(_) => "tools/call",
        Target::Prompt(_) => "prompts/get",
        Target::Resource(_) => "resources/read",
        Target::Subscription(_) => "resources/subscribe",
        Target::PromptArgument(_) | Target::TemplateArgument(_) => "completion/complete",
        Target::Deferred(deferred) => deferred.asks.method(),
    }
}
