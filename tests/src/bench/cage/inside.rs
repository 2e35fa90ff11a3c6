//! What a run pays: operations that it may do and operations that it may not, with few and with many
//! runs registered.

use anyhow::{Result, ensure};
use atf_agent::call::CgroupId;

use super::operation::Operation;
use super::worker::{Batch, Worker};
use crate::bench::Extent;
use crate::bench::report::{Row, Target};
use crate::lab::cell::{Cell, HOUR_MS, LEASE_MS, Place, lasting};

/// How many runs are registered, from few to nearly all that the maps hold.
const REGISTERED: [u64; 3] = [1, 1_000, 16_000];

/// Turns, and operations of one turn.
const TURNS: usize = 10;
const PER_TURN: usize = 500;

/// What a run may do.
const ALLOWED: [Operation; 3] =
    [Operation::UnixSocket, Operation::UnixConnect, Operation::UnixSend];

/// What a sealed run may not do any more.
const SEALED: [Operation; 2] = [Operation::UnixConnect, Operation::UnixSend];

/// Ids of registered runs that have no cgroup: to the programs, a run is an entry of the maps.
const FIRST_ID: u64 = 1 << 48;

/// The most that an allowed operation may take longer, and a denied one may take, in microseconds.
const ADDED_US: f64 = 1.0;
const DENIED_US: f64 = 1.0;

/// The most that an operation among many runs may take of what it takes alone.
const GROWTH: f64 = 1.1;

/// One operation, timed in the run and outside.
#[derive(Default)]
struct Pair {
    with: Batch,
    without: Batch,
}

pub(super) fn rows(extent: Extent) -> Result<Vec<Row>> {
    let cell = Cell::up();
    let run = cell.run("run");
    let mut inside = Worker::start(Some(&run.dir), None)?;
    let mut outside = Worker::start(Some(&cell.outside().dir), None)?;
    let mut rows = allowed(&cell, &mut inside, &mut outside, extent.of(TURNS))?;
    rows.extend(denied(&cell, &run, (&mut inside, &mut outside), extent.of(TURNS))?);
    Ok(rows)
}

fn allowed(
    cell: &Cell,
    inside: &mut Worker,
    outside: &mut Worker,
    turns: usize,
) -> Result<Vec<Row>> {
    let mut pairs: Vec<Vec<Pair>> = ALLOWED
        .map(|_| REGISTERED.map(|_| Pair::default()).into_iter().collect())
        .into_iter()
        .collect();
    let mut registered = 1;
    for _ in 0..turns {
        for (at, wanted) in REGISTERED.into_iter().enumerate() {
            register(cell, registered, wanted)?;
            registered = wanted;
            for (operation, pairs) in ALLOWED.into_iter().zip(&mut pairs) {
                turn(cell, (inside, outside), operation, &mut pairs[at])?;
            }
        }
    }
    register(cell, registered, 1)?;
    let mut rows = Vec::new();
    for (operation, pairs) in ALLOWED.into_iter().zip(pairs) {
        let name = operation.name();
        let alone = pairs[0].with.times_ns.clone();
        for (wanted, pair) in REGISTERED.into_iter().zip(pairs) {
            let refused = pair.with.refused + pair.without.refused;
            ensure!(refused == 0, "{name} was refused {refused} times");
            let many = pair.with.times_ns.clone();
            let target = Target { added_us: Some(ADDED_US), ..Target::default() };
            let s = if wanted == 1 { "" } else { "s" };
            let of_runs = format!("{name}, {wanted} run{s}");
            rows.push(Row::timed(
                &of_runs,
                pair.with.times_ns,
                ("outside", pair.without.times_ns),
                target,
            ));
            if REGISTERED.last() == Some(&wanted) {
                let target = Target { ratio: Some(GROWTH), ..Target::default() };
                rows.push(Row::timed(
                    &format!("{name}, growth"),
                    many,
                    ("1 run", alone.clone()),
                    target,
                ));
            }
        }
    }
    Ok(rows)
}

fn denied(
    cell: &Cell,
    run: &Place,
    (inside, outside): (&mut Worker, &mut Worker),
    turns: usize,
) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    let mut row = |cell: &Cell, operation: Operation, what: &str| {
        let mut pair = Pair::default();
        for _ in 0..turns {
            turn(cell, (inside, outside), operation, &mut pair)?;
        }
        let counts = (pair.with.refused, pair.without.refused);
        ensure!(counts == (pair.with.times_ns.len(), 0), "refused {counts:?} of {operation:?}");
        let target = Target { p50_us: Some(DENIED_US), ..Target::default() };
        let name = format!("{}, {what}", operation.name());
        let baseline = ("outside, allowed", pair.without.times_ns);
        rows.push(Row::timed(&name, pair.with.times_ns, baseline, target));
        Ok(())
    };
    row(cell, Operation::TcpSocket, "denied")?;
    cell.deny.seal(run.id, atf_agent::kernel::boot_ns())?;
    for operation in SEALED {
        row(cell, operation, "denied by a seal")?;
    }
    Ok(rows)
}

fn turn(
    cell: &Cell,
    (inside, outside): (&mut Worker, &mut Worker),
    operation: Operation,
    pair: &mut Pair,
) -> Result<()> {
    cell.renew(LEASE_MS);
    for (worker, batch) in [(inside, &mut pair.with), (outside, &mut pair.without)] {
        let Batch { times_ns, refused } = worker.time(operation, PER_TURN)?;
        batch.times_ns.extend(times_ns);
        batch.refused += refused;
    }
    Ok(())
}

/// Changes how many runs are registered; the one with a worker in it is always there.
fn register(cell: &Cell, from: u64, to: u64) -> Result<()> {
    for id in from..to {
        cell.runs.admit(CgroupId(FIRST_ID + id), lasting(HOUR_MS))?;
    }
    for id in to..from {
        cell.runs.remove(CgroupId(FIRST_ID + id))?;
    }
    Ok(())
}
