//! What a run with a loopback of its own pays for TCP, which no other run has.

use std::io;
use std::net::{IpAddr, TcpListener};
use std::thread;

use anyhow::{Result, ensure};

use super::inside::{Pair, TURNS, refused, turn};
use super::operation::{ELSEWHERE, Operation};
use super::worker::Worker;
use crate::bench::Extent;
use crate::bench::report::{Row, Target};
use crate::lab::cell::Cell;
use crate::lab::{Namespace, link};

/// What it may do.
const ALLOWED: [Operation; 2] = [Operation::TcpSocket, Operation::TcpConnect];

/// The most that an allowed operation may take longer, in microseconds.
const ADDED_US: f64 = 1.0;
/// The most that a TCP connection may take of what it takes outside.
const CONNECT_RATIO: f64 = 1.08;

pub(super) fn rows(extent: Extent) -> Result<Vec<Row>> {
    let namespace = Namespace::new()?;
    namespace.within(|| {
        link::up("lo")?;
        link::add_address("lo", IpAddr::V4(*ELSEWHERE.ip()), 32)?;
        somebody_elsewhere()
    })?;
    let cell = Cell::up();
    let run = cell.bridged("bridged", namespace.cookie()?);
    let mut inside = Worker::start(Some(&run.dir), Some(&namespace))?;
    let mut outside = Worker::start(Some(&cell.outside().dir), Some(&namespace))?;
    let turns = extent.of(TURNS);
    let mut rows = Vec::new();
    for operation in ALLOWED {
        let mut pair = Pair::default();
        for _ in 0..turns {
            turn(&cell, (&mut inside, &mut outside), (operation, operation), &mut pair)?;
        }
        ensure!(pair.with.refused + pair.without.refused == 0, "{operation:?} was refused");
        let ratio = (operation == Operation::TcpConnect).then_some(CONNECT_RATIO);
        let added_us = ratio.is_none().then_some(ADDED_US);
        let target = Target { added_us, ratio, ..Target::default() };
        let name = format!("{}, a run with a bridge", operation.name());
        let baseline = ("outside", pair.without.times_ns);
        rows.push(Row::timed(&name, pair.with.times_ns, baseline, target));
    }
    let elsewhere = Operation::TcpConnectElsewhere;
    let pair = refused(&cell, (&mut inside, &mut outside), (elsewhere, elsewhere), turns)?;
    rows.push(pair.row_of_denied(&format!("{}, denied", elsewhere.name())));
    Ok(rows)
}

/// Takes connections at [`ELSEWHERE`] for as long as this process lives.
fn somebody_elsewhere() -> io::Result<()> {
    let listener = TcpListener::bind(ELSEWHERE)?;
    thread::spawn(move || listener.incoming().for_each(drop));
    Ok(())
}
