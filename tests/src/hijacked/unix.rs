//! Local services, by path and by abstract name.

use std::path::Path;

use rustix::io;
use rustix::net::{AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType, socket_with};

use super::trial::Trial;
use crate::lab::address;

/// Connects to the socket at `path` and sends the secret.
pub(super) fn path(trial: &mut Trial, path: &Path) -> io::Result<()> {
    connect(trial, &SocketAddrUnix::new(path)?)
}

/// Connects to the service with the abstract name and sends the secret.
pub(super) fn abstract_name(trial: &mut Trial) -> io::Result<()> {
    connect(trial, &SocketAddrUnix::new_abstract_name(address::ABSTRACT_NAME.as_bytes())?)
}

fn connect(trial: &mut Trial, to: &SocketAddrUnix) -> io::Result<()> {
    let (family, kind) = (AddressFamily::UNIX, SocketType::STREAM);
    let socket = trial.step(|| socket_with(family, kind, SocketFlags::CLOEXEC, None))?;
    trial.step(|| rustix::net::connect(&socket, to))?;
    trial.step(|| rustix::net::send(&socket, address::SECRET, SendFlags::NOSIGNAL)).map(drop)
}
