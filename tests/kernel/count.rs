//! Every denial is counted once, and every count can be told apart.

use atf_agent::kernel::events::Events;
use atf_agent::sys::canary::Attempt;
use atf_common::limits::EVENT_BURST;
use atf_common::records::VectorState;
use atf_common::vector::Vector;
use atf_common::verdict::Denial;

use crate::cell::{Cell, Place};

/// More than the limiter lets through at once.
const DENIALS: u64 = 48;

/// Takes all events out of the ring and tells why the last operation was denied.
pub(crate) fn last_denial(cell: &Cell) -> Option<Denial> {
    let mut events = Events::open(&cell.cage.pin_dir).expect("EVENTS opens");
    let last = std::iter::from_fn(|| events.next()).last()?;
    Denial::from_number(last.denial.into())
}

#[test]
fn the_counters_of_a_run_add_up() {
    let cell = Cell::up();
    let mut events = Events::open(&cell.cage.pin_dir).expect("EVENTS opens");
    while events.next().is_some() {}
    let run = cell.run("run");
    let (vector, counters) = denied(&cell, &run, |cell| {
        let state = cell.runs.state(run.id).expect("readable").expect("there");
        state.vectors
    });
    assert_eq!((counters.denied, counters.observed), (DENIALS, 0));
    adds_up(&counters);
    let mut rung = 0;
    let mut told = 0;
    while let Some(event) = events.next() {
        if event.run == run.id.0 && event.vector == vector as u32 {
            assert_eq!(Denial::from_number(event.denial.into()), Some(Denial::Forbidden));
            rung += 1;
            told += event.suppressed;
        }
    }
    assert_eq!(rung, counters.events);
    assert!(rung >= u64::from(EVENT_BURST), "{rung} events");
    assert!(counters.suppressed > 0, "the limiter held nothing back");
    assert!(told <= counters.suppressed);
}

/// Processes that are denied at once, and how often each begins anew.
const PROCESSES: u64 = 4;
const TIMES: u64 = 10;

#[test]
fn the_counters_of_each_run_add_up_under_load() {
    let cell = Cell::up();
    let runs = [cell.run("one"), cell.run("other")];
    let tcp = Attempt::socket(libc::AF_INET, libc::SOCK_STREAM, 0);
    let attempts = vec![tcp; DENIALS as usize];
    std::thread::scope(|scope| {
        for run in &runs {
            for _ in 0..PROCESSES {
                scope.spawn(|| {
                    for _ in 0..TIMES {
                        let outcomes = run.tries_all(&attempts);
                        assert!(outcomes.iter().all(|errno| *errno == libc::EPERM));
                    }
                });
            }
        }
    });
    for run in &runs {
        let state = cell.runs.state(run.id).expect("readable").expect("there");
        let denied: u64 = state.vectors.iter().map(|vector| vector.denied).sum();
        assert_eq!(denied, PROCESSES * TIMES * DENIALS, "none is lost, none counted twice");
        state.vectors.iter().for_each(adds_up);
        let suppressed: u64 = state.vectors.iter().map(|vector| vector.suppressed).sum();
        assert!(suppressed > 0, "the limiter held nothing back: there was no load");
    }
}

#[test]
fn what_no_run_did_is_counted_too() {
    let cell = Cell::up();
    let mut events = Events::open(&cell.cage.pin_dir).expect("EVENTS opens");
    while events.next().is_some() {}
    let before = events.lost().expect("readable");
    let stranger = cell.unregistered("stranger");
    let (vector, counters) = denied(&cell, &stranger, |_| events.lost().expect("readable"));
    // The canary of layer B is under no run either.
    let before = before[vector as usize];
    assert_eq!(counters.denied - before.denied, DENIALS);
    adds_up(&counters);
    let rung = std::iter::from_fn(|| events.next()).count() as u64;
    assert_eq!(rung, counters.events - before.events);
}

#[test]
fn what_is_allowed_is_counted_apart() {
    let cell = Cell::up();
    let run = cell.run("run");
    let (_listener, reach) = crate::unix::listener(&format!("atf-count-{}", std::process::id()));
    if !cell.has("connect_unix") {
        return assert!(cell.has("unix_stream_connect"), "no program sees unix connections");
    }
    let lsm = cell.has("unix_stream_connect");
    run.tries_all(&vec![reach; 3]);
    let state = cell.runs.state(run.id).expect("readable").expect("there");
    let connects = state.vectors[Vector::ConnectUnix as usize];
    assert_eq!((connects.allowed, connects.denied), (3, 0));
    let streams = state.vectors[Vector::UnixStreamConnect as usize];
    assert_eq!(streams.denied, if lsm { 3 } else { 0 });
}

/// The counters of the vector that stops a TCP socket, after [`DENIALS`] of them.
fn denied(
    cell: &Cell,
    place: &Place,
    counters: impl FnOnce(&Cell) -> [VectorState; atf_common::vector::VECTORS],
) -> (Vector, VectorState) {
    let socket = Attempt::socket(libc::AF_INET, libc::SOCK_STREAM, 0);
    let outcomes = place.tries_all(&vec![socket; DENIALS as usize]);
    assert!(outcomes.iter().all(|errno| *errno == libc::EPERM));
    let vector = if cell.has("socket_create") { Vector::SocketCreate } else { Vector::SockCreate };
    (vector, counters(cell)[vector as usize])
}

pub(crate) fn adds_up(counters: &VectorState) {
    let sum = counters.events + counters.suppressed + counters.dropped;
    assert_eq!(sum, counters.denied + counters.observed, "{counters:?}");
}
