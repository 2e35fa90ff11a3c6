//! The loop back into the kernel: refusals are counted, and at the policy's threshold the run is
//! sealed, first in the kernel, then at the gateway's own ends, then in the log. The breaker bounds how
//! many runs a minute that may be.

use std::sync::atomic::Ordering;

use atf_common::mode::Mode;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::Gateway;
use super::account::Asked;
use super::budget::PAUSE;
use super::kernel_side::KernelFault;
use super::runs::LiveRun;
use crate::audit::Event;
use crate::call::{DecisionId, Reason, Refusal, Step, Untrusted};
use crate::kernel;

/// What a refusal led to, to be recorded.
pub(super) enum Seal {
    /// The run was sealed.
    Written {
        decided_boot_ns: u64,
        /// Why the kernel does not have it, or since when it does.
        written_boot_ns: Result<u64, KernelFault>,
        count: u64,
    },
    /// It would have been; the breaker has no room.
    HeldBack { count: u64 },
}

/// Counts a refusal. At the policy's threshold the run is sealed before anything else happens: the
/// record, which waits for a disk, comes after. One that does not count, or no more, may have to wait.
#[must_use = "a seal has to be recorded"]
pub(super) async fn refused(
    gateway: &Gateway,
    run: &LiveRun,
    asked: &Asked,
    refusal: &Refusal,
) -> Option<Seal> {
    let was_sealed = run.is_sealed();
    let speaks = match asked.is_of_unknown_method() {
        true => run.budget.unknown_method(),
        false => counts(refusal.reason),
    };
    if !speaks || was_sealed {
        // A call that was refused for the seal has waited already.
        let waited = refusal.reason == Reason::RunSealed;
        if !waited && (was_sealed || run.budget.refusal()) {
            sleep(PAUSE).await;
        }
        return None;
    }
    let count = run.refusals.fetch_add(1, Ordering::SeqCst) + 1;
    let seal = seal_at_threshold(gateway, run, refusal, count);
    if run.is_held_back() {
        // It is as noisy as a sealed run, and may not fill the log either.
        sleep(PAUSE).await;
    }
    // After the seal, which must not wait for a disk. What is not kept is lost with this process alone.
    let (caps, id) = (gateway.caps.clone(), run.entry.run);
    match spawn_blocking(move || caps.refused(id)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(%error, run = %id, "the count of refusals is not kept"),
        Err(error) => tracing::error!(%error, run = %id, "the count of refusals is not kept"),
    }
    seal
}

fn seal_at_threshold(
    gateway: &Gateway,
    run: &LiveRun,
    refusal: &Refusal,
    count: u64,
) -> Option<Seal> {
    if count < gateway.rules.now().policy.seal_refusals() || run.is_sealed() {
        return None;
    }
    if !gateway.breaker.admits(kernel::boot_ms()) {
        let is_news = run.hold_back();
        return is_news.then_some(Seal::HeldBack { count });
    }
    if !run.seal() {
        return None;
    }
    let decided_boot_ns = kernel::boot_ns();
    let written_boot_ns = seal_at(gateway, run, decided_boot_ns);
    run.connections.shut();
    tracing::warn!(run = %run.entry.run, count, reason = %refusal.reason, "run sealed");
    Some(Seal::Written { decided_boot_ns, written_boot_ns, count })
}

/// Tells the log what a refusal led to, beside the decision itself.
pub(super) async fn tell(
    gateway: &Gateway,
    run: &LiveRun,
    decision: DecisionId,
    refusal: &Refusal,
    seal: Option<Seal>,
) {
    if refusal.reason == Reason::TokenOtherRun {
        let finding = Event::Finding {
            name: "token.other_run".to_owned(),
            run: Some(run.entry.run),
            detail: refusal.detail.clone(),
        };
        gateway.recorder.note(finding).await;
    }
    if let Some(seal) = seal {
        gateway.recorder.note(record_of(gateway, run, decision, refusal, seal)).await;
    }
}

