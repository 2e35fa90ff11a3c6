//! IP sockets: TCP, UDP, DNS, raw.

use std::net::{SocketAddr, SocketAddrV4};
use std::time::Duration;

use rustix::io;
use rustix::net::{
    AddressFamily, Protocol, RawProtocol, SendFlags, SocketFlags, SocketType, socket_with, sockopt,
};

use super::trial::Trial;
use crate::lab::address;

/// A connection that takes longer is one that something swallowed.
const CONNECT_MAX: Duration = Duration::from_secs(2);

/// Connects and sends the secret.
pub(super) fn tcp(trial: &mut Trial, to: SocketAddr) -> io::Result<()> {
    let family = if to.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket =
        trial.step(|| socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None))?;
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Send, Some(CONNECT_MAX))?;
    trial.step(|| rustix::net::connect(&socket, &to))?;
    trial.step(|| rustix::net::send(&socket, address::SECRET, SendFlags::NOSIGNAL)).map(drop)
}

/// Sends one datagram.
pub(super) fn udp(trial: &mut Trial, to: SocketAddrV4, bytes: &[u8]) -> io::Result<()> {
    let (family, kind) = (AddressFamily::INET, SocketType::DGRAM);
    let socket = trial.step(|| socket_with(family, kind, SocketFlags::CLOEXEC, None))?;
    trial.step(|| rustix::net::sendto(&socket, bytes, SendFlags::empty(), &to)).map(drop)
}

/// Asks for an address whose name is the secret (RFC 1035, one question of type A).
pub(super) fn dns(trial: &mut Trial) -> io::Result<()> {
    let mut query = vec![0xa7, 0xf0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in ["the-ledgers-secret", "example"] {
        query.push(label.len() as u8);
        query.extend(label.as_bytes());
    }
    query.extend([0, 0, 1, 0, 1]);
    udp(trial, address::DNS, &query)
}

/// Sends an IP packet of a protocol that is nobody's.
pub(super) fn raw(trial: &mut Trial) -> io::Result<()> {
    let protocol = RawProtocol::new(address::RAW_PROTOCOL.into()).map(Protocol::from_raw);
    let (family, kind) = (AddressFamily::INET, SocketType::RAW);
    let socket = trial.step(|| socket_with(family, kind, SocketFlags::CLOEXEC, protocol))?;
    let to = SocketAddrV4::new(address::WORLD_V4, 0);
    trial.step(|| rustix::net::sendto(&socket, address::SECRET, SendFlags::empty(), &to)).map(drop)
}
