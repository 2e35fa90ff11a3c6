//! Observe mode: the same programs count and report what they would deny, and let it through. Each row
//! is tried under enforcement too, where it is denied.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::unix::net::UnixListener;
use std::sync::mpsc::Receiver;

use atf_agent::audit;
use atf_agent::enforcer::{self, Seen, UpError, Watch};
use atf_agent::kernel::events::Events;
use atf_agent::kernel::maps::Seals;
use atf_agent::kernel::{self, KernelError, Mode, Posture};
use atf_agent::sys::canary::Attempt;
use atf_agent::wire::{self, Places, RecorderReply, RecorderRequest};
use atf_common::event::Event;
use atf_common::records::VectorState;
use atf_common::vector::Vector;
use atf_common::verdict::Denial;
use libc::{AF_INET, AF_NETLINK, IPPROTO_ICMP, SOCK_DGRAM, SOCK_RAW, SOCK_STREAM};

use crate::cell::{Cell, Place};
use crate::count::adds_up;
use crate::unix::listener;

fn drain(cell: &Cell) -> Vec<Event> {
    let mut events = Events::open(&cell.cage.pin_dir).expect("EVENTS opens");
    std::iter::from_fn(|| events.next()).collect()
}

fn counters(cell: &Cell, place: &Place) -> Vec<VectorState> {
    cell.runs.state(place.id).expect("readable").expect("there").vectors.to_vec()
}

/// Denied and observed of all vectors.
fn sums(counters: &[VectorState]) -> (u64, u64) {
    counters.iter().fold((0, 0), |(denied, observed), vector| {
        (denied + vector.denied, observed + vector.observed)
    })
}

#[test]
fn what_enforcement_denies_passes_under_observation_and_is_recorded() {
    let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback is there");
    let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback is there");
    let (to, datagram): (SocketAddr, SocketAddr) =
        (tcp.local_addr().expect("bound"), udp.local_addr().expect("bound"));
    let (_foreign, foreign) = listener(&format!("atf-test-observe-{}", std::process::id()));
    let rows = [
        ("tcp", Attempt::connect(SOCK_STREAM, to)),
        ("udp", Attempt::send(SOCK_DGRAM, datagram)),
        ("bind", Attempt::bind((Ipv4Addr::LOCALHOST, 0).into())),
        ("raw", Attempt::socket(AF_INET, SOCK_RAW, IPPROTO_ICMP)),
        ("a foreign unix socket", foreign),
        ("netlink of another kind", Attempt::socket(AF_NETLINK, SOCK_RAW, 2)),
    ];
    let (enforcing, observing) = (Cell::up(), Cell::in_mode(Mode::Observe));
    for (number, (name, attempt)) in rows.into_iter().enumerate() {
        assert_eq!(observing.outside().tries(&attempt), 0, "control: {name} outside");
        let (held, seen) =
            (enforcing.run(&format!("run{number}")), observing.run(&format!("run{number}")));
        drop((drain(&enforcing), drain(&observing)));
        let errno = held.tries(&attempt);
        assert_eq!(seen.tries(&attempt), 0, "{name} passes");
        let (denied, observed) = (drain(&enforcing), drain(&observing));
        let of_this = |events: Vec<Event>, id: u64| {
            events.into_iter().filter(|event| event.run == id).collect::<Vec<_>>()
        };
        let (denied, observed) = (of_this(denied, held.id.0), of_this(observed, seen.id.0));
        if denied.is_empty() {
            // Without layer B nothing judges it.
            assert!(!enforcing.has("socket_create") && errno == 0, "{name}");
            assert!(observed.is_empty(), "{name}: {observed:?}");
            continue;
        }
        assert_eq!(errno, libc::EPERM, "{name} is denied");
        assert!(denied.iter().all(|event| event.observed == 0), "{name}: {denied:?}");
        assert!(observed.iter().all(|event| event.observed == 1), "{name}: {observed:?}");
        let told = |event: &Event| (event.vector, event.denial, event.family, event.detail);
        assert_eq!(told(&observed[0]), told(&denied[0]), "{name}");
        let (held, seen) = (counters(&enforcing, &held), counters(&observing, &seen));
        assert!(sums(&held).0 > 0 && sums(&held).1 == 0, "{name}: {:?}", sums(&held));
        assert!(sums(&seen).0 == 0 && sums(&seen).1 > 0, "{name}: {:?}", sums(&seen));
        held.iter().chain(&seen).for_each(adds_up);
    }
}

