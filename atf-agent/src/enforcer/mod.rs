//! The bodies of `atf enforcer up|check|watch|down`. One-shot except `watch`, which listens to
//! nobody. What stands in the kernel stands without any of them.

mod freeze;
mod log;
mod watch;

pub use watch::{Seen, Watch, watch};

use crate::call::CgroupId;
use crate::kernel::maps::Runs;
use crate::kernel::{self, Cage, KernelError, Proof};
use crate::wire::{Ids, Places};

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

/// Why the cage was not put up.
#[derive(Debug, thiserror::Error)]
pub enum UpError {
    /// A cage that enforces stays one while the log does not say otherwise.
    #[error(
        "the cage enforces and cage.mode is observe, which has to be in the log first: {why}; start the recorder, or end all runs and `atf enforcer down`"
    )]
    Unrecorded {
        /// What the recorder said, or what kept it from being asked.
        why: String,
    },
    /// The kernel said no.
    #[error(transparent)]
    Kernel(#[from] KernelError),
}

/// Puts the cage up, or repairs it. Idempotent. A cage that enforces is made one that observes only when
/// the configuration says so and the log has it.
///
/// # Errors
/// See [`kernel::up`] and [`UpError`].
pub fn up(cage: &Cage, ids: &Ids, places: &Places) -> Result<Proof, UpError> {
    match kernel::up(cage, ids) {
        Err(KernelError::Enforces) => {
            let runs = registered(cage)?.len();
            let detail = format!("the cage enforced and observes from now on; runs: {runs}");
            log::record(&places.recorder_socket(), "cage.loosened", &detail)
                .map_err(|why| UpError::Unrecorded { why })?;
            Ok(kernel::loosen(cage, ids)?)
        }
        done => Ok(done?),
    }
}

/// Puts this version's programs in the place of those that stand.
///
/// # Errors
/// See [`kernel::renew`].
pub fn renew(cage: &Cage, ids: &Ids) -> Result<Proof, KernelError> {
    kernel::renew(cage, ids)
}

/// Proves that the cage stands.
///
/// # Errors
/// [`KernelError::Mismatch`] with everything that is wrong.
pub fn check(cage: &Cage) -> Result<Proof, KernelError> {
    kernel::prove(cage)
}

/// Whether no cage was put up here, or the last one was taken down: nothing is pinned.
pub fn is_absent(cage: &Cage) -> bool {
    match std::fs::read_dir(&cage.pin_dir) {
        Ok(mut pins) => pins.next().is_none(),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Settings;

    #[test]
    fn a_cage_without_a_pin_is_absent() {
        let dir = tempfile::tempdir().unwrap();
        let places = Places { pin_dir: dir.path().join("pins"), ..Places::default() };
        let cage = Cage::locate(&places, &Settings::default()).unwrap();
        assert!(is_absent(&cage), "never put up");
        std::fs::create_dir(&cage.pin_dir).unwrap();
        assert!(is_absent(&cage), "taken down");
        std::fs::write(cage.pin_dir.join("CONFIG"), "").unwrap();
        assert!(!is_absent(&cage), "what is damaged is not absent");
    }
}
