//! The one exception of layer A: TCP on the loopback of a network that is the run's own.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd as _, OwnedFd};

use atf_agent::sys::canary::Attempt;
use atf_agent::sys::network;
use atf_tests::lab::{Namespace, link};
use libc::{
    AF_INET, AF_INET6, IPPROTO_ICMP, IPPROTO_MPTCP, IPPROTO_SCTP, IPPROTO_UDPLITE, SOCK_DGRAM,
    SOCK_RAW, SOCK_SEQPACKET, SOCK_STREAM,
};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, eth, recv, socket_with};

use crate::cell::{Cell, Place};

/// An address of the network's own that is none of the loopback's.
const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 7);

/// A network with the loopback interface up, and an address on it that is not the loopback's.
fn network() -> Namespace {
    let network = Namespace::new().expect("these tests need root");
    let ready = network.within(|| {
        link::up("lo")?;
        link::add_address("lo", ELSEWHERE.into(), 32)
    });
    ready.expect("the loopback comes up");
    network
}

/// What listens in a network.
struct Services {
    tcp4: TcpListener,
    tcp6: TcpListener,
    elsewhere: TcpListener,
    udp4: UdpSocket,
}

impl Services {
    fn open() -> io::Result<Self> {
        Ok(Self {
            tcp4: TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?,
            tcp6: TcpListener::bind((Ipv6Addr::LOCALHOST, 0))?,
            elsewhere: TcpListener::bind((ELSEWHERE, 0))?,
            udp4: UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?,
        })
    }
}

fn at(listener: &TcpListener) -> SocketAddr {
    listener.local_addr().expect("it is bound")
}

fn mapped(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(four) => (four.ip().to_ipv6_mapped(), four.port()).into(),
        six => six,
    }
}

/// What a run with a loopback may do on it.
fn own(services: &Services) -> Vec<(&'static str, Attempt)> {
    let (four, six) = (at(&services.tcp4), at(&services.tcp6));
    vec![
        ("tcp4", Attempt::connect(SOCK_STREAM, four)),
        ("tcp6", Attempt::connect(SOCK_STREAM, six)),
        ("v4-mapped", Attempt::connect(SOCK_STREAM, mapped(four))),
        ("bind 127.0.0.1", Attempt::bind((Ipv4Addr::LOCALHOST, 0).into())),
        ("bind 127.9.9.9", Attempt::bind((Ipv4Addr::new(127, 9, 9, 9), 0).into())),
        ("bind ::1", Attempt::bind((Ipv6Addr::LOCALHOST, 0).into())),
        ("talk on 127.0.0.1", Attempt::talk((Ipv4Addr::LOCALHOST, 0).into())),
        ("talk on ::1", Attempt::talk((Ipv6Addr::LOCALHOST, 0).into())),
        ("talk v4-mapped", Attempt::talk(mapped((Ipv4Addr::LOCALHOST, 0).into()))),
    ]
}

/// What it may not, although it works there.
fn never(services: &Services) -> Vec<(&'static str, Attempt)> {
    let (four, udp) = (at(&services.tcp4), services.udp4.local_addr().expect("it is bound"));
    let elsewhere = at(&services.elsewhere);
    let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, four.port()));
    let any6 = SocketAddr::from((Ipv6Addr::UNSPECIFIED, four.port()));
    vec![
        ("tcp elsewhere", Attempt::connect(SOCK_STREAM, elsewhere)),
        ("v4-mapped elsewhere", Attempt::connect(SOCK_STREAM, mapped(elsewhere))),
        ("tcp to 0.0.0.0", Attempt::connect(SOCK_STREAM, any)),
        ("bind elsewhere", Attempt::bind((ELSEWHERE, 0).into())),
        ("bind 0.0.0.0", Attempt::bind((Ipv4Addr::UNSPECIFIED, 0).into())),
        ("bind ::", Attempt::bind((Ipv6Addr::UNSPECIFIED, 0).into())),
        ("bind v4-mapped elsewhere", Attempt::bind(mapped((ELSEWHERE, 0).into()))),
        ("tcp to ::, which is ::1", Attempt::connect(SOCK_STREAM, any6)),
        ("udp", Attempt::send(SOCK_DGRAM, udp)),
        ("udp connected", Attempt::connect(SOCK_DGRAM, udp)),
        ("udp-lite", Attempt::socket(AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE)),
        ("mptcp", Attempt::connect(SOCK_STREAM, four).with_protocol(IPPROTO_MPTCP)),
        ("sctp", Attempt::socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP)),
        ("sctp message", Attempt::socket(AF_INET6, SOCK_SEQPACKET, IPPROTO_SCTP)),
        ("raw", Attempt::socket(AF_INET, SOCK_RAW, IPPROTO_ICMP)),
        ("raw tcp", Attempt::socket(AF_INET, SOCK_RAW, libc::IPPROTO_TCP)),
        ("raw6", Attempt::socket(AF_INET6, SOCK_RAW, 58)),
        ("packet", Attempt::socket(libc::AF_PACKET, SOCK_RAW, 0)),
    ]
}

