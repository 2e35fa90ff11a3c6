//! Freezing runs, and thawing those that we froze.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::kernel::Cage;

/// Stops every process of every run (cgroup v2, `cgroup.freeze`) that is not frozen already. The
/// agents' cgroup itself is not frozen: the canary of a repair must be able to move in it.
///
/// Returns what was frozen. A run that could not be is reported, and the others are frozen still.
pub(super) fn runs(cage: &Cage) -> Vec<PathBuf> {
    let mut frozen = Vec::new();
    for dir in cage.run_dirs() {
        match freeze(&dir) {
            Ok(true) => frozen.push(dir),
            Ok(false) => {}
            // It may have ended meanwhile.
            Err(error) => tracing::warn!(dir = %dir.display(), %error, "a run was not frozen"),
        }
    }
    frozen
}

/// Lets the processes of a run go on.
pub(super) fn thaw(dir: &Path) {
    if let Err(error) = fs::write(dir.join("cgroup.freeze"), "0") {
        tracing::warn!(dir = %dir.display(), %error, "a run was not thawed; it may have ended");
    }
}

/// False when it was frozen already, by somebody who has a reason.
fn freeze(dir: &Path) -> io::Result<bool> {
    let switch = dir.join("cgroup.freeze");
    if fs::read_to_string(&switch)?.trim() == "1" {
        return Ok(false);
    }
    fs::write(&switch, "1").map(|()| true)
}
