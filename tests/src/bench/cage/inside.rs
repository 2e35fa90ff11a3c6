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
pub(super) const TURNS: usize = 10;
const PER_TURN: usize = 500;

/// What each run may do.
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
pub(super) struct Pair {
    pub(super) with: Batch,
    pub(super) without: Batch,
}

/// The worker in the run, and the one outside.
pub(super) type Workers<'a> = (&'a mut Worker, &'a mut Worker);

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
                turn(cell, (inside, outside), (operation, operation), &mut pairs[at])?;
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
    (inside, outside): Workers<'_>,
    turns: usize,
) -> Result<Vec<Row>> {
    let mut rows = vec![denied_socket(cell, (inside, outside), turns)?];
    cell.deny.seal(run.id, atf_agent::kernel::boot_ns())?;
    for operation in SEALED {
        let pair = refused(cell, (inside, outside), (operation, operation), turns)?;
        rows.push(pair.row_of_denied(&format!("{}, denied by a seal", operation.name())));
    }
    Ok(rows)
}

/// Without BPF LSM the first who is asked is the cgroup's program, when the kernel has made the socket already: to deny it
/// is to destroy it too. What the denial itself adds is what is above that.
fn denied_socket(cell: &Cell, workers: Workers<'_>, turns: usize) -> Result<Row> {
    let operations = (Operation::TcpSocket, Operation::TcpSocketClosed);
    let pair = refused(cell, workers, operations, turns)?;
    let target = Target { added_us: Some(DENIED_US), ..Target::default() };
    let baseline = ("outside, made and closed", pair.without.times_ns);
    Ok(Row::timed("TCP socket(), denied", pair.with.times_ns, baseline, target))
}

/// What is refused inside each time, and beside it what is not, outside.
pub(super) fn refused(
    cell: &Cell,
    (inside, outside): Workers<'_>,
    operations: (Operation, Operation),
    turns: usize,
) -> Result<Pair> {
    let mut pair = Pair::default();
    for _ in 0..turns {
        turn(cell, (inside, outside), operations, &mut pair)?;
    }
    let counts = (pair.with.refused, pair.without.refused);
    ensure!(counts == (pair.with.times_ns.len(), 0), "refused {counts:?} of {operations:?}");
    Ok(pair)
}

/// Some operations of each side, one after the other.
pub(super) fn turn(
    cell: &Cell,
    (inside, outside): Workers<'_>,
    operations: (Operation, Operation),
    pair: &mut Pair,
) -> Result<()> {
    cell.renew(LEASE_MS);
    let sides =
        [(inside, operations.0, &mut pair.with), (outside, operations.1, &mut pair.without)];
    for (worker, operation, batch) in sides {
        let Batch { times_ns, refused } = worker.time(operation, PER_TURN)?;
        batch.times_ns.extend(times_ns);
        batch.refused += refused;
    }
    Ok(())
}

impl Pair {
    /// A row of what was refused inside and allowed outside.
    pub(super) fn row_of_denied(self, name: &str) -> Row {
        let target = Target { p50_us: Some(DENIED_US), ..Target::default() };
        Row::timed(name, self.with.times_ns, ("outside, allowed", self.without.times_ns), target)
    }
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
