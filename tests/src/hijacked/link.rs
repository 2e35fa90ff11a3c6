//! Frames put on the link itself, below every IP hook.

use rustix::io;
use rustix::net::{
    AddressFamily, Protocol, RawProtocol, SendFlags, SocketFlags, SocketType, netdevice,
    socket_with,
};

use super::trial::Trial;
use crate::lab::address;
use crate::sys::address::Link;

/// Sends one frame to everybody on the link; `raw` with a header of its own.
pub(super) fn packet(trial: &mut Trial, raw: bool) -> io::Result<()> {
    let ethertype = address::ETHERTYPE;
    let protocol = RawProtocol::new(ethertype.to_be().into()).map(Protocol::from_raw);
    let family = AddressFamily::PACKET;
    let kind = if raw { SocketType::RAW } else { SocketType::DGRAM };
    let socket = trial.step(|| socket_with(family, kind, SocketFlags::CLOEXEC, protocol))?;
    let index = trial.step(|| netdevice::name_to_index(&socket, address::AGENT_LINK))?;
    let to = Link { index, ethertype };
    // To everybody, from nobody.
    let header = [&[0xff; 6][..], &[0; 6], &ethertype.to_be_bytes()].concat();
    let frame = [if raw { header.as_slice() } else { &[] }, address::SECRET].concat();
    trial.step(|| rustix::net::sendto(&socket, &frame, SendFlags::empty(), &to)).map(drop)
}
