//! The socket of a process, where the others find it.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::Path;

/// Listens at `path`, in place of whatever socket a process before this one left there. Who may
/// connect is decided by the directory and, for each peer, by its uid; the socket itself is open. The
/// service manager is told: who comes from now on waits in the socket.
///
/// # Errors
/// When the path cannot be bound.
pub fn listen(path: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666))?;
    super::ready();
    Ok(listener)
}
