//! The kernel as the executor sees it: whether a run is sealed, and whose cgroup it is.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use parking_lot::RwLock;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, open, statat};

use crate::call::{CgroupId, RunId};

/// Why the kernel gave no answer.
pub type KernelFault = Box<dyn std::error::Error + Send + Sync>;

/// What the executor asks the kernel. A closure, so that permits can be tested where no map exists.
pub struct KernelSide {
    /// Whether a run can do nothing any more. An error means sealed.
    pub sealed: Box<dyn Fn(CgroupId) -> Result<bool, KernelFault> + Send + Sync>,
    /// Where the runs' cgroups are.
    pub agents: Agents,
}

impl KernelSide {
    /// Whether the cgroup of `run` is there and has this id: so that a permit cannot name the
    /// unsealed cgroup of another run.
    pub(super) fn has_cgroup(&self, run: RunId, cgroup: CgroupId) -> bool {
        self.agents.cgroup_of(run) == Some(cgroup)
    }
}

/// The agents' cgroup. It is held open: most of what it costs to look for a run's is the way there from the root.
pub struct Agents {
    path: PathBuf,
    held: RwLock<Option<OwnedFd>>,
}

impl Agents {
    /// The one at the absolute path. Each run's is a direct child with the run's id as name.
    pub fn at(path: PathBuf) -> Self {
        Self { path, held: RwLock::new(None) }
    }

    /// The id of the run's cgroup, when it is there now.
    fn cgroup_of(&self, run: RunId) -> Option<CgroupId> {
        let name = run.to_string();
        if let Some(dir) = &*self.held.read()
            && let Some(id) = child(dir, &name)
        {
            return Some(id);
        }
        // The one that is held may be gone, and another in its place.
        let dir =
            open(&self.path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
        let dir = dir.ok()?;
        let id = child(&dir, &name);
        *self.held.write() = Some(dir);
        id
    }
}

/// The id of the cgroup `name` in `dir`: its inode (kernfs).
fn child(dir: &OwnedFd, name: &str) -> Option<CgroupId> {
    let stat = statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
    let is_dir = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
    is_dir.then_some(CgroupId(stat.st_ino))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn a_cgroup_is_found_as_it_is_now_and_where_it_is_now() {
        let dir = tempfile::tempdir().unwrap();
        let (path, run) = (dir.path().join("agents"), RunId::random());
        let of_run = path.join(run.to_string());
        let agents = Agents::at(path.clone());
        let there = |path: &PathBuf| fs::metadata(path).ok().map(|meta| CgroupId(meta.ino()));
        assert_eq!(agents.cgroup_of(run), None, "nothing is there");
        fs::create_dir_all(&of_run).unwrap();
        for _ in 0..2 {
            assert_eq!(agents.cgroup_of(run), there(&of_run));
            assert_eq!(agents.cgroup_of(RunId::random()), None);
        }
        // The agents' cgroup is removed, and another one is made.
        fs::remove_dir_all(&path).unwrap();
        assert_eq!(agents.cgroup_of(run), None);
        fs::create_dir_all(&of_run).unwrap();
        assert!(there(&of_run).is_some());
        assert_eq!(agents.cgroup_of(run), there(&of_run));
        // A run's alone is.
        fs::remove_dir(&of_run).unwrap();
        assert_eq!(agents.cgroup_of(run), None);
        fs::write(&of_run, "no cgroup").unwrap();
        assert_eq!(agents.cgroup_of(run), None);
        fs::remove_file(&of_run).unwrap();
        std::os::unix::fs::symlink(dir.path(), &of_run).unwrap();
        assert_eq!(agents.cgroup_of(run), None, "a link is no cgroup");
    }
}
