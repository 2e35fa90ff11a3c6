//! `MARKS` and `STAMPS`: what is kept on a socket itself and goes with it. For the gateway.

use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::Mutex;

use atf_common::records::{Mark, Stamp};
use aya::maps::{MapData, MapError, SkStorage};

use super::{locked, open};
use crate::call::CgroupId;
use crate::kernel::Posture;
use crate::kernel::error::KernelError;
use crate::kernel::programs::layers_of;
use crate::sys::bpf::Access;

/// The marks on listening sockets.
pub struct Marks {
    map: Mutex<SkStorage<MapData, Mark>>,
}

impl Marks {
    /// Opens the map pinned under `pin_dir`.
    ///
    /// # Errors
    /// When the cage is not up, or this process is not of the gateway's group.
    pub fn open(pin_dir: &Path) -> Result<Self, KernelError> {
        Ok(Self { map: Mutex::new(open(pin_dir, "MARKS", Access::Write)?) })
    }

    /// Marks a listening socket as the gateway's for one run. No other run can connect to it then
    /// (layer B).
    ///
    /// # Errors
    /// The kernel's.
    pub fn mark(&self, listener: BorrowedFd<'_>, cgroup: CgroupId) -> Result<(), KernelError> {
        let marked = locked(&self.map).insert(&listener, Mark { run: cgroup.0 }, 0);
        marked.map_err(KernelError::object("MARKS"))
    }
}

/// The stamps on accepted sockets: who connected, by the kernel's word.
pub struct Stamps {
    map: SkStorage<MapData, Stamp>,
}

impl Stamps {
    /// Opens the map pinned under `pin_dir`; `None` when no program writes stamps (no layer B).
    ///
    /// # Errors
    /// When the cage is not up, or this process is not of ATF's group.
    pub fn open(pin_dir: &Path) -> Result<Option<Self>, KernelError> {
        let config = super::config(pin_dir)?;
        if layers_of(&config) != Posture::Full {
            return Ok(None);
        }
        Ok(Some(Self { map: open(pin_dir, "STAMPS", Access::Read)? }))
    }

    /// The stamp on an accepted socket; `None` when it has none: no run made the connection.
    ///
    /// # Errors
    /// The kernel's.
    pub fn read(&self, accepted: BorrowedFd<'_>) -> Result<Option<Stamp>, KernelError> {
        match self.map.get(&accepted, 0) {
            Ok(stamp) => Ok(Some(stamp)),
            Err(MapError::KeyNotFound) => Ok(None),
            Err(error) => Err(KernelError::object("STAMPS")(error)),
        }
    }
}
