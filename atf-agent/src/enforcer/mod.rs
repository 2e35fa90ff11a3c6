//! The bodies of `atf enforcer up|check|watch|down`. One-shot except `watch`, which listens to
//! nobody. What stands in the kernel stands without any of them.

mod freeze;
mod watch;

pub use watch::{Seen, Watch, watch};

use crate::call::CgroupId;
use crate::kernel::maps::Runs;
use crate::kernel::{self, Cage, KernelError, Proof};
use crate::wire::Ids;

/// Why the cage was not taken down.
#[derive(Debug, thiserror::Error)]
pub enum DownError {
    /// There are runs; without the cage they would be loose.
    #[error("{} runs are registered; end them first, or force it", .0.len())]
    Runs(
        /// Their cgroups.
        Vec<CgroupId>,
    ),
    /// The kernel said no.
    #[error(transparent)]
    Kernel(#[from] KernelError),
}

/// Puts the cage up, or repairs it. Idempotent.
///
/// # Errors
/// See [`kernel::up`].
pub fn up(cage: &Cage, ids: &Ids) -> Result<Proof, KernelError> {
    kernel::up(cage, ids)
}

/// Proves that the cage stands.
///
/// # Errors
/// [`KernelError::Mismatch`] with everything that is wrong.
pub fn check(cage: &Cage) -> Result<Proof, KernelError> {
    kernel::prove(cage)
}

/// Takes the cage down: the only way to remove it. With `force` even while runs are registered.
///
/// # Errors
/// When there are runs, or the kernel says no.
pub fn down(cage: &Cage, force: bool) -> Result<(), DownError> {
    let runs = registered(cage)?;
    if !runs.is_empty() && !force {
        return Err(DownError::Runs(runs));
    }
    Ok(kernel::down(cage)?)
}

/// The registered runs; none when the cage is not up.
fn registered(cage: &Cage) -> Result<Vec<CgroupId>, KernelError> {
    if !cage.pin_dir.join("RUNS").exists() {
        return Ok(Vec::new());
    }
    Runs::open(&cage.pin_dir)?.all()
}
