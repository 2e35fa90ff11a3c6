//! `DENY`: which runs are sealed. For the gateway.

use std::path::Path;
use std::sync::Mutex;

use atf_common::records;

use super::{ByRun, keys, locked, open, remove, value};
use crate::call::CgroupId;
use crate::kernel::error::KernelError;
use crate::sys::bpf::Access;

/// The seals.
pub struct Deny {
    map: Mutex<ByRun<records::Deny>>,
}

impl Deny {
    /// Opens the map pinned under `pin_dir`.
    ///
    /// # Errors
    /// When the cage is not up, or this process is not of the gateway's group.
    pub fn open(pin_dir: &Path) -> Result<Self, KernelError> {
        Ok(Self { map: Mutex::new(open(pin_dir, "DENY", Access::Write)?) })
    }

    /// Seals a run; `decided_boot_ns` is when that was decided. Sealing it again changes nothing
    /// that matters.
    ///
    /// # Errors
    /// The kernel's: the run is not sealed then.
    pub fn seal(&self, cgroup: CgroupId, decided_boot_ns: u64) -> Result<(), KernelError> {
        let sealed = locked(&self.map).insert(cgroup.0, records::Deny { decided_boot_ns }, 0);
        sealed.map_err(KernelError::object("DENY"))
    }

    /// Removes the entry. The run stays sealed when a program has latched it.
    ///
    /// # Errors
    /// The kernel's.
    pub fn remove(&self, cgroup: CgroupId) -> Result<(), KernelError> {
        remove(&mut locked(&self.map), "DENY", cgroup)
    }

    /// Whether there is an entry.
    ///
    /// # Errors
    /// The kernel's.
    pub fn contains(&self, cgroup: CgroupId) -> Result<bool, KernelError> {
        Ok(value(&locked(&self.map), "DENY", cgroup)?.is_some())
    }

    /// Every entry's cgroup.
    ///
    /// # Errors
    /// The kernel's.
    pub fn all(&self) -> Result<Vec<CgroupId>, KernelError> {
        keys(&locked(&self.map), "DENY")
    }
}
