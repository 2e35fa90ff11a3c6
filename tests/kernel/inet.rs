//! Layer A: no INET socket of any kind, for nobody under the agents' cgroup.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};

use atf_agent::sys::canary::Attempt;
use libc::{AF_INET, AF_INET6, IPPROTO_ICMP, SOCK_DGRAM, SOCK_RAW, SOCK_STREAM};

use crate::cell::Cell;

#[test]
fn nobody_under_the_agents_cgroup_gets_an_inet_socket() {
    let cell = Cell::up();
    let tcp4 = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback is there");
    let tcp6 = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).expect("loopback has IPv6");
    let udp4 = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback is there");
    let at = |listener: &TcpListener| listener.local_addr().expect("it is bound");
    let mapped = SocketAddr::from((Ipv4Addr::LOCALHOST.to_ipv6_mapped(), at(&tcp4).port()));
    let datagram = udp4.local_addr().expect("it is bound");
    let rows = [
        ("tcp4", Attempt::connect(SOCK_STREAM, at(&tcp4))),
        ("tcp6", Attempt::connect(SOCK_STREAM, at(&tcp6))),
        ("v4-mapped", Attempt::connect(SOCK_STREAM, mapped)),
        ("udp connected", Attempt::connect(SOCK_DGRAM, datagram)),
        ("udp", Attempt::send(SOCK_DGRAM, datagram)),
        ("bind", Attempt::bind((Ipv4Addr::LOCALHOST, 0).into())),
        ("raw", Attempt::socket(AF_INET, SOCK_RAW, IPPROTO_ICMP)),
        ("raw6", Attempt::socket(AF_INET6, SOCK_RAW, 58)),
    ];
    let run = cell.run("run");
    let nested = run.nested("child").nested("grandchild");
    let stranger = cell.unregistered("stranger");
    for (name, attempt) in rows {
        assert_eq!(cell.outside().tries(&attempt), 0, "control: {name} outside");
        for (who, place) in [("run", &run), ("nested", &nested), ("stranger", &stranger)] {
            assert_eq!(place.tries(&attempt), libc::EPERM, "{name} in {who}");
        }
    }
}
