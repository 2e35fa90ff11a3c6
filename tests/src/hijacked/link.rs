//! Frames put on the link itself, below every IP hook.

use rustix::io;
use rustix::net::{
    AddressFamily, Protocol, RawProtocol, SendFlags, SocketFlags, SocketType, netdevice,
    socket_with,
};

use super::trial::Trial;
use crate::lab::address;
use crate::sys::address::Link;

/// Sends one frame to everybody on the link.
pub(super) fn packet(trial: &mut Trial) -> io::Result<()> {
    let ethertype = address::ETHERTYPE;
    let protocol = RawProtocol::new(ethertype.to_be().into()).map(Protocol::from_raw);
    let (family, kind) = (AddressFamily::PACKET, SocketType::DGRAM);
    let socket = trial.step(|| socket_with(family, kind, SocketFlags::CLOEXEC, protocol))?;
    let index = trial.step(|| netdevice::name_to_index(&socket, address::AGENT_LINK))?;
    let to = Link { index, ethertype };
    trial.step(|| rustix::net::sendto(&socket, address::SECRET, SendFlags::empty(), &to)).map(drop)
}