/// More than the limiter lets through at once.
const OPERATIONS: usize = 48;

#[test]
fn the_counters_of_an_observed_run_add_up_under_load() {
    let cell = Cell::in_mode(Mode::Observe);
    let run = cell.run("run");
    let socket = Attempt::socket(AF_INET, SOCK_STREAM, 0);
    let outcomes = run.tries_all(&vec![socket; OPERATIONS]);
    assert!(outcomes.iter().all(|errno| *errno == 0), "{outcomes:?}");
    let found = counters(&cell, &run);
    found.iter().for_each(adds_up);
    let create = found[Vector::SockCreate as usize];
    assert_eq!((create.allowed, create.denied), (0, 0));
    assert_eq!(create.observed, OPERATIONS as u64);
    assert!(create.suppressed > 0, "the limiter held nothing back");
}

#[test]
fn a_process_of_no_run_passes_and_is_counted_as_observed() {
    let cell = Cell::in_mode(Mode::Observe);
    let lost = || Events::open(&cell.cage.pin_dir).expect("opens").lost().expect("readable");
    let before = lost()[Vector::SockCreate as usize];
    let stranger = cell.unregistered("stranger");
    assert_eq!(stranger.tries(&Attempt::socket(AF_INET, SOCK_STREAM, 0)), 0);
    let after = lost()[Vector::SockCreate as usize];
    assert_eq!(after.observed - before.observed, 1);
    assert_eq!(after.denied, before.denied);
    adds_up(&after);
}

/// A seal is written and latched in either mode; only enforcement holds the run by it.
#[test]
fn a_sealed_run_passes_the_programs_and_not_the_executor_until_the_cage_enforces() {
    let cell = Cell::in_mode(Mode::Observe);
    let run = cell.run("run");
    let socket = Attempt::meet_own(SOCK_STREAM);
    assert_eq!(run.tries(&socket), 0, "control: live");
    cell.deny.seal(run.id, 1).expect("sealed");
    drop(drain(&cell));
    assert_eq!(run.tries(&socket), 0, "observed");
    let told = drain(&cell);
    let sealed = |event: &Event| Denial::from_number(event.denial.into()) == Some(Denial::Sealed);
    assert!(!told.is_empty() && told.iter().all(|e| sealed(e) && e.observed == 1), "{told:?}");
    let seals = Seals::open(&cell.cage.pin_dir).expect("the seals open");
    assert!(seals.sealed(run.id).expect("readable"), "for the executor");
    let mut enforcing = cell.cage.clone();
    enforcing.mode = Mode::Enforce;
    kernel::up(&enforcing, &cell.ids).expect("it enforces from now on");
    assert_eq!(run.tries(&socket), libc::EPERM, "held without another seal");
}

#[test]
fn the_proof_says_which_mode_and_observing_is_no_posture_that_holds() {
    let cell = Cell::in_mode(Mode::Observe);
    assert_eq!((cell.proof.mode, cell.proof.posture), (Mode::Observe, Posture::Observe));
    assert_eq!(kernel::up(&cell.cage, &cell.ids).expect("up again"), cell.proof);
    let report = kernel::probe(&cell.cage);
    assert_eq!(report.posture, Posture::Observe);
    assert!(report.layers >= Posture::Core);
    assert!(report.not_covered.iter().any(|row| row.id == "tcp4"), "{report:?}");
    let mut enforcing = cell.cage.clone();
    enforcing.mode = Mode::Enforce;
    match kernel::prove(&enforcing) {
        Err(KernelError::Mismatch(found)) => assert!(found.concat().contains("only observe")),
        other => panic!("expected a mismatch, found {other:?}"),
    }
}

