//! Attaches programs to the agents' cgroup: each link is pinned the moment it exists, beside the
//! old ones, and takes their place only when all are there. So there is no gap.

use std::fs::{self, File};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use super::cage::Cage;
use super::error::KernelError;
use super::pins;
use super::programs::Program;
use crate::sys::bpf;

/// A loaded program.
pub(super) struct Loaded {
    pub(super) program: &'static Program,
    pub(super) fd: OwnedFd,
}

/// Attaches and pins all of `programs` beside what is there.
///
/// # Errors
/// The kernel's. What was attached is detached by [`discard`].
pub(super) fn attach(cage: &Cage, agents: &File, programs: &[Loaded]) -> Result<(), KernelError> {
    discard(cage)?;
    let next = next_dir(cage);
    pins::make_dir(&next)?;
    for Loaded { program, fd } in programs {
        let path = next.join(program.name);
        let link = bpf::attach(fd.as_fd(), agents.as_fd(), program.attach_type)
            .map_err(KernelError::doing("attach to the agents' cgroup", &path))?;
        bpf::pin(link.as_fd(), &path).map_err(KernelError::doing("pin", &path))?;
    }
    Ok(())
}

/// Lets the new links take the place of the old ones. An old link without a successor goes last. Until
/// [`discard`] is called the cage counts as one that is being replaced.
///
/// # Errors
/// The file system's.
pub(super) fn settle(cage: &Cage) -> Result<(), KernelError> {
    let (next, links) = (next_dir(cage), cage.links_dir());
    pins::make_dir(&links)?;
    let mut settled = Vec::new();
    for name in names(&next)? {
        let (from, to) = (next.join(&name), links.join(&name));
        fs::rename(&from, &to).map_err(KernelError::doing("move a link to", &to))?;
        settled.push(name);
    }
    for name in names(&links)? {
        if !settled.contains(&name) {
            pins::remove_file(&links.join(name))?;
        }
    }
    Ok(())
}

/// Which programs stand, as far as the pins tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    /// Whether others are taking their place right now. Root alone can make it seem so.
    pub(super) is_replaced: bool,
    /// The pin of their configuration, which is another one after each replacing; `None` without one.
    config: Option<u64>,
}

/// Which programs stand now.
pub(super) fn standing(cage: &Cage) -> Standing {
    let config = fs::metadata(cage.pin_dir.join("CONFIG")).ok().map(|pin| pin.ino());
    Standing { is_replaced: next_dir(cage).exists(), config }
}

/// Detaches what [`attach`] attached and [`settle`] has not moved, if anything; nothing is replaced then.
///
/// # Errors
/// The file system's.
pub(super) fn discard(cage: &Cage) -> Result<(), KernelError> {
    remove_dir(&next_dir(cage))
}

/// Removes a directory of pins, if it is there.
///
/// # Errors
/// The file system's.
pub(super) fn remove_dir(dir: &PathBuf) -> Result<(), KernelError> {
    if !dir.exists() {
        return Ok(());
    }
    for name in names(dir)? {
        pins::remove_file(&dir.join(name))?;
    }
    fs::remove_dir(dir).map_err(KernelError::doing("remove", dir))
}

fn next_dir(cage: &Cage) -> PathBuf {
    // A bpf file system allows no dot in a name.
    cage.pin_dir.join("links_next")
}

fn names(dir: &PathBuf) -> Result<Vec<std::ffi::OsString>, KernelError> {
    let listed = fs::read_dir(dir).map_err(KernelError::doing("list", dir))?;
    let names: Result<Vec<_>, _> =
        listed.map(|entry| entry.map(|entry| entry.file_name())).collect();
    names.map_err(KernelError::doing("list", dir))
}
