//! `atf enforcer down`: the only way to remove the cage. No stop of a daemon ever comes here.

use std::fs;
use std::path::Path;

use super::cage::{Cage, KEEP};
use super::error::KernelError;
use super::{attach, pins};

/// Detaches every program and removes every pin, and the agents' cgroup if it is empty.
///
/// # Errors
/// The file system's. What could be removed is removed.
pub fn down(cage: &Cage) -> Result<(), KernelError> {
    let links = attach::discard(cage).and_then(|()| attach::remove_dir(&cage.links_dir()));
    let maps = remove_maps(cage);
    let keep = cage.agents_dir.join(KEEP);
    for dir in [keep.as_path(), &cage.agents_dir] {
        remove_if_empty(dir);
    }
    links.and(maps)
}

fn remove_maps(cage: &Cage) -> Result<(), KernelError> {
    if !cage.pin_dir.exists() {
        return Ok(());
    }
    for map in &pins::MAPS {
        pins::remove_file(&cage.pin_dir.join(map.name))?;
    }
    pins::remove_file(&cage.pin_dir.join("CONFIG_next"))?;
    fs::remove_dir(&cage.pin_dir).map_err(KernelError::doing("remove", &cage.pin_dir))
}

/// A cgroup with runs in it stays; so does one that is gone.
fn remove_if_empty(dir: &Path) {
    if let Err(error) = fs::remove_dir(dir) {
        tracing::debug!(dir = %dir.display(), %error, "the cgroup stays");
    }
}
