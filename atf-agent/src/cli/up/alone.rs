//! One `atf up` for one installation: a second one would take the sockets of the first one's daemons.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags};

/// Why this one may not start anything.
#[derive(Debug, thiserror::Error)]
pub(super) enum AloneError {
    /// There is one.
    #[error("another `atf up`{who} runs here; nothing was started (it holds {path})")]
    Other {
        /// Its process id in words, when it is known.
        who: String,
        /// The lock.
        path: PathBuf,
    },
    /// The lock cannot be made.
    #[error("cannot lock {path}: {error}")]
    Io {
        /// The lock.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// Locks the installation whose sockets are in `run_dir`, as long as the file is held. The kernel frees
/// the lock of one that was killed.
///
/// # Errors
/// When another one holds it.
pub(super) fn lock(run_dir: &Path) -> Result<File, AloneError> {
    let path = run_dir.join("up.lock");
    let failed = |error| AloneError::Io { path: path.clone(), error };
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
        .open(&path)
        .map_err(failed)?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let mut pid = String::new();
            file.read_to_string(&mut pid).map_err(failed)?;
            let who = pid.trim().parse::<u32>().map(|pid| format!(" (pid {pid})"));
            return Err(AloneError::Other { who: who.unwrap_or_default(), path });
        }
        Err(error) => return Err(failed(error.into())),
    }
    file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(failed)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_one_is_refused_while_the_first_one_runs() {
        let dir = tempfile::tempdir().unwrap();
        let first = lock(dir.path()).unwrap();
        let said = lock(dir.path()).unwrap_err().to_string();
        assert!(said.contains(&format!("(pid {})", std::process::id())), "{said}");
        drop(first);
        lock(dir.path()).unwrap();
    }
}
