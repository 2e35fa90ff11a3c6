//! A run's cgroup: made with its limits, emptied, removed.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::call::{CgroupId, RunId};

use super::error::{Doing, RunError};
use super::settings::Settings;

/// How long the kernel may take to end a run's processes. Killing is immediate unless a process is
/// in an uninterruptible call, which on local file systems takes moments.
const EMPTY_WAIT_MAX: Duration = Duration::from_secs(10);

/// Pause between two looks at `cgroup.events`.
const EMPTY_PAUSE: Duration = Duration::from_millis(2);

/// How deep cgroups inside a run are followed at removal. A run cannot make any: it sees no cgroupfs.
const DEPTH_MAX: u32 = 32;

/// The cgroup of one run, a direct child of the agents' cgroup.
pub(super) struct Cgroup {
    path: PathBuf,
    directory: File,
    /// Its id, by which the kernel and the authority know the run.
    pub(super) id: CgroupId,
    /// Limits that could not be set, and why.
    pub(super) not_limited: Vec<String>,
}

impl Cgroup {
    /// Makes the cgroup of `run` below `agents_dir` and sets the limits that the host offers.
    pub(super) fn make(
        agents_dir: &Path,
        run: RunId,
        settings: &Settings,
    ) -> Result<Self, RunError> {
        let path = agents_dir.join(run.to_string());
        let doing = format!("make the cgroup {}", path.display());
        fs::create_dir(&path).doing(&doing)?;
        let mut made = Self::open(path.clone()).doing(&doing).inspect_err(|_| {
            let _gone = fs::remove_dir(&path);
        })?;
        made.not_limited = limit(agents_dir, &path, settings);
        Ok(made)
    }

    /// The cgroup of a run that another process made; `None` when there is none.
    pub(super) fn find(agents_dir: &Path, run: RunId) -> io::Result<Option<Self>> {
        match Self::open(agents_dir.join(run.to_string())) {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn open(path: PathBuf) -> io::Result<Self> {
        let directory = File::open(&path)?;
        let id = CgroupId(directory.metadata()?.ino());
        Ok(Self { path, directory, id, not_limited: Vec::new() })
    }

    /// The directory, to start a process in it.
    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }

    /// Kills every process in it and below, and waits until none is left. What went wrong, if
    /// anything did.
    pub(super) fn kill(&self) -> Option<String> {
        self.empty().err().map(|error| format!("cannot kill the run's processes: {error}"))
    }

    /// Removes it and those below. What went wrong, if anything did.
    pub(super) fn remove(&self) -> Option<String> {
        remove_tree(&self.path, DEPTH_MAX)
            .err()
            .map(|error| format!("cannot remove {}: {error}", self.path.display()))
    }

    fn empty(&self) -> io::Result<()> {
        let deadline = Instant::now() + EMPTY_WAIT_MAX;
        while self.is_populated()? {
            // Since Linux 5.14; before that, processes one by one, again and again.
            match fs::write(self.path.join("cgroup.kill"), "1") {
                Err(error) if error.kind() == io::ErrorKind::NotFound => kill_each(&self.path)?,
                done => done?,
            }
            if Instant::now() >= deadline {
                let why = format!("some still live after {} s", EMPTY_WAIT_MAX.as_secs());
                return Err(io::Error::new(io::ErrorKind::TimedOut, why));
            }
            std::thread::sleep(EMPTY_PAUSE);
        }
        Ok(())
    }

    fn is_populated(&self) -> io::Result<bool> {
        let events = fs::read_to_string(self.path.join("cgroup.events"))?;
        Ok(events.lines().any(|line| line == "populated 1"))
    }
}

/// Sets the limits; returns those that could not be set.
fn limit(agents_dir: &Path, path: &Path, settings: &Settings) -> Vec<String> {
    let limits = [
        ("pids", "pids.max", settings.pids_max.to_string()),
        ("memory", "memory.max", settings.memory_bytes_max.to_string()),
        ("memory", "memory.swap.max", "0".to_owned()),
        // A run is one thing: half of one, with its other half killed, helps nobody.
        ("memory", "memory.oom.group", "1".to_owned()),
    ];
    let mut not_limited = Vec::new();
    for (controller, file, value) in limits {
        let enabled =
            fs::write(agents_dir.join("cgroup.subtree_control"), format!("+{controller}"));
        // When the file is there, the limit can be set, whoever enabled the controller.
        if let Err(error) = fs::write(path.join(file), &value) {
            let why = enabled.err().unwrap_or(error);
            not_limited.push(format!("{file} = {value}: {why}"));
        }
    }
    not_limited
}

fn kill_each(path: &Path) -> io::Result<()> {
    for child in children(path)? {
        kill_each(&child)?;
    }
    for pid in fs::read_to_string(path.join("cgroup.procs"))?.lines() {
        if let Some(pid) = pid.parse().ok().and_then(Pid::from_raw) {
            // It may have ended by itself; the caller looks again.
            let _gone = kill_process(pid, Signal::KILL);
        }
    }
    Ok(())
}

fn remove_tree(path: &Path, depth: u32) -> io::Result<()> {
    if depth > 0 {
        for child in children(path)? {
            remove_tree(&child, depth - 1)?;
        }
    }
    fs::remove_dir(path)
}

fn children(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.push(entry.path());
        }
    }
    Ok(found)
}
