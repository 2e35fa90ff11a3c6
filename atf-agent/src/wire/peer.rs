//! Who is at the other end of a connection between two of ATF's processes.

use std::io;
use std::os::fd::AsFd;

/// The peer of a unix socket as the kernel recorded it when the connection was made
/// (`SO_PEERCRED`, unix(7)). The pid is for the log alone: it proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// The user id.
    pub uid: u32,
    /// The process id, for the log.
    pub pid: i32,
}

impl Peer {
    /// The peer of `socket`.
    ///
    /// # Errors
    /// When the kernel does not say.
    pub fn of(socket: impl AsFd) -> io::Result<Self> {
        let cred = rustix::net::sockopt::socket_peercred(socket)?;
        Ok(Self { uid: cred.uid.as_raw(), pid: cred.pid.as_raw_nonzero().get() })
    }
}
