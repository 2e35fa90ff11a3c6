//! The sockets between virtual machines and their hosts: no namespace holds them.

use rustix::io;
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, socket_with};

use super::trial::Trial;
use crate::lab::address;
use crate::sys::address::Vsock;

/// Connects to this machine itself, the only address that is the lab's, and sends the secret. Where
/// the lab has no such address, having the socket is all.
pub(super) fn connect(trial: &mut Trial, unanswered: bool) -> io::Result<()> {
    let (family, kind) = (AddressFamily::VSOCK, SocketType::STREAM);
    let socket = trial.step(|| socket_with(family, kind, SocketFlags::CLOEXEC, None))?;
    if unanswered {
        return Ok(());
    }
    let to = Vsock { cid: Vsock::LOCAL, port: address::VSOCK_PORT };
    trial.step(|| rustix::net::connect(&socket, &to))?;
    trial.step(|| rustix::net::send(&socket, address::SECRET, SendFlags::NOSIGNAL)).map(drop)
}
