//! Whether a run is sealed, read-only. For the executor, which asks the kernel before it acts and
//! believes nobody else.

use std::path::Path;

use atf_common::records::{Deny, Release, State};

use super::runs::without_lifted_latch;
use super::{ByRun, open, value};
use crate::call::CgroupId;
use crate::kernel::error::KernelError;
use crate::sys::bpf::Access;

/// The seals, for reading.
pub struct Seals {
    deny: ByRun<Deny>,
    states: ByRun<State>,
    releases: ByRun<Release>,
}

impl Seals {
    /// Opens the maps pinned under `pin_dir`.
    ///
    /// # Errors
    /// When the cage is not up, or this process is not of ATF's group.
    pub fn open(pin_dir: &Path) -> Result<Self, KernelError> {
        Ok(Self {
            deny: open(pin_dir, "DENY", Access::Read)?,
            states: open(pin_dir, "STATES", Access::Read)?,
            releases: open(pin_dir, "RELEASES", Access::Read)?,
        })
    }

    /// Whether the run can do nothing: denied, latched, or no run at all.
    ///
    /// # Errors
    /// The kernel's. An error means sealed.
    #[must_use = "a seal that nobody looks at is none"]
    pub fn sealed(&self, cgroup: CgroupId) -> Result<bool, KernelError> {
        if value(&self.deny, "DENY", cgroup)?.is_some() {
            return Ok(true);
        }
        let released = value(&self.releases, "RELEASES", cgroup)?;
        let state = value(&self.states, "STATES", cgroup)?;
        let state = state.map(|state| without_lifted_latch(state, released));
        Ok(state.is_none_or(|state| state.latched_boot_ns != 0))
    }
}
