//! The agents' cgroup and those above it: made so that the daemons can look runs up, whatever the umask of who
//! makes them, and so that runs can be limited.

use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::cage::{Cage, KEEP};
use super::error::KernelError;

/// What a cgroup of the kernel's own making has, too: all may look, root alone may change.
const MODE: u32 = 0o755;

/// What a run is limited by.
const CONTROLLERS: [&str; 2] = ["+pids", "+memory"];

/// Makes what is missing, down to the child that keeps the agents' cgroup from being removed.
///
/// # Errors
/// The file system's.
pub(super) fn make(cage: &Cage) -> Result<(), KernelError> {
    let keep = cage.agents_dir.join(KEEP);
    let above = cage.agents_dir.ancestors().take_while(|dir| **dir != *cage.mount);
    let mut above: Vec<&Path> = above.collect();
    above.reverse();
    for dir in above.iter().copied().chain([keep.as_path()]) {
        make_one(dir)?;
    }
    // The root is the service manager's. What it does not hand down, the launcher misses and says so.
    for dir in above.iter().filter(|dir| **dir != cage.agents_dir) {
        for controller in CONTROLLERS {
            if let Err(error) = fs::write(dir.join("cgroup.subtree_control"), controller) {
                tracing::debug!(dir = %dir.display(), controller, %error, "not handed down");
            }
        }
    }
    Ok(())
}

fn make_one(dir: &Path) -> Result<(), KernelError> {
    match fs::create_dir(dir) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(()),
        done => done.map_err(KernelError::doing("make", dir))?,
    }
    fs::set_permissions(dir, Permissions::from_mode(MODE))
        .map_err(KernelError::doing("change the mode of", dir))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn all_may_look_whatever_the_umask_is() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("agents");
        // The umask is the process's, and other tests run in it: a mode that no umask gives here.
        make_one(&dir).unwrap();
        assert_eq!(fs::metadata(&dir).unwrap().mode() & 0o777, MODE);
        fs::set_permissions(&dir, Permissions::from_mode(0o700)).unwrap();
        make_one(&dir).unwrap();
        assert_eq!(fs::metadata(&dir).unwrap().mode() & 0o777, 0o700, "an operator's own stays");
    }
}
