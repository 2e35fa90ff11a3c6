//! The kernel as the gateway sees it: the handful of operations on the maps that it may do.

use std::os::fd::BorrowedFd;
use std::path::PathBuf;

use atf_common::mode::Mode;
use atf_common::records::Stamp;

use crate::call::CgroupId;

/// Why an operation on a map failed.
pub type KernelFault = Box<dyn std::error::Error + Send + Sync>;

/// An operation by cgroup.
type ByCgroup<T> = Box<dyn Fn(CgroupId) -> Result<T, KernelFault> + Send + Sync>;
/// An operation that takes an argument beside.
type With<A> = Box<dyn Fn(A) -> Result<(), KernelFault> + Send + Sync>;
/// Marks the listening socket of a run.
type Mark = Box<dyn Fn(BorrowedFd<'_>, CgroupId) -> Result<(), KernelFault> + Send + Sync>;
/// Reads the stamp of an accepted socket.
pub type ReadStamp =
    Box<dyn Fn(BorrowedFd<'_>) -> Result<Option<Stamp>, KernelFault> + Send + Sync>;

/// What the gateway may do to the kernel's maps. Closures, so that the line can be tested where no
/// map exists.
pub struct KernelSide {
    /// Writes a run's DENY entry, with the boot clock's nanoseconds of the decision.
    pub seal: With<(CgroupId, u64)>,
    /// Removes a run's DENY entry; none is no error.
    pub unseal: ByCgroup<()>,
    /// Whether a run has a DENY entry.
    pub sealed: ByCgroup<bool>,
    /// Every run that has one.
    pub all_sealed: Box<dyn Fn() -> Result<Vec<CgroupId>, KernelFault> + Send + Sync>,
    /// Marks a listening socket as the one that a run may connect to.
    pub mark: Mark,
    /// The stamp of an accepted socket. `None` where layer B is absent: then the caller is proven
    /// by its process's cgroup.
    pub stamp: Option<ReadStamp>,
    /// Renews the lease until this time of the boot clock, in milliseconds.
    pub renew: With<u64>,
    /// What the programs that stand now do with what they deny.
    pub mode: Box<dyn Fn() -> Result<Mode, KernelFault> + Send + Sync>,
    /// The agents' cgroup: an absolute path.
    pub agents_dir: PathBuf,
}
