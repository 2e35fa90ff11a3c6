//! Calls that are answered later (MCP's tasks): a server promises a result, and the run asks for it by a handle of
//! the gateway's. Each question is a call of its own, with its own permit.

mod table;
mod told;

use std::sync::Arc;

use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::spawn_blocking;

use super::after::Passed;
use super::runs::LiveRun;
use super::{Gateway, after};
use crate::audit::{Notified, Outcome};
use crate::call::{Reason, Refusal, Step};
use crate::gate::{Authenticated, Checked, Era, Permit, Pins, Received, may_defer};
use crate::wire::MayDefer;

pub(super) use table::{Entry, Names, Table};
pub(super) use told::{answered, begun, message, status};

/// What a call has to do with deferred calls.
pub(super) enum About {
    /// Nothing.
    None,
    /// It may become one.
    May(Admitted),
    /// It is about one.
    Of(Arc<Entry>),
}

impl About {
    /// The deferred call that it is about.
    pub(super) fn entry(&self) -> Option<&Entry> {
        match self {
            Self::Of(entry) => Some(entry),
            Self::None | Self::May(_) => None,
        }
    }
}

/// A place for a call that may be deferred, and what its promise is kept by.
pub(super) struct Admitted {
    place: OwnedSemaphorePermit,
    table: Arc<Table>,
    names: Names,
    ttl_ms_max: u64,
}

/// What is passed on of it.
pub(super) struct Passes {
    /// The result, as the run gets it.
    pub(super) text: Box<RawValue>,
    /// What of it is a tool's own result.
    pub(super) learnt: Option<Box<RawValue>>,
    /// The call that is deferred from now on.
    pub(super) begun: Option<Arc<Entry>>,
}

/// The same request, about the call that its handle stands for in this run.
///
/// # Errors
/// When its client does not say that it knows of deferred calls.
pub(super) fn named(
    run: &LiveRun,
    received: Received,
) -> Result<(Received, Option<Arc<Entry>>), Refusal> {
    let era = received.era();
    let mut found = None;
    let received = received.of_deferred(|handle| {
        found = run.deferred.find(&handle.name, era);
        found.as_ref().map(|entry| entry.begun.clone())
    })?;
    Ok((received, found))
}

/// Says how the call may be deferred, for which it needs a place. One without it is answered at once where pin and
/// client take that too.
///
/// # Errors
/// When pin and client do not agree, or as many calls of the run are deferred as may be.
pub(super) fn admitted(
    gateway: &Gateway,
    run: &LiveRun,
    mut checked: Checked,
    found: Option<Arc<Entry>>,
) -> Result<(Checked, About), Refusal> {
    if let Some(entry) = found {
        return Ok((checked, About::Of(entry)));
    }
    let ttl_ms_max = gateway.settings.task_ttl_ms_max.get();
    let Some(may) = may_defer(&checked, ttl_ms_max)? else { return Ok((checked, About::None)) };
    let Some(place) = run.deferred.place() else {
        let wants_it = matches!(may, MayDefer::Asked { .. });
        return match wants_it || checked.defers_all() {
            false => Ok((checked, About::None)),
            true => {
                let detail = "as many of the run's calls are deferred as may be at once";
                Err(Refusal::new(Step::Reserve, Reason::CapInFlight, detail))
            }
        };
    };
    checked.defers(Some(may));
    let (table, names) = (Arc::clone(&run.deferred), gateway.deferred.clone());
    Ok((checked, About::May(Admitted { place, table, names, ttl_ms_max })))
}

/// `tasks/list`: the run's own, of tools that its token names and whose pin has not changed.
pub(super) fn list(run: &LiveRun, call: &Authenticated, pins: &Pins) -> Value {
    let is_named = |entry: &&Arc<Entry>| {
        let (tool, pin) = (&entry.begun.tool, entry.begun.pin);
        call.names(tool) && pins.get(tool).is_some_and(|now| now.digest() == pin)
    };
    let all = run.deferred.all(Era::Handshake);
    let told: Vec<_> = all.iter().filter(is_named).map(|entry| entry.told()).collect();
    json!({ "tasks": told })
}

/// Settles the call, of which this was told before its result. One that is deferred from now on goes on; one
/// that the log does not have is forgotten, for its run is not told of it.
pub(super) async fn settle(
    run: &LiveRun,
    permit: Permit,
    (outcome, result, told): (&Outcome, &Result<Passed, Refusal>, Option<Notified>),
    is_recorded: bool,
) {
    let result = result.as_ref().ok();
    let bytes = told.map_or(0, |told| told.bytes) + result.map_or(0, Passed::bytes);
    let Some(entry) = result.and_then(Passed::begun) else {
        return after::settle(permit, outcome, bytes).await;
    };
    goes_on(permit, entry, bytes).await;
    if !is_recorded {
        run.deferred.forget(entry.id());
    }
}

/// The call goes on after it was answered, as `entry`: what it took is spent, and its turns are held as long as it is
/// under way.
async fn goes_on(permit: Permit, entry: &Entry, bytes: u64) {
    let reservation = permit.into_reservation();
    let (run, cents) = (reservation.run(), reservation.cents());
    let turns = match reservation.waits() {
        true => spawn_blocking(move || reservation.goes_on(bytes)).await,
        false => Ok(reservation.goes_on(bytes)),
    };
    match turns.map(|turns| turns.and_then(|turns| entry.holds(turns))) {
        Ok(None) => {}
        // It is over already.
        Ok(Some(turns)) => drop(spawn_blocking(move || drop(turns)).await),
        Err(error) => tracing::error!(%error, %run, cents, "a reservation is not settled"),
    }
}
