//! What everybody else pays: INET operations of a process that is in no run, while the cage is up and
//! while there is none.

use anyhow::{Result, ensure};

use super::operation::Operation;
use super::worker::{Batch, Worker};
use crate::bench::Extent;
use crate::bench::report::{Row, Target};
use crate::lab::cell::Cell;
use crate::lab::{Namespace, link};

/// Turns, each with a cage put up and taken down, and operations of one turn.
const TURNS: usize = 10;
const PER_TURN: usize = 500;

const OPERATIONS: [Operation; 3] =
    [Operation::TcpSocket, Operation::TcpConnect, Operation::UdpSend];

/// The most that a TCP connection may take of what it takes without a cage.
const CONNECT_RATIO: f64 = 1.08;
/// The most that an operation may take longer, in microseconds.
const ADDED_US: f64 = 1.0;

pub(super) fn rows(extent: Extent) -> Result<Vec<Row>> {
    let namespace = Namespace::new()?;
    namespace.within(|| link::up("lo"))?;
    let mut worker = Worker::start(None, Some(&namespace))?;
    let mut without = OPERATIONS.map(|_| Batch::default());
    let mut with = OPERATIONS.map(|_| Batch::default());
    for _ in 0..extent.of(TURNS) {
        {
            let _cell = Cell::up();
            all(&mut worker, &mut with)?;
        }
        all(&mut worker, &mut without)?;
    }
    let mut rows = Vec::new();
    for ((operation, with), without) in OPERATIONS.into_iter().zip(with).zip(without) {
        ensure!(with.refused + without.refused == 0, "{operation:?} was refused beside the cage");
        let ratio = (operation == Operation::TcpConnect).then_some(CONNECT_RATIO);
        let target = Target { added_us: Some(ADDED_US), ratio, ..Target::default() };
        let name = format!("{}, beside the cage", operation.name());
        rows.push(Row::timed(&name, with.times_ns, ("no cage", without.times_ns), target));
    }
    Ok(rows)
}

fn all(worker: &mut Worker, batches: &mut [Batch]) -> Result<()> {
    for (operation, batch) in OPERATIONS.into_iter().zip(batches) {
        let Batch { times_ns, refused } = worker.time(operation, PER_TURN)?;
        batch.times_ns.extend(times_ns);
        batch.refused += refused;
    }
    Ok(())
}
