//! The kernel as the authority sees it: the handful of operations on the map of runs that it may do.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use atf_common::mode::Mode;
use atf_common::records::{Run, State};

use crate::call::{CgroupId, RunId};

/// Why an operation on a map failed.
pub type KernelFault = Box<dyn std::error::Error + Send + Sync>;

/// An operation on the entry of a cgroup.
type ByCgroup<T> = Box<dyn Fn(CgroupId) -> Result<T, KernelFault> + Send + Sync>;
/// Writes the entry of a cgroup.
type Write = Box<dyn Fn(CgroupId, Run) -> Result<(), KernelFault> + Send + Sync>;

/// What the authority may do to the kernel's maps. Closures, so that the registry can be tested
/// where no map exists.
pub struct KernelSide {
    /// Admits a run that is not there.
    pub admit: Write,
    /// Gives an admitted run new ends.
    pub extend: Write,
    /// What the programs say of a run.
    pub state: ByCgroup<Option<State>>,
    /// Lifts the latch of a run whose DENY entry is gone.
    pub unlatch: ByCgroup<()>,
    /// Forgets a run; none is no error.
    pub remove: ByCgroup<()>,
    /// Every admitted run.
    pub all: Box<dyn Fn() -> Result<Vec<CgroupId>, KernelFault> + Send + Sync>,
    /// What the programs that stand now do with what they deny.
    pub mode: Box<dyn Fn() -> Result<Mode, KernelFault> + Send + Sync>,
    /// The agents' cgroup: an absolute path. Each run's is a direct child with the run's id as name.
    pub agents_dir: PathBuf,
}

impl KernelSide {
    /// Whether the cgroup of `run` is there and has this id.
    pub(super) fn has_cgroup(&self, run: RunId, cgroup: CgroupId) -> bool {
        let meta = std::fs::metadata(self.agents_dir.join(run.to_string()));
        meta.is_ok_and(|meta| meta.is_dir() && meta.ino() == cgroup.0)
    }
}
