//! What makes a run live, and what ends that. Each row begins with the same connection allowed.

use atf_agent::kernel::maps::{Marks, Seals};
use atf_agent::sys::canary::Attempt;
use atf_common::verdict::Denial;
use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;

use crate::cell::{Cell, HOUR_MS, LEASE_MS, Place, lasting};
use crate::unix::listener;

struct Bench {
    cell: Cell,
    run: Place,
    reach: Attempt,
    _gateway: UnixListener,
}

/// A live run and its gateway.
fn bench(name: &str) -> Bench {
    let cell = Cell::up();
    assert!(
        cell.has("connect_unix") || cell.has("unix_stream_connect"),
        "this kernel lets no program see a unix connection"
    );
    let (gateway, reach) = listener(&format!("atf-test-{name}-{}", std::process::id()));
    let run = cell.run("run");
    let marks = Marks::open(&cell.cage.pin_dir).expect("MARKS opens");
    marks.mark(gateway.as_fd(), run.id).expect("marked");
    assert_eq!(run.tries(&reach), 0, "control: the run is live");
    Bench { cell, run, reach, _gateway: gateway }
}

#[test]
fn a_seal_is_latched_until_the_authority_lifts_it() {
    let Bench { cell, run, reach, _gateway } = bench("seal");
    let seals = Seals::open(&cell.cage.pin_dir).expect("the seals open");
    let sealed = || seals.sealed(run.id).expect("readable");
    assert!(!sealed());
    cell.deny.seal(run.id, 1).expect("sealed");
    assert!(sealed());
    assert_eq!(run.tries(&reach), libc::EPERM, "sealed");
    cell.deny.remove(run.id).expect("removed");
    assert!(sealed(), "latched");
    assert_eq!(run.tries(&reach), libc::EPERM, "latched");
    cell.runs.unlatch(run.id).expect("unlatched");
    assert!(!sealed());
    assert_eq!(run.tries(&reach), 0, "released");
    cell.deny.seal(run.id, 2).expect("sealed again");
    assert_eq!(run.tries(&reach), libc::EPERM, "sealed again");
    cell.deny.remove(run.id).expect("removed");
    assert_eq!(run.tries(&reach), libc::EPERM, "latched again");
}

#[test]
fn a_seal_of_one_run_leaves_the_others_alone() {
    let Bench { cell, run, reach, _gateway } = bench("alone");
    let other = cell.run("other");
    cell.deny.seal(other.id, 1).expect("sealed");
    assert_eq!(run.tries(&reach), 0);
}

#[test]
fn a_run_is_denied_when_anything_that_makes_it_live_ends() {
    type Ends = fn(&Cell, &Place);
    let rows: [(&str, Ends, Denial, bool); 4] = [
        ("token", |cell, run| token(cell, run), Denial::TokenExpired, true),
        ("end", |cell, run| end(cell, run), Denial::Ended, true),
        ("lease", |cell, _| cell.renew(0), Denial::LeaseExpired, false),
        ("removed", |cell, run| removed(cell, run), Denial::NotRegistered, true),
    ];
    for (name, ends, denial, sealed) in rows {
        let Bench { cell, run, reach, _gateway } = bench(name);
        let seals = Seals::open(&cell.cage.pin_dir).expect("the seals open");
        assert!(!seals.sealed(run.id).expect("readable"), "{name}: control");
        ends(&cell, &run);
        assert_eq!(seals.sealed(run.id).expect("readable"), sealed, "{name}: for the executor");
        assert_eq!(run.tries(&reach), libc::EPERM, "{name}");
        assert_eq!(crate::count::last_denial(&cell), Some(denial), "{name}");
    }
}

/// Nobody does anything at the deadline: no daemon lives here, and the maps stay as they are.
#[test]
fn a_deadline_passes_by_itself_with_every_daemon_dead() {
    type Ends = fn(&Cell, &Place, u64);
    let rows: [(&str, Ends, Denial); 3] = [
        ("own-token", |cell, run, ms| ending(cell, run, (HOUR_MS, ms)), Denial::TokenExpired),
        ("own-end", |cell, run, ms| ending(cell, run, (ms, HOUR_MS)), Denial::Ended),
        ("own-lease", |cell, _, ms| cell.renew(ms), Denial::LeaseExpired),
    ];
    for (name, ends, denial) in rows {
        let Bench { cell, run, reach, _gateway } = bench(name);
        ends(&cell, &run, DEADLINE_MS);
        let allowed = run.tries(&reach);
        assert_eq!(allowed, 0, "{name}: control: not yet");
        std::thread::sleep(std::time::Duration::from_millis(DEADLINE_MS));
        assert_eq!(run.tries(&reach), libc::EPERM, "{name}");
        assert_eq!(crate::count::last_denial(&cell), Some(denial), "{name}");
    }
}

/// Long enough for the control on a loaded host, and short enough to wait for.
const DEADLINE_MS: u64 = 2_000;

/// Gives the run an end and its token another, in so many milliseconds.
fn ending(cell: &Cell, run: &Place, (end_ms, token_ms): (u64, u64)) {
    let mut ends = lasting(end_ms);
    ends.token_boot_ms = lasting(token_ms).token_boot_ms;
    cell.runs.extend(run.id, ends).expect("extended");
}

#[test]
fn a_renewed_token_and_lease_make_the_run_live_again() {
    let Bench { cell, run, reach, _gateway } = bench("renew");
    token(&cell, &run);
    cell.renew(0);
    assert_eq!(run.tries(&reach), libc::EPERM);
    cell.runs.extend(run.id, lasting(HOUR_MS)).expect("extended");
    assert_eq!(run.tries(&reach), libc::EPERM, "the lease is still out");
    cell.renew(LEASE_MS);
    assert_eq!(run.tries(&reach), 0);
}

#[test]
fn a_nested_cgroup_is_still_the_run() {
    let Bench { cell, run, reach, _gateway } = bench("nested");
    let nested = run.nested("child").nested("grandchild");
    assert_eq!(nested.tries(&reach), 0, "live");
    cell.deny.seal(run.id, 1).expect("sealed");
    assert_eq!(nested.tries(&reach), libc::EPERM, "sealed");
}

fn token(cell: &Cell, run: &Place) {
    let mut ends = lasting(HOUR_MS);
    ends.token_boot_ms = atf_agent::kernel::boot_ms();
    cell.runs.extend(run.id, ends).expect("extended");
}

fn end(cell: &Cell, run: &Place) {
    cell.runs.extend(run.id, lasting(0)).expect("extended");
}

fn removed(cell: &Cell, run: &Place) {
    cell.runs.remove(run.id).expect("removed");
}
