//! Step 6, its beginning: what a judged call draws on, and the reservation of it.

use super::hours;
use super::policy::Judged;
use super::quotas::Whose;
use crate::call::{Reason, Refusal, Step};
use crate::state::{CapError, Caps, Demand, Held, Measure, Reservation};

/// When a call is made, by clocks that nobody sets while the gateway runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Seconds since the epoch: which day it is, and which hour.
    pub unix_s: u64,
    /// Milliseconds of the boot clock.
    pub boot_ms: u64,
}

/// What the call needs of every cap that it draws on. `result_bytes_max` is how much its result can have
/// at most.
///
/// # Errors
/// When the tool may not be called at this hour.
pub fn demand(judged: &Judged, now: Moment, result_bytes_max: u64) -> Result<Demand, Refusal> {
    let (limits, call) = (judged.limits(), judged.call());
    let target = call.target();
    // Of a deferred call the hours and the bytes are its tool's. It was begun once, and holds its place.
    let (tool, of_tool) = (target.tool(), target.of_tool());
    if !hours::open(&limits.hours, of_tool, limits.local(now.unix_s)) {
        let local = limits.local(now.unix_s).map(|local| local.to_rfc3339()).unwrap_or_default();
        let detail = format!("it is {local}, outside of the hours of {target}");
        return Err(Refusal::new(Step::Reserve, Reason::CapHours, detail));
    }
    // The call whose server has asked holds all that it draws on.
    if call.continues().is_some() {
        let (per_run_cents, day) = (limits.per_run_cents, limits.day(now.unix_s));
        return Ok(Demand { per_run_cents, day, now_boot_ms: now.boot_ms, ..Demand::default() });
    }
    let (whose, cents) = (Whose::of(call.claims()), judged.obligations().reserve_cents);
    let mut shares = if cents == 0 { Vec::new() } else { limits.money(call.claims(), cents) };
    if judged.rows() > 0 {
        let rows = limits.rows.iter().filter(|cap| cap.tools.have(tool));
        shares.extend(rows.map(|cap| cap.share(Measure::Rows, whose, judged.rows())));
    }
    let bytes = limits.bytes.iter().filter(|cap| cap.tools.have(of_tool));
    shares.extend(bytes.map(|cap| cap.share(Measure::Bytes, whose, result_bytes_max)));
    let calls = limits.calls.iter().filter(|cap| cap.tools.have(tool));
    let in_flight =
        limits.in_flight.iter().filter(|cap| cap.tools.have(tool) && target.deferral().is_none());
    let paces = calls.map(|cap| cap.pace(whose)).chain(in_flight.map(|cap| cap.pace(whose)));
    Ok(Demand {
        cents,
        per_run_cents: limits.per_run_cents,
        shares,
        paces: paces.collect(),
        day: limits.day(now.unix_s),
        now_boot_ms: now.boot_ms,
    })
}

/// Reserves it, all or nothing.
///
/// # Errors
/// When a cap would be passed, or what would be taken cannot be kept.
pub fn reserve(judged: &Judged, demand: &Demand, caps: &Caps) -> Result<Reservation, Refusal> {
    caps.reserve(judged.call().caller().run, demand).map_err(|error| {
        let (reason, retry_ms) = match &error {
            CapError::Passed { measure: Measure::Cents, .. } => (Reason::CapExceeded, None),
            CapError::Passed { measure: Measure::Rows, .. } => (Reason::CapRows, None),
            CapError::Passed { measure: Measure::Bytes, .. } => (Reason::CapBytes, None),
            CapError::NoTurn { pace, retry_ms } => match pace.held {
                Held::ForMs(_) => (Reason::CapCalls, *retry_ms),
                Held::UntilDone => (Reason::CapInFlight, *retry_ms),
            },
            CapError::Counts(_) => (Reason::Unavailable, None),
        };
        let refusal = Refusal::new(Step::Reserve, reason, error.to_string());
        match retry_ms {
            None => refusal,
            Some(retry_ms) => refusal.retry_in(retry_ms),
        }
    })
}
