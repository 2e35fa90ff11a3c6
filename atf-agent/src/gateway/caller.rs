//! Who is calling: the run whose listening socket was reached, and what the kernel attests of the
//! process that connected. Both must agree; a bare process id is never trusted.

use std::fs;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::kernel_side::{KernelSide, ReadStamp};
use crate::call::Caller;
use crate::sys;
use crate::wire::{Peer, RunEntry};

/// Why a connection has no proven caller.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallerError {
    /// The process is not of the run's user.
    #[error("expected a process of uid {expected}, found uid {found}")]
    Uid {
        /// The run's.
        expected: u32,
        /// The process's.
        found: u32,
    },
    /// The kernel did not stamp the connection: whoever connected is in no run.
    #[error("the connection has no stamp: it was not made from a run")]
    NoStamp,
    /// The process is of another cgroup.
    #[error("expected a process of the cgroup {expected}, found {found}")]
    Cgroup {
        /// The run's.
        expected: String,
        /// What the kernel says.
        found: String,
    },
    /// The process ended before its cgroup was proven.
    #[error("the process ended before its cgroup was known")]
    Gone,
    /// The kernel gave no answer.
    #[error("the kernel does not say who connected ({what}): {error}")]
    Unknown {
        /// What was asked.
        what: &'static str,
        /// Why there is none.
        error: io::Error,
    },
}

/// The agents' cgroup, as a directory and as `/proc/PID/cgroup` spells it.
#[derive(Debug, Clone)]
pub(super) struct Agents {
    dir: PathBuf,
    spelled: PathBuf,
}

impl Agents {
    /// Finds the spelling of the directory `dir` in `mountinfo`, the text of
    /// `/proc/self/mountinfo` (proc_pid_mountinfo(5)).
    ///
    /// # Errors
    /// When `dir` lies in no cgroup2 mount, or above the root of this cgroup namespace.
    pub(super) fn find(dir: &Path, mountinfo: &str) -> io::Result<Self> {
        let spelled = mountinfo
            .lines()
            .filter_map(|line| spelled_by(line, dir))
            // The deepest mount, and of several on one point the last, is the one that is seen.
            .max_by_key(|(point, _)| point.len())
            .map(|(_, spelled)| spelled)
            .ok_or_else(|| {
                let why = format!("{} is not in a mount of cgroup2", dir.display());
                io::Error::new(io::ErrorKind::NotFound, why)
            })?;
        Ok(Self { dir: dir.to_owned(), spelled })
    }
}

/// Proves that the process that connected `socket`, which the listener of `entry`'s run accepted,
/// is of that run.
///
/// # Errors
/// When it is not, or it cannot be shown. The connection is to be closed then.
pub(super) fn prove(
    socket: BorrowedFd<'_>,
    entry: &RunEntry,
    kernel: &KernelSide,
    agents: &Agents,
) -> Result<Caller, CallerError> {
    let peer = Peer::of(socket).map_err(unknown("SO_PEERCRED"))?;
    if peer.uid != entry.uid {
        return Err(CallerError::Uid { expected: entry.uid, found: peer.uid });
    }
    match &kernel.stamp {
        Some(read) => by_stamp(socket, entry, read)?,
        None => by_process(socket, entry, agents)?,
    }
    Ok(Caller { run: entry.run, cgroup: entry.cgroup })
}

fn by_stamp(socket: BorrowedFd<'_>, entry: &RunEntry, read: &ReadStamp) -> Result<(), CallerError> {
    let stamp = read(socket)
        .map_err(io::Error::other)
        .map_err(unknown("the stamp"))?
        .ok_or(CallerError::NoStamp)?;
    if stamp.run != entry.cgroup.0 {
        return Err(CallerError::Cgroup {
            expected: entry.cgroup.to_string(),
            found: stamp.run.to_string(),
        });
    }
    Ok(())
}

/// The pidfd keeps the process id from being reused while `/proc` is read, as long as the process
/// lives; that it does is asked last.
fn by_process(
    socket: BorrowedFd<'_>,
    entry: &RunEntry,
    agents: &Agents,
) -> Result<(), CallerError> {
    let pidfd = sys::peer::pidfd(socket).map_err(unknown("SO_PEERPIDFD"))?;
    let pid = sys::peer::process(pidfd.as_fd()).map_err(unknown("the pidfd's fdinfo"))?;
    let pid = pid.ok_or(CallerError::Gone)?;
    let cgroups = match fs::read_to_string(format!("/proc/{pid}/cgroup")) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(CallerError::Gone),
        Err(error) => return Err(unknown("the process's cgroup")(error)),
    };
    is_of_run(&cgroups, entry, agents)?;
    if sys::peer::has_ended(pidfd.as_fd()).map_err(unknown("the pidfd"))? {
        return Err(CallerError::Gone);
    }
    Ok(())
}

/// Whether `cgroups`, the text of `/proc/PID/cgroup` (cgroups(7)), lies in the run's cgroup, and
/// that cgroup is the registered one and not a later one of the same name.
fn is_of_run(cgroups: &str, entry: &RunEntry, agents: &Agents) -> Result<(), CallerError> {
    let found = cgroups.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or_default();
    let run = entry.run.to_string();
    let other = || CallerError::Cgroup {
        expected: agents.spelled.join(&run).display().to_string(),
        found: found.to_owned(),
    };
    let below = Path::new(found).strip_prefix(&agents.spelled).map_err(|_| other())?;
    if below.iter().next() != Some(run.as_ref()) {
        return Err(other());
    }
    let inode =
        fs::symlink_metadata(agents.dir.join(&run)).map_err(unknown("the run's cgroup"))?.ino();
    if inode != entry.cgroup.0 {
        return Err(CallerError::Cgroup {
            expected: entry.cgroup.to_string(),
            found: inode.to_string(),
        });
    }
    Ok(())
}

/// The mount point of the cgroup2 mount that `line` describes, and the path of `dir` from the root
/// of the hierarchy; `None` when `dir` is not in that mount.
fn spelled_by<'a>(line: &'a str, dir: &Path) -> Option<(&'a str, PathBuf)> {
    let (mount, file_system) = line.split_once(" - ")?;
    if file_system.split(' ').next() != Some("cgroup2") {
        return None;
    }
    let mut fields = mount.split(' ').skip(3);
    let (root, point) = (fields.next()?, fields.next()?);
    // A root above this namespace is spelled with `..`, and paths below it cannot be compared.
    if root.split('/').any(|part| part == "..") {
        return None;
    }
    let below = dir.strip_prefix(point).ok()?;
    Some((point, Path::new(root).join(below)))
}

fn unknown(what: &'static str) -> impl Fn(io::Error) -> CallerError {
    move |error| CallerError::Unknown { what, error }
}
