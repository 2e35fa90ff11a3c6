//! Unix sockets: a live run may use them, the seal ends that, and on layer B only its own gateway
//! and its own sockets are peers.

use std::os::fd::AsFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};

use atf_agent::kernel::maps::{Marks, Stamps};
use atf_agent::sys::canary::Attempt;
use libc::{AF_NETLINK, AF_PACKET, AF_UNIX, AF_VSOCK, SOCK_DGRAM, SOCK_RAW, SOCK_STREAM};

use crate::cell::Cell;

/// A listener at an abstract name, and the attempt to reach it.
pub(crate) fn listener(name: &str) -> (UnixListener, Attempt) {
    let address = SocketAddr::from_abstract_name(name).expect("a short name");
    let listener = UnixListener::bind_addr(&address).expect("the name is free");
    (listener, Attempt::connect_unix(format!("\0{name}").as_bytes()))
}

#[test]
fn a_run_that_nobody_registered_reaches_no_unix_socket() {
    let cell = Cell::up();
    assert!(cell.has("connect_unix") || cell.has("unix_stream_connect"));
    let (_listener, reach) = listener(&format!("atf-test-stranger-{}", std::process::id()));
    assert_eq!(cell.outside().tries(&reach), 0, "control: outside");
    assert_eq!(cell.unregistered("stranger").tries(&reach), libc::EPERM);
}

#[test]
fn a_datagram_of_a_sealed_run_goes_nowhere() {
    let cell = Cell::up();
    let name = format!("atf-test-datagram-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).expect("a short name");
    let _receiver = UnixDatagram::bind_addr(&address).expect("the name is free");
    let send = Attempt::send_unix(format!("\0{name}").as_bytes());
    let run = cell.run("run");
    // On layer B the receiver is foreign to the run, sealed or not.
    let live = if cell.has("unix_may_send") { libc::EPERM } else { 0 };
    assert_eq!(cell.outside().tries(&send), 0, "control: outside");
    assert_eq!(run.tries(&send), live);
    cell.deny.seal(run.id, 1).expect("sealed");
    assert_eq!(run.tries(&send), libc::EPERM);
}

#[test]
fn a_run_reaches_its_gateway_alone_and_the_gateway_learns_who_called() {
    let cell = Cell::up();
    let (listener, reach) = listener(&format!("atf-test-gateway-{}", std::process::id()));
    let (run, other) = (cell.run("run"), cell.run("other"));
    let marks = Marks::open(&cell.cage.pin_dir).expect("MARKS opens");
    let stamps = Stamps::open(&cell.cage.pin_dir).expect("STAMPS opens or is absent");
    let lsm = cell.has("unix_stream_connect");
    assert_eq!(stamps.is_some(), lsm, "stamps exist with layer B alone");
    let unmarked = if lsm { libc::EPERM } else { 0 };
    assert_eq!(run.tries(&reach), unmarked, "before the mark");
    marks.mark(listener.as_fd(), run.id).expect("marked");
    assert_eq!(run.tries(&reach), 0, "after the mark");
    assert_eq!(other.tries(&reach), unmarked, "another run");
    if let Some(stamps) = stamps {
        let (accepted, _) = listener.accept().expect("one connection is waiting");
        let stamp = stamps.read(accepted.as_fd()).expect("readable");
        assert_eq!(stamp.map(|stamp| stamp.run), Some(run.id.0));
        assert_eq!(cell.outside().tries(&reach), 0);
        let (accepted, _) = listener.accept().expect("one connection is waiting");
        assert_eq!(stamps.read(accepted.as_fd()).expect("readable"), None, "no run called");
    }
}

#[test]
fn a_run_reaches_its_own_sockets_until_it_is_sealed() {
    let cell = Cell::up();
    let run = cell.run("run");
    for kind in [SOCK_STREAM, SOCK_DGRAM, libc::SOCK_SEQPACKET] {
        let meet = Attempt::meet_own(kind);
        assert_eq!(run.tries(&meet), 0, "kind {kind}");
        assert_eq!(cell.unregistered(&format!("stranger{kind}")).tries(&meet), libc::EPERM);
    }
    cell.deny.seal(run.id, 1).expect("sealed");
    for kind in [SOCK_STREAM, SOCK_DGRAM, libc::SOCK_SEQPACKET] {
        assert_eq!(run.tries(&Attempt::meet_own(kind)), libc::EPERM, "kind {kind}");
    }
}

#[test]
fn layer_b_admits_unix_and_route_netlink_sockets_alone() {
    let cell = Cell::up();
    let run = cell.run("run");
    let lsm = cell.has("socket_create");
    for (name, attempt, admitted) in [
        ("unix stream", Attempt::socket(AF_UNIX, SOCK_STREAM, 0), true),
        ("unix datagram", Attempt::socket(AF_UNIX, SOCK_DGRAM, 0), true),
        ("netlink route", Attempt::socket(AF_NETLINK, SOCK_RAW, 0), true),
        ("netlink user", Attempt::socket(AF_NETLINK, SOCK_RAW, 2), false),
        ("packet", Attempt::socket(AF_PACKET, SOCK_RAW, 0), false),
        ("vsock", Attempt::socket(AF_VSOCK, SOCK_STREAM, 0), false),
        ("alg", Attempt::socket(libc::AF_ALG, libc::SOCK_SEQPACKET, 0), false),
    ] {
        let outside = cell.outside().tries(&attempt);
        let expected = if lsm && !admitted { libc::EPERM } else { outside };
        assert_ne!(outside, libc::EPERM, "control: {name} outside");
        assert_eq!(run.tries(&attempt), expected, "{name}");
    }
}
