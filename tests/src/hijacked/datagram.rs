//! Datagrams: UDP and UDP-Lite, connected or not, to one, to many, in pieces; DNS.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use rustix::io;
use rustix::net::{
    AddressFamily, Protocol, RawProtocol, SendFlags, SocketFlags, SocketType, socket_with, sockopt,
};

use super::trial::Trial;
use crate::lab::address;
use crate::sys::message;

const PROTOCOL_UDP_LITE: u32 = 136;

/// Twice what a packet of the lab's link can carry.
const FRAGMENTED: usize = 4_000;

/// The attempts of this family.
pub(super) fn attempt(id: &str, trial: &mut Trial) -> Option<io::Result<()>> {
    let secret = address::SECRET;
    Some(match id {
        "udp4" => send(trial, address::UDP4.into(), 0, secret),
        "udp4_connected" => connected(trial, address::UDP4.into(), 0),
        "udp4_batch" => batch(trial),
        "udp4_fragments" => send(trial, address::UDP4.into(), 0, &[b'x'; FRAGMENTED]),
        "udp4_broadcast" => broadcast(trial),
        "udp4_multicast" => multicast(trial),
        "udp4_mapped" => send(trial, address::TCP4_MAPPED.into(), 0, secret),
        "udp6" => send(trial, address::UDP6.into(), 0, secret),
        "udp6_connected" => connected(trial, address::UDP6.into(), 0),
        "udplite4" => send(trial, address::UDP_LITE.into(), PROTOCOL_UDP_LITE, secret),
        "udplite4_connected" => connected(trial, address::UDP_LITE.into(), PROTOCOL_UDP_LITE),
        "dns" => send(trial, address::DNS.into(), 0, &query()),
        "resolver" => send(trial, address::RESOLVER.into(), 0, &query()),
        _ => return None,
    })
}

/// Sends one datagram.
fn send(trial: &mut Trial, to: SocketAddr, protocol: u32, bytes: &[u8]) -> io::Result<()> {
    let socket = socket(trial, to, protocol)?;
    trial.step(|| rustix::net::sendto(&socket, bytes, SendFlags::empty(), &to)).map(drop)
}

fn connected(trial: &mut Trial, to: SocketAddr, protocol: u32) -> io::Result<()> {
    let socket = socket(trial, to, protocol)?;
    trial.step(|| rustix::net::connect(&socket, &to))?;
    trial.step(|| rustix::net::send(&socket, address::SECRET, SendFlags::empty())).map(drop)
}

fn batch(trial: &mut Trial) -> io::Result<()> {
    let socket = socket(trial, address::UDP4.into(), 0)?;
    trial.step(|| message::send_two(&socket, address::UDP4, address::SECRET))
}

fn broadcast(trial: &mut Trial) -> io::Result<()> {
    let socket = socket(trial, address::BROADCAST.into(), 0)?;
    sockopt::set_socket_broadcast(&socket, true)?;
    let sent =
        || rustix::net::sendto(&socket, address::SECRET, SendFlags::empty(), &address::BROADCAST);
    trial.step(sent).map(drop)
}

fn multicast(trial: &mut Trial) -> io::Result<()> {
    let socket = socket(trial, address::MULTICAST.into(), 0)?;
    trial.step(|| sockopt::set_ip_multicast_if(&socket, &address::AGENT_V4))?;
    let sent =
        || rustix::net::sendto(&socket, address::SECRET, SendFlags::empty(), &address::MULTICAST);
    trial.step(sent).map(drop)
}

/// Asks for an address whose name is the secret (RFC 1035, one question of type A).
fn query() -> Vec<u8> {
    let mut query = vec![0xa7, 0xf0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in ["the-ledgers-secret", "example"] {
        query.push(label.len() as u8);
        query.extend(label.as_bytes());
    }
    query.extend([0, 0, 1, 0, 1]);
    query
}

fn socket(trial: &mut Trial, to: SocketAddr, protocol: u32) -> io::Result<OwnedFd> {
    let family = if to.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let protocol = RawProtocol::new(protocol).map(Protocol::from_raw);
    let kind = SocketType::DGRAM;
    trial.step(|| socket_with(family, kind, SocketFlags::CLOEXEC, protocol))
}
