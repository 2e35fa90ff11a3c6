//! Cgroups of the lab's own, and moves between cgroups that only root can make.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A cgroup that is removed with its value.
#[derive(Debug)]
pub struct Cgroup {
    path: PathBuf,
}

impl Cgroup {
    /// Makes the cgroup `name` under `parent`.
    ///
    /// # Errors
    /// When it exists and cannot be used, or we may not.
    pub fn new(parent: &Path, name: &str) -> io::Result<Self> {
        let path = parent.join(name);
        match fs::create_dir(&path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(Self { path }),
        }
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Moves a process into it.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn take(&self, process: u32) -> io::Result<()> {
        fs::write(self.path.join("cgroup.procs"), process.to_string())
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // What is still in it keeps it; the demo's end removes the rest.
        drop(fs::remove_dir(&self.path));
    }
}

/// The mount point of cgroup2, wherever it is (proc_pid_mountinfo(5)).
///
/// # Errors
/// When there is none.
pub fn mount_point() -> io::Result<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let found = mounts.lines().find_map(|line| {
        let (place, kind) = line.split_once(" - ")?;
        kind.starts_with("cgroup2 ").then(|| place.split(' ').nth(4))?
    });
    found.map(PathBuf::from).ok_or_else(|| io::Error::other("cgroup2 is not mounted"))
}

/// The processes of `program` in the cgroup at `path` that have `word` among their arguments.
///
/// # Errors
/// When the cgroup is not there.
pub fn processes_with(path: &Path, program: &str, word: &str) -> io::Result<Vec<u32>> {
    let listed = fs::read_to_string(path.join("cgroup.procs"))?;
    let processes = listed.lines().filter_map(|line| line.parse().ok());
    let wanted = |process: &u32| {
        let line = fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
        let mut words = line.split(|byte| *byte == 0);
        words.next().is_some_and(|first| first.ends_with(program.as_bytes()))
            && words.any(|argument| argument == word.as_bytes())
    };
    Ok(processes.filter(wanted).collect())
}
