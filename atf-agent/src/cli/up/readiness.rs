//! Whether a daemon serves: it says so itself, as to a service manager (sd_notify(3)). What an earlier
//! life of it left on the disk says nothing.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

/// Where one daemon says that it is ready.
pub(super) struct Readiness {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Readiness {
    /// Listens at `path`, in a directory that only root writes; `uid` and root alone can say it.
    ///
    /// # Errors
    /// When the path cannot be bound.
    pub(super) fn listen(path: PathBuf, uid: u32) -> io::Result<Self> {
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let socket = UnixDatagram::bind(&path)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        std::os::unix::fs::lchown(&path, Some(uid), None)?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, path })
    }

    /// What the daemon is told in `NOTIFY_SOCKET`.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it was said since this was last asked.
    ///
    /// # Errors
    /// When the socket fails.
    pub(super) fn heard(&self) -> io::Result<bool> {
        let (mut heard, mut word) = (false, [0; 64]);
        loop {
            match self.socket.recv(&mut word) {
                Ok(length) => heard |= &word[..length] == b"READY=1",
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(heard),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Drop for Readiness {
    fn drop(&mut self) {
        // One that stays is removed by the next start.
        let _stays = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn what_is_heard_is_heard_once_and_only_from_the_daemon() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("test.ready");
        let uid = rustix::process::getuid().as_raw();
        let readiness = Readiness::listen(path.clone(), uid).unwrap();
        let found = std::fs::symlink_metadata(&path).unwrap();
        assert_eq!((found.uid(), found.mode() & 0o777), (uid, 0o600));
        let say = |word: &[u8]| UnixDatagram::unbound().unwrap().send_to(word, &path).unwrap();
        assert!(!readiness.heard().unwrap());
        say(b"STATUS=1");
        assert!(!readiness.heard().unwrap());
        say(b"READY=1");
        say(b"STATUS=1");
        assert!(readiness.heard().unwrap());
        assert!(!readiness.heard().unwrap());
    }
}
