//! Packets below TCP and UDP: raw sockets and ICMP echo sockets.

use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::OwnedFd;

use rustix::io;
use rustix::net::{
    AddressFamily, Protocol, RawProtocol, SendFlags, SocketFlags, SocketType, socket_with,
};

use super::trial::Trial;
use crate::lab::address;

/// A raw socket of this protocol sends the header that it is given (raw(7)).
const PROTOCOL_RAW: u32 = 255;
const PROTOCOL_ICMP: u32 = 1;
const PROTOCOL_ICMPV6: u32 = 58;

const ECHO_REQUEST: u8 = 8;
const ECHO_REQUEST_V6: u8 = 128;

/// The attempts of this family.
pub(super) fn attempt(id: &str, trial: &mut Trial) -> Option<io::Result<()>> {
    let own = u32::from(address::RAW_PROTOCOL);
    let secret = address::SECRET.to_vec();
    let (raw, echo) = (SocketType::RAW, SocketType::DGRAM);
    let (v4, v6) = (world4(), world6());
    Some(match id {
        "raw" => send(trial, raw, own, v4, &secret),
        "raw_connected" => connected(trial, raw, own, v4, &secret),
        "raw_header" => send(trial, raw, PROTOCOL_RAW, v4, &with_header(&secret)),
        "raw6" => send(trial, raw, own, v6, &secret),
        "ping4" => send(trial, echo, PROTOCOL_ICMP, v4, &icmp(ECHO_REQUEST)),
        "ping4_connected" => connected(trial, echo, PROTOCOL_ICMP, v4, &icmp(ECHO_REQUEST)),
        "ping6" => send(trial, echo, PROTOCOL_ICMPV6, v6, &icmp(ECHO_REQUEST_V6)),
        _ => return None,
    })
}

fn send(
    trial: &mut Trial,
    kind: SocketType,
    protocol: u32,
    to: SocketAddr,
    bytes: &[u8],
) -> io::Result<()> {
    let socket = socket(trial, kind, protocol, to)?;
    trial.step(|| rustix::net::sendto(&socket, bytes, SendFlags::empty(), &to)).map(drop)
}

fn connected(
    trial: &mut Trial,
    kind: SocketType,
    protocol: u32,
    to: SocketAddr,
    bytes: &[u8],
) -> io::Result<()> {
    let socket = socket(trial, kind, protocol, to)?;
    trial.step(|| rustix::net::connect(&socket, &to))?;
    trial.step(|| rustix::net::send(&socket, bytes, SendFlags::empty())).map(drop)
}

fn socket(
    trial: &mut Trial,
    kind: SocketType,
    protocol: u32,
    to: SocketAddr,
) -> io::Result<OwnedFd> {
    let family = if to.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let protocol = RawProtocol::new(protocol).map(Protocol::from_raw);
    trial.step(|| socket_with(family, kind, SocketFlags::CLOEXEC, protocol))
}

/// An echo request that carries the secret; the kernel fills in its sum.
fn icmp(kind: u8) -> Vec<u8> {
    [&[kind, 0, 0, 0, 0, 0, 0, 1], address::SECRET].concat()
}

/// An IPv4 header (RFC 791) before the bytes; the kernel fills in length, sum and sender.
fn with_header(bytes: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, address::RAW_PROTOCOL, 0, 0, 0, 0, 0, 0];
    packet.extend(address::WORLD_V4.octets());
    packet.extend(bytes);
    packet
}

fn world4() -> SocketAddr {
    SocketAddrV4::new(address::WORLD_V4, 0).into()
}

fn world6() -> SocketAddr {
    SocketAddrV6::new(address::WORLD_V6, 0, 0, 0).into()
}
