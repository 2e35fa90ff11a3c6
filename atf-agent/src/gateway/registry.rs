//! The registry as the authority tells it: which runs live, and for which of them to listen. While
//! the authority is away the live listeners stay; its next snapshot sets right what was missed.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;

use super::listener;
use super::runs::LiveRun;
use super::{Gateway, feedback, notices};
use crate::call::{Named, RunId, Untrusted};
use crate::kernel;
use crate::sys::logins::login_name;
use crate::wire::{AuthorityRequest, FrameError, Registry, RegistryAck, RunEntry, Subscription};

/// First pause before the authority is tried again; it doubles up to the longest.
const PAUSE_MIN: Duration = Duration::from_millis(50);
/// Longest pause: how long a restarted authority may wait for the gateway.
const PAUSE_MAX: Duration = Duration::from_millis(1_000);

/// Follows the registry for ever.
pub(super) async fn follow(gateway: Arc<Gateway>) {
    let mut pause = PAUSE_MIN;
    loop {
        let mut heard = false;
        if let Err(error) = subscribe(&gateway, &mut heard).await {
            tracing::warn!(%error, "the authority is away; live runs go on, none comes or goes");
        }
        pause = if heard { PAUSE_MIN } else { (pause * 2).min(PAUSE_MAX) };
        tokio::time::sleep(pause).await;
    }
}

/// One subscription, until it breaks.
async fn subscribe(gateway: &Arc<Gateway>, heard: &mut bool) -> Result<(), FrameError> {
    let path = gateway.places.authority_socket();
    let mut changes: Subscription<Registry, RegistryAck> =
        Subscription::open(&path, &AuthorityRequest::Subscribe).await?;
    let expected = gateway.ids.authority;
    if changes.peer.uid != expected && changes.peer.uid != 0 {
        let found = changes.peer.uid;
        let why = format!("expected the authority, uid {expected}, or root, found uid {found}");
        return Err(std::io::Error::other(why).into());
    }
    loop {
        let (number, change) = changes.next().await?;
        *heard = true;
        // It may wait for the disk, or compile a policy; who renews the lease does not wait for it.
        let applied = {
            let gateway = Arc::clone(gateway);
            spawn_blocking(move || apply(&gateway, change)).await
        };
        let ack = match applied.map_err(shown).and_then(|applied| applied) {
            Ok(ack) => ack,
            Err(why) => {
                tracing::error!(%why, "a change of the registry is not applied");
                RegistryAck::Failed { why }
            }
        };
        changes.answer(number, &ack).await?;
    }
}

/// Applies one change; when it returns, the change holds.
fn apply(gateway: &Arc<Gateway>, change: Registry) -> Result<RegistryAck, Untrusted> {
    match change {
        Registry::Snapshot { runs } => snapshot(gateway, runs)?,
        Registry::Open { entry, named } => open(gateway, entry, Some(&named))?,
        // Of a run that could not be opened: it cannot call either.
        Registry::Named { run, named } => {
            if let Some(run) = gateway.runs.get(run) {
                run.past.told(&named);
            }
        }
        Registry::Close { run } => {
            if let Some(run) = gateway.runs.remove(run) {
                close(gateway, &run)?;
            }
        }
        Registry::Release { run } => match gateway.runs.get(run) {
            Some(run) => feedback::release(gateway, &run)?,
            None => return Err(Untrusted::new(format!("the run {run} is not live here"))),
        },
        Registry::Reload { revision } => {
            let rules = gateway.rules.reload(Some(revision)).map_err(shown)?;
            notices::reloaded(gateway, &rules);
        }
        Registry::Approvals => {
            let approvals = gateway.approvals.all(kernel::boot_ms()).map_err(shown)?;
            return Ok(RegistryAck::Approvals { approvals });
        }
        Registry::Answer { decision, granted, approver } => {
            let now = kernel::boot_ms();
            if granted {
                let all = gateway.approvals.all(now).map_err(shown)?;
                let waits = all.iter().find(|found| found.decision == decision);
                let login = approver.login_uid.and_then(login_name);
                if let Some(waits) = waits {
                    waits.of.may_be_granted_by(&approver, login.as_deref()).map_err(shown)?;
                }
            }
            gateway.approvals.answer(decision, granted, &approver, now).map_err(shown)?;
        }
        Registry::HeldBack => {
            let held = gateway.runs.all().into_iter().filter(|run| run.is_held_back());
            return Ok(RegistryAck::HeldBack { runs: held.map(|run| run.entry.run).collect() });
        }
    }
    Ok(RegistryAck::Done)
}

