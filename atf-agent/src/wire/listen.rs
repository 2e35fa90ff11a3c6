//! The socket of a process, where the others find it.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::Path;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

/// Listens at `path`, in place of whatever socket a process before this one left there. Who may
/// connect is decided by the directory and, for each peer, by its uid; the socket itself is open. The
/// service manager is told: who comes from now on waits in the socket.
///
/// # Errors
/// When the path cannot be bound, or a process that lives listens there.
pub fn listen(path: &Path) -> io::Result<UnixListener> {
    unattended(path)?;
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666))?;
    super::ready();
    Ok(listener)
}

/// Makes sure that no process listens at `path`: two of one kind would work on the same files.
///
/// # Errors
/// When one does, or it cannot be known.
pub fn unattended(path: &Path) -> io::Result<()> {
    // It must not wait where a backlog is full.
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    match connect(&socket, &SocketAddrUnix::new(path)?) {
        // The socket of one that is dead, or none.
        Err(Errno::CONNREFUSED | Errno::NOENT) => Ok(()),
        Ok(()) | Err(Errno::AGAIN) => {
            Err(io::Error::new(io::ErrorKind::AddrInUse, "another process listens there"))
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_taken_from_the_dead_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("test.sock");
        let first = listen(&path).unwrap();
        let again = || listen(&path).map(drop).map_err(|error| error.kind());
        assert_eq!(again(), Err(io::ErrorKind::AddrInUse));
        first.set_nonblocking(true).unwrap();
        assert!(first.accept().is_ok(), "it still listens where it is found");
        drop(first);
        assert_eq!(again(), Ok(()));
    }
}
