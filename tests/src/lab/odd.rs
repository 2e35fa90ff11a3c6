//! Canaries beyond TCP and UDP, and one that calls instead of being called.

use std::io::{self, Read as _};
use std::net::{SocketAddrV4, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::thread;
use std::time::Duration;

use rustix::net::{AddressFamily, Protocol, RawProtocol, SocketFlags, SocketType, socket_with};

use super::{Oracle, address};
use crate::sys::option;

const PROTOCOL_DCCP: u32 = 33;
const PROTOCOL_SCTP: u32 = 132;
const PROTOCOL_UDP_LITE: u32 = 136;
const PROTOCOL_ICMP: u32 = 1;
const PROTOCOL_ICMPV6: u32 = 58;
const DCCP: SocketType = SocketType::from_raw(6);

/// Between two calls of the agent's listener.
const CALL_EACH: Duration = Duration::from_millis(20);

/// The longest that a call waits for a word.
const WORD_MAX: Duration = Duration::from_millis(500);

/// The canaries of the internet.
pub(super) fn internet(oracle: &mut Oracle) -> io::Result<()> {
    oracle.udp("udp6", UdpSocket::bind(address::UDP6)?);
    oracle.udp("broadcast", UdpSocket::bind(address::BROADCAST)?);
    let group = UdpSocket::bind(address::MULTICAST)?;
    group.join_multicast_v4(address::MULTICAST.ip(), &address::WORLD_V4)?;
    oracle.udp("multicast", group);
    let (v4, v6, raw) = (AddressFamily::INET, AddressFamily::INET6, SocketType::RAW);
    oracle.packets("raw6", socket(v6, raw, address::RAW_PROTOCOL.into())?, |_| true);
    oracle.packets("ping4", socket(v4, raw, PROTOCOL_ICMP)?, has_secret);
    oracle.packets("ping6", socket(v6, raw, PROTOCOL_ICMPV6)?, has_secret);
    match bound(SocketType::DGRAM, PROTOCOL_UDP_LITE, address::UDP_LITE) {
        Ok(socket) => oracle.packets("udplite4", socket, |_| true),
        Err(error) => oracle.miss("udplite4", error),
    }
    match listener(SocketType::STREAM, PROTOCOL_SCTP, address::SCTP) {
        Ok(socket) => oracle.listener("sctp", socket),
        Err(error) => oracle.miss("sctp", error),
    }
    match listener(SocketType::SEQPACKET, PROTOCOL_SCTP, address::SCTP_MESSAGE) {
        Ok(socket) => oracle.packets("sctp_message", socket, |_| true),
        Err(error) => oracle.miss("sctp_message", error),
    }
    match listener(DCCP, PROTOCOL_DCCP, address::DCCP) {
        Ok(socket) => oracle.listener("dccp", socket),
        Err(error) => oracle.miss("dccp", error),
    }
    call_the_agent(oracle);
    Ok(())
}

/// Echo sockets are for the groups that the namespace names, by default for none (icmp(7)).
pub(super) fn let_everybody_ping() -> io::Result<()> {
    std::fs::write("/proc/sys/net/ipv4/ping_group_range", "0 2147483647")
}

/// Calls the agent all the time, from the calling thread's namespace, and counts what it answers.
fn call_the_agent(oracle: &mut Oracle) {
    let canary = oracle.add("inbound");
    thread::spawn(move || {
        loop {
            thread::sleep(CALL_EACH);
            let Ok(mut stream) = TcpStream::connect(address::INBOUND) else { continue };
            let mut word = [0; 64];
            let heard =
                stream.set_read_timeout(Some(WORD_MAX)).and_then(|()| stream.read(&mut word));
            if let Ok(length @ 1..) = heard {
                canary.arrived(length);
            }
        }
    });
}

fn has_secret(packet: &[u8]) -> bool {
    packet.windows(address::SECRET.len()).any(|window| window == address::SECRET)
}

fn listener(kind: SocketType, protocol: u32, at: SocketAddrV4) -> io::Result<OwnedFd> {
    let socket = bound(kind, protocol, at)?;
    rustix::net::listen(&socket, 16)?;
    Ok(socket)
}

fn bound(kind: SocketType, protocol: u32, at: SocketAddrV4) -> io::Result<OwnedFd> {
    let socket = socket(AddressFamily::INET, kind, protocol)?;
    if kind == DCCP {
        option::set(&socket, option::SOL_DCCP, option::DCCP_SERVICE, 0)?;
    }
    rustix::net::bind(&socket, &at)?;
    Ok(socket)
}

fn socket(family: AddressFamily, kind: SocketType, protocol: u32) -> io::Result<OwnedFd> {
    let protocol = RawProtocol::new(protocol).map(Protocol::from_raw);
    Ok(socket_with(family, kind, SocketFlags::CLOEXEC, protocol)?)
}
