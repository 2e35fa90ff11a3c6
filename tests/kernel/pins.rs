//! Who may open what: each process its own map and no other, without any capability.

use std::thread;

use atf_agent::kernel;
use atf_agent::kernel::events::Events;
use atf_agent::kernel::maps::{Deny, Lease, Marks, Runs, Seals, Stamps};
use rustix::process::{Gid, Uid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use crate::cell::{Cell, HOUR_MS, lasting};

/// Runs `act` on a thread that has this uid and group, and ATF's group, and no capability.
fn as_uid<T: Send>(cell: &Cell, id: u32, act: impl FnOnce() -> T + Send) -> T {
    let (uid, gid) = (Uid::from_raw(id), Gid::from_raw(id));
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            set_thread_groups(&[Gid::from_raw(cell.ids.group)]).expect("root may set groups");
            set_thread_res_gid(gid, gid, gid).expect("root may set the gid");
            set_thread_res_uid(uid, uid, uid).expect("root may set the uid");
            act()
        });
        thread.join().expect("the thread ends well")
    })
}

#[test]
fn a_map_that_its_writer_froze_is_no_proof() {
    use atf_agent::sys::bpf::{self, Access};
    let cell = Cell::up();
    kernel::prove(&cell.cage).expect("control: proven before");
    // On newer kernels whoever may write a map may freeze it; on 6.1 that takes a capability.
    let deny = bpf::open_pin(&cell.cage.pin_dir.join("DENY"), Access::Write).expect("it opens");
    bpf::freeze(std::os::fd::AsFd::as_fd(&deny)).expect("root may freeze");
    let wrong = kernel::prove(&cell.cage).expect_err("a frozen DENY seals nobody");
    assert!(wrong.to_string().contains("DENY is frozen"), "{wrong}");
}

#[test]
fn each_process_writes_its_own_map_and_no_other() {
    let cell = Cell::up();
    let pins = &cell.cage.pin_dir;
    let run = cell.unregistered("run").id;
    let ids = &cell.ids;
    let stranger = ids.pool_first;
    for (uid, authority, gateway, recorder, any) in [
        (ids.authority, true, false, false, true),
        (ids.gateway, false, true, false, true),
        (ids.recorder, false, false, true, true),
        (ids.executor, false, false, false, true),
        (stranger, false, false, false, true),
    ] {
        as_uid(&cell, uid, || {
            assert_eq!(Runs::open(pins).is_ok(), authority, "RUNS as {uid}");
            assert_eq!(Deny::open(pins).is_ok(), gateway, "DENY as {uid}");
            assert_eq!(Lease::open(pins).is_ok(), gateway, "LEASE as {uid}");
            assert_eq!(Marks::open(pins).is_ok(), gateway, "MARKS as {uid}");
            assert_eq!(Events::open(pins).is_ok(), recorder, "EVENTS as {uid}");
            assert_eq!(Seals::open(pins).is_ok(), any, "the seals as {uid}");
            assert_eq!(Stamps::open(pins).is_ok(), any, "the stamps as {uid}");
        });
    }
    as_uid(&cell, ids.authority, || {
        let runs = Runs::open(pins).expect("the authority's");
        runs.admit(run, lasting(HOUR_MS)).expect("admitted without a capability");
    });
    as_uid(&cell, ids.gateway, || {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback is there");
        let marks = Marks::open(pins).expect("the gateway's");
        marks.mark(std::os::fd::AsFd::as_fd(&listener), run).expect("marked without a capability");
        Deny::open(pins).expect("the gateway's").seal(run, 1).expect("sealed");
    });
    let sealed = as_uid(&cell, ids.executor, || {
        Seals::open(pins).expect("the executor's").sealed(run).expect("readable")
    });
    assert!(sealed);
}

#[test]
fn without_atfs_group_nothing_opens() {
    let cell = Cell::up();
    let mut foreign = Cell::up();
    foreign.ids.group = 65_534;
    as_uid(&foreign, cell.ids.gateway, || {
        assert!(Deny::open(&cell.cage.pin_dir).is_err());
        assert!(Seals::open(&cell.cage.pin_dir).is_err());
    });
    as_uid(&cell, cell.ids.gateway, || {
        assert!(Deny::open(&cell.cage.pin_dir).is_ok(), "control: with the group");
    });
}
