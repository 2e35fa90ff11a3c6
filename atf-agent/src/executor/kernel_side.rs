//! The kernel as the executor sees it: whether a run is sealed, and whose cgroup it is.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use crate::call::{CgroupId, RunId};

/// Why the kernel gave no answer.
pub type KernelFault = Box<dyn std::error::Error + Send + Sync>;

/// What the executor asks the kernel. A closure, so that permits can be tested where no map exists.
pub struct KernelSide {
    /// Whether a run can do nothing any more. An error means sealed.
    pub sealed: Box<dyn Fn(CgroupId) -> Result<bool, KernelFault> + Send + Sync>,
    /// The agents' cgroup: an absolute path. Each run's is a direct child with the run's id as name.
    pub agents_dir: PathBuf,
}

impl KernelSide {
    /// Whether the cgroup of `run` is there and has this id: so that a permit cannot name the
    /// unsealed cgroup of another run.
    pub(super) fn has_cgroup(&self, run: RunId, cgroup: CgroupId) -> bool {
        let meta = std::fs::metadata(self.agents_dir.join(run.to_string()));
        meta.is_ok_and(|meta| meta.is_dir() && meta.ino() == cgroup.0)
    }
}
