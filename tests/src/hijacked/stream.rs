//! Connections: TCP and its variants, SCTP, DCCP, and a listener that waits to be called.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io;
use rustix::net::{
    AddressFamily, Protocol, RawProtocol, RecvFlags, SendFlags, SocketFlags, SocketType,
    socket_with, sockopt,
};

use super::trial::Trial;
use crate::lab::address;
use crate::sys::option;

/// A connection that takes longer is one that something swallowed.
const CONNECT_MAX: Duration = Duration::from_secs(2);

const DCCP: SocketType = SocketType::from_raw(6);
const PROTOCOL_DCCP: u32 = 33;
const PROTOCOL_SCTP: u32 = 132;
const PROTOCOL_MPTCP: u32 = 262;

/// The attempts of this family.
pub(super) fn attempt(id: &str, trial: &mut Trial) -> Option<io::Result<()>> {
    let any = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, address::LOOPBACK.port());
    Some(match id {
        "tcp4" => tcp(trial, address::TCP4.into()),
        "tcp6" => tcp(trial, address::TCP6.into()),
        "tcp4_mapped" => tcp(trial, address::TCP4_MAPPED.into()),
        "tcp4_bound" => bound(trial),
        "tcp4_fastopen" => fast_open(trial),
        "tcp4_fastopen_option" => fast_open_by_option(trial),
        "mptcp" => connection(trial, SocketType::STREAM, PROTOCOL_MPTCP, address::TCP4.into()),
        "sctp" => connection(trial, SocketType::STREAM, PROTOCOL_SCTP, address::SCTP.into()),
        "sctp_message" => sctp_message(trial),
        "dccp" => dccp(trial),
        "inbound" => inbound(trial),
        "metadata" => tcp(trial, address::METADATA.into()),
        "loopback" => tcp(trial, address::LOOPBACK.into()),
        "loopback6" => tcp(trial, address::LOOPBACK6.into()),
        "loopback_any" => tcp(trial, any.into()),
        _ => return None,
    })
}

/// Connects and sends the secret.
pub(super) fn tcp(trial: &mut Trial, to: SocketAddr) -> io::Result<()> {
    connection(trial, SocketType::STREAM, 0, to)
}

fn connection(
    trial: &mut Trial,
    kind: SocketType,
    protocol: u32,
    to: SocketAddr,
) -> io::Result<()> {
    let socket = socket(trial, kind, protocol, to)?;
    connect_and_send(trial, &socket, to)
}

fn bound(trial: &mut Trial) -> io::Result<()> {
    let to = address::TCP4.into();
    let socket = socket(trial, SocketType::STREAM, 0, to)?;
    let from = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);
    trial.step(|| rustix::net::bind(&socket, &from))?;
    connect_and_send(trial, &socket, to)
}

/// Data and connection by one call, which is no connect(2) (tcp(7), `MSG_FASTOPEN`).
fn fast_open(trial: &mut Trial) -> io::Result<()> {
    let flags = SendFlags::from_bits_retain(libc::MSG_FASTOPEN.cast_unsigned());
    let socket = socket(trial, SocketType::STREAM, 0, address::TCP4.into())?;
    let sent = || rustix::net::sendto(&socket, address::SECRET, flags, &address::TCP4);
    trial.step(sent).map(drop)
}

/// A connect(2) that connects nothing, and a write that does (tcp(7), `TCP_FASTOPEN_CONNECT`).
fn fast_open_by_option(trial: &mut Trial) -> io::Result<()> {
    let to = address::TCP4.into();
    let socket = socket(trial, SocketType::STREAM, 0, to)?;
    option::set(&socket, libc::IPPROTO_TCP, libc::TCP_FASTOPEN_CONNECT, 1)?;
    connect_and_send(trial, &socket, to)
}

fn sctp_message(trial: &mut Trial) -> io::Result<()> {
    let to = address::SCTP_MESSAGE;
    let socket = socket(trial, SocketType::SEQPACKET, PROTOCOL_SCTP, to.into())?;
    let sent = || rustix::net::sendto(&socket, address::SECRET, SendFlags::NOSIGNAL, &to);
    trial.step(sent).map(drop)
}

fn dccp(trial: &mut Trial) -> io::Result<()> {
    let to = address::DCCP.into();
    let socket = socket(trial, DCCP, PROTOCOL_DCCP, to)?;
    option::set(&socket, option::SOL_DCCP, option::DCCP_SERVICE, 0)?;
    connect_and_send(trial, &socket, to)
}

/// Waits for a call from the internet, and answers with the secret.
fn inbound(trial: &mut Trial) -> io::Result<()> {
    let at = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, address::INBOUND.port());
    let socket = socket(trial, SocketType::STREAM, 0, at.into())?;
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(CONNECT_MAX))?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    trial.step(|| rustix::net::bind(&socket, &at))?;
    trial.step(|| rustix::net::listen(&socket, 4))?;
    let called = trial.step(|| rustix::net::accept(&socket))?;
    trial.step(|| rustix::net::send(&called, address::SECRET, SendFlags::NOSIGNAL))?;
    // The caller hangs up when it has heard us.
    let _heard = rustix::net::recv(&called, &mut [0; 1], RecvFlags::empty());
    Ok(())
}

fn socket(
    trial: &mut Trial,
    kind: SocketType,
    protocol: u32,
    to: SocketAddr,
) -> io::Result<OwnedFd> {
    let family = if to.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let protocol = RawProtocol::new(protocol).map(Protocol::from_raw);
    let made = trial.step(|| socket_with(family, kind, SocketFlags::CLOEXEC, protocol))?;
    sockopt::set_socket_timeout(&made, sockopt::Timeout::Send, Some(CONNECT_MAX))?;
    Ok(made)
}

fn connect_and_send(trial: &mut Trial, socket: &OwnedFd, to: SocketAddr) -> io::Result<()> {
    trial.step(|| rustix::net::connect(socket, &to))?;
    trial.step(|| rustix::net::send(socket, address::SECRET, SendFlags::NOSIGNAL)).map(drop)
}