/// A run whose socket cannot be made does not keep the others from theirs: it stays unreachable,
/// which is a denial, and the log says why.
fn snapshot(gateway: &Arc<Gateway>, entries: Vec<RunEntry>) -> Result<(), Untrusted> {
    let live: HashSet<RunId> = entries.iter().map(|entry| entry.run).collect();
    let cgroups: HashSet<_> = entries.iter().map(|entry| entry.cgroup).collect();
    for run in gateway.runs.all() {
        if !live.contains(&run.entry.run) {
            gateway.runs.remove(run.entry.run);
            close(gateway, &run)?;
        }
    }
    // Runs that ended while the gateway was away left their counts.
    if let Err(error) = gateway.caps.forget_all_but(|run| live.contains(&run)) {
        tracing::warn!(%error, "the counts of ended runs stay");
    }
    for entry in entries {
        let run = entry.run;
        if let Err(why) = open(gateway, entry, None) {
            tracing::error!(%run, %why, "a live run cannot be served");
        }
    }
    // Entries of runs that ended while the gateway was away would fill the map.
    let sealed = (gateway.kernel.all_sealed)().map_err(shown)?;
    for cgroup in sealed.into_iter().filter(|c| !cgroups.contains(c)) {
        (gateway.kernel.unseal)(cgroup).map_err(shown)?;
    }
    Ok(())
}

/// Listens for a run. A seal in the kernel outlives the gateway, and one that the authority knows
/// is written again; only a release lifts either.
///
/// `named` comes with a run that has done nothing yet.
fn open(gateway: &Arc<Gateway>, entry: RunEntry, named: Option<&Named>) -> Result<(), Untrusted> {
    if let Some(known) = gateway.runs.get(entry.run) {
        if same(&known.entry, &entry) {
            if entry.sealed && known.seal() {
                feedback::seal_in_kernel(gateway, &known);
                known.connections.shut();
            }
            return Ok(());
        }
        gateway.runs.remove(entry.run);
        close(gateway, &known)?;
    }
    let sealed = entry.sealed || (gateway.kernel.sealed)(entry.cgroup).map_err(shown)?;
    let refusals = gateway.caps.refusals(entry.run);
    let run = Arc::new(LiveRun::new(entry, sealed, refusals, &gateway.settings));
    if let Some(named) = named {
        run.past.begins(named);
    }
    if sealed {
        feedback::seal_in_kernel(gateway, &run);
    }
    listener::open(gateway, &run).map_err(shown)?;
    gateway.runs.insert(run);
    Ok(())
}

fn close(gateway: &Gateway, run: &LiveRun) -> Result<(), Untrusted> {
    run.close();
    listener::remove(gateway, run);
    gateway.forget(run.entry.run);
    (gateway.kernel.unseal)(run.entry.cgroup).map_err(shown)
}

/// The same run: the seal is state, and not what tells runs apart.
fn same(known: &RunEntry, told: &RunEntry) -> bool {
    let unsealed = |entry: &RunEntry| RunEntry { sealed: false, ..entry.clone() };
    unsealed(known) == unsealed(told)
}

fn shown(error: impl std::fmt::Display) -> Untrusted {
    Untrusted::new(error.to_string())
}
