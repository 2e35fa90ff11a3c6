//! `LEASE`: until when the gateway vouches that it is awake. For the gateway.

use std::path::Path;
use std::sync::Mutex;

use atf_common::records;
use aya::maps::{Array, MapData};

use super::{locked, open};
use crate::kernel::error::KernelError;
use crate::sys::bpf::Access;

/// The lease.
pub struct Lease {
    map: Mutex<Array<MapData, records::Lease>>,
}

impl Lease {
    /// Opens the map pinned under `pin_dir`.
    ///
    /// # Errors
    /// When the cage is not up, or this process is not of the gateway's group.
    pub fn open(pin_dir: &Path) -> Result<Self, KernelError> {
        Ok(Self { map: Mutex::new(open(pin_dir, "LEASE", Access::Write)?) })
    }

    /// Renews the lease until `until_boot_ms`, in milliseconds of the boot clock.
    ///
    /// # Errors
    /// The kernel's.
    pub fn renew(&self, until_boot_ms: u64) -> Result<(), KernelError> {
        let renewed = locked(&self.map).set(0, records::Lease { until_boot_ms }, 0);
        renewed.map_err(KernelError::object("LEASE"))
    }
}
