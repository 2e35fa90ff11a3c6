//! Where the cage stands: the agents' cgroup and the pin directory. Finding it needs no privilege.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use super::error::KernelError;
use super::{Mode, Posture, Settings};
use crate::call::{CgroupId, RunId};
use crate::wire::Places;

/// The one child of the agents' cgroup that is no run: it keeps the agents' cgroup from being
/// removed, which would silently detach every program.
pub(super) const KEEP: &str = "keep";

/// How the names of canaries' cgroups begin.
pub(super) const CANARY: &str = "atf-canary-";

/// The places of one cage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cage {
    /// The agents' cgroup, absolute. Each run is a direct child.
    pub agents_dir: PathBuf,
    /// Where the kernel objects are pinned.
    pub pin_dir: PathBuf,
    /// The layers that are good enough, by the posture that they make when they hold.
    pub posture: Posture,
    /// What is wanted of the programs.
    pub mode: Mode,
    /// Where the enforcer keeps what it has tried.
    pub state_dir: PathBuf,
    /// The agents' cgroup's level under the root of the hierarchy.
    pub(super) level: u32,
    /// Where the hierarchy is mounted.
    pub(super) mount: PathBuf,
}

impl Cage {
    /// Finds the cgroup2 hierarchy in `/proc/self/mountinfo`.
    ///
    /// # Errors
    /// When there is none, or the configured cgroup is not a path below it.
    pub fn locate(places: &Places, settings: &Settings) -> Result<Self, KernelError> {
        let path = Path::new("/proc/self/mountinfo");
        let mounts = std::fs::read_to_string(path).map_err(KernelError::doing("read", path))?;
        Self::among(&mounts, places, settings)
    }

    fn among(mounts: &str, places: &Places, settings: &Settings) -> Result<Self, KernelError> {
        let (mount, above) = cgroup2(mounts).ok_or(KernelError::NoCgroup2)?;
        let below = Path::new(&settings.cgroup);
        let plain = |part| matches!(part, Component::Normal(_));
        let depth = below.components().count();
        if depth == 0 || !below.components().all(plain) {
            return Err(KernelError::CgroupName { found: settings.cgroup.clone() });
        }
        Ok(Self {
            agents_dir: mount.join(below),
            pin_dir: places.pin_dir.clone(),
            posture: settings.posture,
            mode: settings.mode,
            state_dir: places.state("enforcer"),
            level: (above + depth) as u32,
            mount,
        })
    }

    /// The cgroup directory of a run.
    pub fn run_dir(&self, run: RunId) -> PathBuf {
        self.agents_dir.join(run.to_string())
    }

    /// The cgroup directories of all runs that are there, registered or not.
    pub fn run_dirs(&self) -> Vec<PathBuf> {
        let listed = std::fs::read_dir(&self.agents_dir).into_iter().flatten();
        let dirs = listed.flatten().map(|entry| entry.path());
        let is_run = |dir: &PathBuf| {
            let name = dir.file_name().unwrap_or_default().as_encoded_bytes();
            dir.is_dir() && name != KEEP.as_bytes() && !name.starts_with(CANARY.as_bytes())
        };
        dirs.filter(is_run).collect()
    }

    /// The id of the agents' cgroup.
    ///
    /// # Errors
    /// When it is not there.
    pub fn agents_id(&self) -> Result<CgroupId, KernelError> {
        cgroup_id(&self.agents_dir)
    }

    /// The level of the directory at which the hierarchy is mounted.
    pub(super) fn level_of_mount(&self) -> u32 {
        let below = self.agents_dir.strip_prefix(&self.mount);
        let depth = below.map_or(0, |below| below.components().count());
        self.level - depth as u32
    }

    pub(super) fn open_agents(&self) -> Result<File, KernelError> {
        File::open(&self.agents_dir).map_err(KernelError::doing("open", &self.agents_dir))
    }

    pub(super) fn links_dir(&self) -> PathBuf {
        self.pin_dir.join("links")
    }
}

/// The id of a cgroup: the inode number of its directory.
pub(super) fn cgroup_id(dir: &Path) -> Result<CgroupId, KernelError> {
    let found = std::fs::metadata(dir).map_err(KernelError::doing("look at", dir))?;
    Ok(CgroupId(found.ino()))
}

/// The first mount of cgroup2 in the text of a mountinfo file (proc_pid_mountinfo(5)), and how deep
/// below the hierarchy's root it begins.
fn cgroup2(mounts: &str) -> Option<(PathBuf, usize)> {
    mounts.lines().find_map(|line| {
        let (mount, source) = line.split_once(" - ")?;
        if source.split(' ').next() != Some("cgroup2") {
            return None;
        }
        let mut fields = mount.split(' ').skip(3);
        let root = Path::new(fields.next()?);
        let depth = root.components().filter(|part| matches!(part, Component::Normal(_))).count();
        Some((PathBuf::from(fields.next()?), depth))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
36 31 0:33 / /sys/fs/cgroup/memory rw,relatime shared:5 - cgroup cgroup rw,memory
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:9 master:1 - cgroup2 cgroup2 rw
";
    const DEEP: &str = "30 23 0:26 /machine/one /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";

    #[test]
    fn the_hierarchy_is_found_wherever_it_is_mounted() {
        for (mounts, cgroup, expected) in [
            (HYBRID, "atf/agents", Some(("/sys/fs/cgroup/unified/atf/agents", 2))),
            (DEEP, "agents", Some(("/sys/fs/cgroup/agents", 3))),
            ("", "agents", None),
            (HYBRID, "../agents", None),
            (HYBRID, "/agents", None),
            (HYBRID, "", None),
        ] {
            let settings = Settings { cgroup: cgroup.to_owned(), ..Settings::default() };
            let found = Cage::among(mounts, &Places::default(), &settings).ok();
            let found = found.map(|cage| (cage.level_of_mount(), cage.agents_dir, cage.level));
            let above = if mounts == DEEP { 2 } else { 0 };
            let expected = expected.map(|(dir, level)| (above, PathBuf::from(dir), level));
            assert_eq!(found, expected, "{cgroup} in {mounts}");
        }
    }
}