/// A recorder that takes everything, and what it was told.
fn recorder(places: &Places) -> Receiver<(bool, audit::Event)> {
    let socket = places.recorder_socket();
    std::fs::create_dir_all(socket.parent().expect("it has a parent")).expect("made");
    let listener = UnixListener::bind(&socket).expect("the path is free");
    let (told, heard) = std::sync::mpsc::channel();
    let take = move |mut asked: wire::Server| {
        while let Ok(Some((number, RecorderRequest::Append { event, durable, .. }))) = asked.hear()
        {
            told.send((durable, *event)).expect("the test waits");
            let recorded = RecorderReply::Recorded { receipt: None };
            asked.answer(number, &recorded).expect("the enforcer waits");
        }
    };
    // It serves for as long as the tests run.
    std::thread::spawn(move || wire::serve(&listener, |_| true, take));
    heard
}

#[test]
fn a_cage_that_enforces_observes_only_when_the_log_says_so() {
    let cell = Cell::up();
    let run = cell.run("run");
    let socket = Attempt::socket(AF_INET, SOCK_STREAM, 0);
    let mut observing = cell.cage.clone();
    observing.mode = Mode::Observe;
    let refused = kernel::up(&observing, &cell.ids);
    assert!(matches!(refused, Err(KernelError::Enforces)), "{refused:?}");
    let places = Places { run_dir: "/nonexistent".into(), ..Places::default() };
    let refused = enforcer::up(&observing, &cell.ids, &places);
    assert!(matches!(refused, Err(UpError::Unrecorded { .. })), "{refused:?}");
    assert_eq!(run.tries(&socket), libc::EPERM, "it still enforces");
    // What holds more than it is asked to is proven, and a watch leaves it alone.
    let mut watch = Watch::new(&observing, &cell.ids, &places);
    match watch.look() {
        Seen::Proven(proof) => assert_eq!(proof.mode, Mode::Enforce),
        seen => panic!("expected a proof, saw {seen:?}"),
    }
    std::fs::remove_file(cell.cage.pin_dir.join("links/connect4")).expect("the link is pinned");
    assert!(matches!(watch.look(), Seen::Broken { .. }), "no watch loosens a cage");
    let freeze = run.dir.join("cgroup.freeze");
    assert_eq!(std::fs::read_to_string(&freeze).expect("readable").trim(), "1", "it is frozen");
    std::fs::write(&freeze, "0").expect("thawed");
    assert_eq!(run.tries(&socket), libc::EPERM, "it still enforces");
}

#[test]
fn a_cage_that_the_log_says_so_of_observes_with_its_runs_and_enforces_again() {
    let cell = Cell::up();
    let run = cell.run("run");
    let socket = Attempt::socket(AF_INET, SOCK_STREAM, 0);
    assert_eq!(run.tries(&socket), libc::EPERM, "control: it enforces");
    let mut observing = cell.cage.clone();
    observing.mode = Mode::Observe;
    let home = tempfile::tempdir().expect("a temporary directory");
    let places = Places { run_dir: home.path().to_owned(), ..Places::default() };
    let heard = recorder(&places);
    let proof = enforcer::up(&observing, &cell.ids, &places).expect("loosened");
    assert_eq!(proof.mode, Mode::Observe);
    match heard.try_recv().expect("the recorder was told before") {
        (true, audit::Event::Finding { name, detail, .. }) => {
            assert_eq!(name, "cage.loosened");
            assert!(detail.raw().contains("runs: 1"), "{detail}");
        }
        told => panic!("expected a finding on the disk, was told {told:?}"),
    }
    assert_eq!(run.tries(&socket), 0, "the same run passes");
    assert_eq!(cell.runs.all().expect("readable"), [run.id], "the same maps");
    enforcer::up(&cell.cage, &cell.ids, &places).expect("enforced");
    assert_eq!(run.tries(&socket), libc::EPERM, "and is held again");
    assert!(heard.try_recv().is_err(), "holding more needs no word of the log");
}
