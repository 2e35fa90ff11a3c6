//! Local services, by path and by abstract name, by connection and by datagram.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::io;
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
    socket_with, socketpair,
};

use super::trial::Trial;
use crate::lab::address;

const DATAGRAM: SocketType = SocketType::DGRAM;

/// The attempts of this family.
pub(super) fn attempt(id: &str, trial: &mut Trial, lab: &Path) -> Option<io::Result<()>> {
    let path = |name: &str| SocketAddrUnix::new(lab.join(name));
    let name = |name: &str| SocketAddrUnix::new_abstract_name(name.as_bytes());
    let (stream, sequence) = (SocketType::STREAM, SocketType::SEQPACKET);
    let datagram = || path(address::UNIX_DATAGRAM);
    let done = match id {
        "unix_path" => path(address::UNIX_PATH).and_then(|to| connect(trial, stream, &to)),
        "unix_abstract" => name(address::ABSTRACT_NAME).and_then(|to| connect(trial, stream, &to)),
        "unix_visible" => path(address::UNIX_VISIBLE).and_then(|to| connect(trial, stream, &to)),
        "unix_seqpacket" => {
            path(address::UNIX_SEQPACKET).and_then(|to| connect(trial, sequence, &to))
        }
        "unix_datagram" => datagram().and_then(|to| send(trial, &to)),
        "unix_datagram_connected" => datagram().and_then(|to| connect(trial, DATAGRAM, &to)),
        "unix_datagram_message" => datagram().and_then(|to| message(trial, &to)),
        "unix_datagram_abstract" => {
            name(address::ABSTRACT_DATAGRAM).and_then(|to| send(trial, &to))
        }
        "unix_datagram_visible" => {
            path(address::UNIX_DATAGRAM_VISIBLE).and_then(|to| send(trial, &to))
        }
        "unix_pair" => datagram().and_then(|to| pair(trial, &to)),
        _ => return None,
    };
    Some(done)
}

/// Connects and sends the secret.
fn connect(trial: &mut Trial, kind: SocketType, to: &SocketAddrUnix) -> io::Result<()> {
    let socket = socket(trial, kind)?;
    trial.step(|| rustix::net::connect(&socket, to))?;
    trial.step(|| rustix::net::send(&socket, address::SECRET, SendFlags::NOSIGNAL)).map(drop)
}

fn send(trial: &mut Trial, to: &SocketAddrUnix) -> io::Result<()> {
    let socket = socket(trial, DATAGRAM)?;
    trial.step(|| rustix::net::sendto(&socket, address::SECRET, SendFlags::NOSIGNAL, to)).map(drop)
}

fn message(trial: &mut Trial, to: &SocketAddrUnix) -> io::Result<()> {
    let socket = socket(trial, DATAGRAM)?;
    let bytes = [std::io::IoSlice::new(address::SECRET)];
    let mut nothing = SendAncillaryBuffer::default();
    let sent = || rustix::net::sendmsg_addr(&socket, to, &bytes, &mut nothing, SendFlags::NOSIGNAL);
    trial.step(sent).map(drop)
}

/// A pair has no address and is connected to itself; one end of it is connected elsewhere.
fn pair(trial: &mut Trial, to: &SocketAddrUnix) -> io::Result<()> {
    let flags = SocketFlags::CLOEXEC;
    let (one, _other) = trial.step(|| socketpair(AddressFamily::UNIX, DATAGRAM, flags, None))?;
    trial.step(|| rustix::net::connect(&one, to))?;
    trial.step(|| rustix::net::send(&one, address::SECRET, SendFlags::NOSIGNAL)).map(drop)
}

fn socket(trial: &mut Trial, kind: SocketType) -> io::Result<OwnedFd> {
    trial.step(|| socket_with(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None))
}
