//! The seal in the kernel alone: from before the entry is written to the first operation that the run
//! sees refused.

use std::thread::sleep;
use std::time::Duration;

use anyhow::Result;
use atf_agent::kernel::boot_ns;

use super::apart::Apart;
use super::operation::Operation;
use super::worker::Worker;
use crate::bench::Extent;
use crate::bench::report::{Row, Target};
use crate::lab::cell::{Cell, LEASE_MS};

const SEALS: usize = 10_000;

/// How often the lease is renewed, in seals: they come far quicker than it runs out.
const RENEWED_EACH: usize = 1_000;

/// How long the run acts before it is sealed; from here on, a little more each time, so that the seal
/// does not always meet the same moment of an operation.
const ACTS: Duration = Duration::from_micros(50);
const STEPS: usize = 64;

/// The most that the slowest of a hundred may take, in microseconds, on an idle core.
const P99_US: f64 = 25.0;

pub(super) fn row(extent: Extent) -> Result<Row> {
    let cell = Cell::up();
    let run = cell.run("run");
    let mut worker = Worker::start(Some(&run.dir), None)?;
    let _apart = Apart::from(&worker)?;
    let operation = Operation::UnixSend;
    let allowed = worker.time(operation, 1_000)?.times_ns;
    let mut times = Vec::new();
    for i in 0..extent.of(SEALS) {
        if i % RENEWED_EACH == 0 {
            cell.renew(LEASE_MS);
        }
        let mut decided = 0;
        let refused = worker.until_refused(operation, || {
            sleep(ACTS + Duration::from_micros((i % STEPS) as u64));
            decided = boot_ns();
            Ok(cell.deny.seal(run.id, decided)?)
        })?;
        times.push(refused.saturating_sub(decided));
        cell.deny.remove(run.id)?;
        cell.runs.unlatch(run.id)?;
    }
    let target = Target { p99_us: Some(P99_US), ..Target::default() };
    Ok(Row::timed(
        "seal: DENY to first refusal",
        times,
        ("unix sendto(), allowed", allowed),
        target,
    ))
}