fn record_of(
    gateway: &Gateway,
    run: &LiveRun,
    decision: DecisionId,
    refusal: &Refusal,
    seal: Seal,
) -> Event {
    let why = |count: u64| format!("{count} refusals, the last {}", refusal.reason);
    match seal {
        Seal::Written { decided_boot_ns, written_boot_ns, count } => {
            let mut why = why(count);
            let written_boot_ns = written_boot_ns.unwrap_or_else(|error| {
                why = format!("{why}; sealed in the gateway alone: {error}");
                0
            });
            // What cannot be asked is not told as held.
            let mode = (gateway.kernel.mode)().unwrap_or(Mode::Observe);
            if mode == Mode::Observe {
                why = format!("{why}; held by the gate alone: the kernel only observes");
            }
            Event::Sealed {
                run: run.entry.run,
                cgroup: run.entry.cgroup,
                decision: Some(decision),
                decided_boot_ns,
                written_boot_ns,
                mode,
                why,
            }
        }
        Seal::HeldBack { count } => {
            let most = gateway.settings.seals_per_minute_max;
            let why = why(count);
            Event::Finding {
                name: "seal.held_back".to_owned(),
                run: Some(run.entry.run),
                detail: Untrusted::new(format!(
                    "{why}; {most} runs were sealed within a minute, so this one is not yet"
                )),
            }
        }
    }
}

/// Refuses the call of a sealed run. Where the kernel cannot keep such a run from connecting, it
/// must not fill the log either: each of its calls waits first.
///
/// # Errors
/// When the run is sealed.
pub(super) async fn unsealed(gateway: &Gateway, run: &LiveRun) -> Result<(), Refusal> {
    if !run.is_sealed() {
        return Ok(());
    }
    seal_in_kernel(gateway, run);
    sleep(PAUSE).await;
    let detail = "the run is sealed";
    Err(Refusal::new(Step::Authenticate, Reason::RunSealed, detail))
}

/// Makes a run wait that asks for what it was told often enough, before it is recorded once more.
pub(super) async fn told(run: &LiveRun) {
    if run.budget.told() {
        sleep(PAUSE).await;
    }
}

/// Lifts a run's seal, in the kernel and here.
///
/// # Errors
/// When the kernel's entry cannot be removed; the run stays sealed then.
pub(super) fn release(gateway: &Gateway, run: &LiveRun) -> Result<(), Untrusted> {
    (gateway.kernel.unseal)(run.entry.cgroup).map_err(|e| Untrusted::new(e.to_string()))?;
    run.release();
    // The kernel's entry is gone; a gateway that starts with the old count seals at the next refusal.
    if let Err(error) = gateway.caps.released(run.entry.run) {
        tracing::warn!(%error, run = %run.entry.run, "a release is not kept");
    }
    Ok(())
}

/// Sees to it that a run that is sealed here has its entry in the kernel.
pub(super) fn seal_in_kernel(gateway: &Gateway, run: &LiveRun) {
    let has_entry = (gateway.kernel.sealed)(run.entry.cgroup).unwrap_or(false);
    if has_entry {
        return;
    }
    if let Err(error) = seal_at(gateway, run, kernel::boot_ns()) {
        tracing::error!(run = %run.entry.run, %error, "still sealed in the gateway alone");
    }
}

/// Writes the entry; since when the kernel has it, boot clock, nanoseconds. A failure leaves the run
/// sealed in the gateway, and each of its further calls tries again.
fn seal_at(gateway: &Gateway, run: &LiveRun, decided_boot_ns: u64) -> Result<u64, KernelFault> {
    (gateway.kernel.seal)((run.entry.cgroup, decided_boot_ns))
        .map(|()| kernel::boot_ns())
        .inspect_err(|error| {
            tracing::error!(run = %run.entry.run, %error, "the seal is not in the kernel");
        })
}

/// Whether a refusal speaks against the run. What ATF itself could not do does not.
fn counts(reason: Reason) -> bool {
    match reason {
        Reason::MessageInvalid
        | Reason::MessageState
        | Reason::AnswersRefused
        | Reason::TokenInvalid
        | Reason::TokenOtherRun
        | Reason::ToolNotNamed
        | Reason::NotNamed
        | Reason::TokenNarrowed
        | Reason::ToolNotPinned
        | Reason::SchemaArguments
        | Reason::SqlRefused
        | Reason::PromptDigest
        | Reason::PolicyDenied
        | Reason::Provenance
        | Reason::SecretToSink
        | Reason::ApprovalDenied
        | Reason::CapExceeded
        | Reason::CapHours
        | Reason::CapRows
        | Reason::CapBytes => true,
        // An honest run comes too soon, and its sisters may have taken the turns.
        // Names are random, so that trying them gains nothing, and an honest client asks once too often, or answers
        // too late.
        Reason::CapCalls
        | Reason::TaskUnknown
        | Reason::QuestionUnknown
        | Reason::TaskForbidden
        | Reason::TaskRequired
        | Reason::TaskCapability
        | Reason::CapInFlight
        | Reason::ApprovalNeeded
        | Reason::RunSealed
        | Reason::Unavailable
        | Reason::ToolWithheld
        | Reason::ExecuteFailed
        | Reason::ResultWithheld => false,
    }
}