/// Whether the kernel has it at all: one without SCTP refuses it by itself, and proves nothing.
fn works(outcome: i32) -> bool {
    outcome == 0
}

/// The outcomes of attempts by a place, in a network.
fn tried(network: &Namespace, place: &Place, attempts: &[(&'static str, Attempt)]) -> Vec<i32> {
    let only: Vec<Attempt> = attempts.iter().map(|(_, attempt)| attempt.clone()).collect();
    network.within(|| Ok(place.tries_all(&only))).expect("the network can be entered")
}

#[test]
fn a_run_with_a_loopback_has_tcp_on_it_and_nothing_else() {
    let cell = Cell::up();
    let network = network();
    let services = network.within(Services::open).expect("it has both loopbacks");
    let run = cell.bridged("run", network.cookie().expect("Linux 5.14"));
    let (own, never) = (own(&services), never(&services));
    for ((name, _), outcome) in own.iter().zip(tried(&network, &cell.outside(), &own)) {
        assert_eq!(outcome, 0, "control: {name} outside");
    }
    for ((name, _), outcome) in own.iter().zip(tried(&network, &run, &own)) {
        assert_eq!(outcome, 0, "{name}");
    }
    let without = tried(&network, &cell.outside(), &never);
    let (mut shown, within) = (0, tried(&network, &run, &never));
    for (((name, _), without), within) in never.iter().zip(without).zip(within) {
        shown += usize::from(works(without));
        // Only layer B sees packet sockets.
        let open = *name == "packet" && !cell.has("socket_create");
        assert!(within != 0 || open, "{name}");
        assert!(within == libc::EPERM || !works(without) || open, "{name}: {within}");
    }
    assert!(shown >= 14, "control: {shown} work outside");
}

#[test]
fn nobody_else_has_a_loopback_and_a_run_has_no_other_network() {
    let cell = Cell::up();
    let (network, other) = (network(), network());
    let services = network.within(Services::open).expect("it has both loopbacks");
    let there = other.within(Services::open).expect("and so has the other");
    let cookie = network.cookie().expect("Linux 5.14");
    let run = cell.bridged("run", cookie);
    let nested = run.nested("child");
    let (own, elsewhere) = (own(&services), own(&there));
    for ((name, _), outcome) in own.iter().zip(tried(&network, &nested, &own)) {
        assert_eq!(outcome, 0, "control: {name} in a child of the run's cgroup");
    }
    for (who, place, network, attempts) in [
        ("a run without a loopback", &cell.run("plain"), &network, &own),
        ("a run of another network", &cell.bridged("strange", cookie + 7_000_000), &network, &own),
        ("nobody", &cell.unregistered("nobody"), &network, &own),
        ("the run, in another network", &run, &other, &elsewhere),
    ] {
        for ((name, _), outcome) in attempts.iter().zip(tried(network, place, attempts)) {
            assert_eq!(outcome, libc::EPERM, "{name} by {who}");
        }
    }
}

/// The attack: a privileged process of a run puts another mark on a socket. Of its layer A knows then nothing any
/// more; what layer B's stamp says, no privilege changes.
#[test]
fn a_socket_with_another_mark_is_not_the_runs() {
    let cell = Cell::up();
    let network = network();
    let services = network.within(Services::open).expect("it has both loopbacks");
    let cookie = network.cookie().expect("Linux 5.14");
    let (run, other) = (cell.bridged("run", cookie), cell.bridged("other", cookie + 7_000_000));
    let brand = |place: &Place| atf_common::loopback::brand(place.id.0);
    let of_stamp = if cell.has("socket_create") { 0 } else { libc::EPERM };
    let attempts = [
        Attempt::connect(SOCK_STREAM, at(&services.tcp4)),
        Attempt::connect(SOCK_STREAM, at(&services.tcp6)),
        Attempt::bind((Ipv4Addr::LOCALHOST, 0).into()),
    ];
    for (name, mark, expected) in
        [("its own", brand(&run), 0), ("none", 0, of_stamp), ("another's", brand(&other), of_stamp)]
    {
        let with: Vec<_> =
            attempts.iter().map(|attempt| (name, attempt.clone().with_mark(mark))).collect();
        assert_eq!(tried(&network, &run, &with), [expected; 3], "{name}");
        assert_eq!(tried(&network, &cell.outside(), &with), [0; 3], "control: {name}, outside");
        let denied = tried(&network, &other, &with);
        assert_eq!(denied, [libc::EPERM; 3], "{name}, a run whose network is another");
    }
}

/// The attack, or the mistake: `RUNS` says that the host's own network is a run's.
#[test]
fn the_hosts_first_network_is_nobodys_whatever_the_map_says() {
    let cell = Cell::up();
    let here = network::cookie().expect("Linux 5.14").get();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback is there");
    let attempt = Attempt::connect(SOCK_STREAM, at(&listener));
    assert_eq!(cell.outside().tries(&attempt), 0, "control: outside");
    let outcome = cell.bridged("run", here).tries(&attempt);
    // In a container's network the map is believed; there it is the authority that refuses its own.
    let expected = if is_the_first() { libc::EPERM } else { 0 };
    assert_eq!(outcome, expected, "the network here is {here}");
}

/// Whether this process is in the network that the kernel has booted with: its own threads are.
fn is_the_first() -> bool {
    let network = |of: &str| fs::read_link(format!("/proc/{of}/ns/net")).ok();
    let is_kernel = fs::read_to_string("/proc/2/comm").is_ok_and(|name| name == "kthreadd\n");
    is_kernel && network("2").is_some() && network("2") == network("self")
}

/// The frames that came to a network, by whatever link.
struct Frames(OwnedFd);

impl Frames {
    fn open() -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        Ok(Self(socket_with(AddressFamily::PACKET, SocketType::RAW, flags, Some(eth::IPV6))?))
    }

    /// How many with a routing header came since the last time.
    fn routed(&self) -> usize {
        // Behind the header of Ethernet, IPv6 names what is next in its seventh byte.
        const NEXT: usize = 14 + 6;
        const ROUTING: u8 = 43;
        let mut frame = [0; 256];
        std::iter::from_fn(|| {
            recv(&self.0, &mut frame[..], RecvFlags::empty()).ok().map(|_| frame[NEXT])
        })
        .filter(|next| *next == ROUTING)
        .count()
    }
}

/// The attack: an address of the loopback, and a header that leads the packets elsewhere, in a network that has
/// an elsewhere. Neither needs a privilege, and the hooks of addresses do not see the second.
#[test]
fn what_a_run_sends_leaves_by_the_loopback_alone() {
    let (near, hop) = (
        Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1),
        Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 7),
    );
    let cell = Cell::up();
    let (network, far) = (network(), Namespace::new().expect("these tests need root"));
    let linked = network.within(|| {
        link::make_pair("near", "far", far.as_fd())?;
        link::add_address("near", near.into(), 64)?;
        link::up("near")
    });
    linked.expect("a way elsewhere");
    let frames = far.within(|| {
        link::add_address("far", hop.into(), 64)?;
        link::up("far")?;
        Frames::open()
    });
    let frames = frames.expect("somebody is there");
    let run = cell.bridged("run", network.cookie().expect("Linux 5.14"));
    let led = [("led", Attempt::connect(SOCK_STREAM, (Ipv6Addr::LOCALHOST, 9).into()).led_by(hop))];
    let own = [("talk on ::1", Attempt::talk((Ipv6Addr::LOCALHOST, 0).into()))];
    // The link takes a moment to carry.
    let mut outcomes = Vec::new();
    let is_seen = (0..10).any(|_| {
        outcomes.extend(tried(&network, &cell.outside(), &led));
        frames.routed() > 0
    });
    assert!(is_seen, "control: outside, {outcomes:?}");
    tried(&network, &run, &led);
    assert_eq!(frames.routed(), 0, "the run's");
    assert_eq!(tried(&network, &run, &own), [0], "control: the run has its loopback");
}

#[test]
fn a_seal_takes_the_loopback_too() {
    let cell = Cell::up();
    let network = network();
    let services = network.within(Services::open).expect("it has both loopbacks");
    let run = cell.bridged("run", network.cookie().expect("Linux 5.14"));
    let own = own(&services);
    assert!(tried(&network, &run, &own).iter().all(|outcome| *outcome == 0), "control");
    cell.deny.seal(run.id, 1).expect("sealed");
    for ((name, _), outcome) in own.iter().zip(tried(&network, &run, &own)) {
        assert_eq!(outcome, libc::EPERM, "{name}");
    }
}
