//! A person's word on a call, where the policy asks for one: asked for before anything is reserved, and taken,
//! for good, right before the permit.

use tokio::task::spawn_blocking;

use super::line::unavailable;
use super::{Gateway, after};
use crate::call::{APPROVAL_ARGUMENTS_BYTES_MAX, DecisionId, Reason, Refusal, Standing, Step};
use crate::gate::Judged;
use crate::kernel;
use crate::state::{ApprovalError, Approvals, Approved, Reservation};

/// Milliseconds after which a caller may ask again whether a person has answered.
const RETRY_MS: u64 = 30_000;

/// Sees to it that nothing further happens to a call that waits for a person's word or was denied. One
/// that nobody was asked about is asked about from now on, as `decision`.
///
/// # Errors
/// When nobody granted the call.
pub(super) async fn granted(
    gateway: &Gateway,
    judged: Judged,
    decision: DecisionId,
) -> Result<Judged, Refusal> {
    if !judged.obligations().require_approval {
        return Ok(judged);
    }
    let bytes = judged.call().arguments().get().len();
    if bytes > APPROVAL_ARGUMENTS_BYTES_MAX {
        let detail = format!(
            "arguments of {bytes} bytes; a person is asked about {APPROVAL_ARGUMENTS_BYTES_MAX} at most"
        );
        return Err(Refusal::new(Step::Approve, Reason::PolicyDenied, detail));
    }
    let (approvals, now) = (gateway.approvals.clone(), kernel::boot_ms());
    let asked = on_a_thread(move || {
        let asked = approvals.ask(&judged.approvable(), decision, now)?;
        Ok((judged, asked))
    });
    let (judged, (known, standing)) = asked.await?;
    let refuse = |reason, word| {
        let detail = format!("the policy wants a person's word; {word}: {known}");
        Refusal::new(Step::Approve, reason, detail)
    };
    match standing {
        Standing::Granted => Ok(judged),
        Standing::Pending => {
            let refusal = refuse(Reason::ApprovalNeeded, "atf approvals grant|deny");
            Err(refusal.retry_in(RETRY_MS))
        }
        Standing::Denied => Err(refuse(Reason::ApprovalDenied, "it was denied")),
    }
}

/// Takes the person's word for a call that needs one; what was reserved is given back when it is gone
/// meanwhile.
///
/// # Errors
/// When another call took it, or its time is over.
pub(super) async fn taken(
    gateway: &Gateway,
    judged: Judged,
    reservation: Reservation,
) -> Result<(Judged, Reservation, Option<Approved>), Refusal> {
    if !judged.obligations().require_approval {
        return Ok((judged, reservation, None));
    }
    let (call, policy) = (judged.call_digest(), judged.policy());
    let (approvals, now): (Approvals, u64) = (gateway.approvals.clone(), kernel::boot_ms());
    match on_a_thread(move || approvals.take(call, policy, now)).await {
        Ok(Some(approved)) => Ok((judged, reservation, Some(approved))),
        Ok(None) => {
            after::refund(reservation).await;
            let detail = "the person's word was used by another call, or its time is over";
            Err(Refusal::new(Step::Approve, Reason::ApprovalNeeded, detail).retry_in(RETRY_MS))
        }
        Err(refusal) => {
            after::refund(reservation).await;
            Err(refusal)
        }
    }
}

/// On a thread that may wait for the disk: those that accept connections and renew the lease never do.
async fn on_a_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ApprovalError> + Send + 'static,
) -> Result<T, Refusal> {
    let failed = |error: &dyn std::fmt::Display| unavailable(Step::Approve, error);
    match spawn_blocking(work).await {
        Ok(Ok(done)) => Ok(done),
        // Of one run, or of all: an honest run waits for its turn.
        Ok(Err(error @ ApprovalError::Full { .. })) => {
            Err(Refusal::new(Step::Approve, Reason::ApprovalNeeded, error.to_string())
                .retry_in(RETRY_MS))
        }
        Ok(Err(error)) => Err(failed(&error)),
        Err(error) => Err(failed(&error)),
    }
}
