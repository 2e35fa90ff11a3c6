//! Whether a run is sealed or over, read-only. For the executor, which asks the kernel before it acts and
//! believes nobody else.

use std::path::Path;

use atf_common::limits::LEASE_TTL_MS;
use atf_common::records::{Deny, Lease, Release, Run, State};
use atf_common::verdict::{self, Facts};

use super::runs::without_lifted_latch;
use super::{ByRun, open, value};
use crate::call::CgroupId;
use crate::kernel::clock::boot_ms;
use crate::kernel::error::KernelError;
use crate::sys::bpf::Access;

/// The seals, for reading.
pub struct Seals {
    runs: ByRun<Run>,
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
            runs: open(pin_dir, "RUNS", Access::Read)?,
            deny: open(pin_dir, "DENY", Access::Read)?,
            states: open(pin_dir, "STATES", Access::Read)?,
            releases: open(pin_dir, "RELEASES", Access::Read)?,
        })
    }

    /// Whether the run can do nothing: denied, latched, over, its token over, or no run at all.
    ///
    /// # Errors
    /// The kernel's. An error means sealed.
    #[must_use = "a seal that nobody looks at is none"]
    pub fn sealed(&self, cgroup: CgroupId) -> Result<bool, KernelError> {
        let state = value(&self.states, "STATES", cgroup)?;
        // Nothing is lifted where nothing is latched.
        let released = match state {
            Some(state) if state.latched_boot_ns != 0 => value(&self.releases, "RELEASES", cgroup)?,
            Some(_) | None => None,
        };
        let state = state.map(|state| without_lifted_latch(state, released));
        Ok(is_sealed(
            value(&self.runs, "RUNS", cgroup)?,
            value(&self.deny, "DENY", cgroup)?.is_some(),
            state.map(|state| state.latched_boot_ns),
            boot_ms(),
        ))
    }
}

/// The kernel programs' own verdict, but for the lease: it is the gateway's life, which who asks for
/// an act has shown already.
fn is_sealed(run: Option<Run>, deny: bool, latched_boot_ns: Option<u64>, now_boot_ms: u64) -> bool {
    // The lease is the gateway's to keep, not the executor's to judge: here it always holds.
    let lease = Some(Lease { until_boot_ms: now_boot_ms + LEASE_TTL_MS });
    verdict::live(&Facts { run, deny, latched_boot_ns, lease }, now_boot_ms).is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The attack: a permit for a run that the authority has ended or no longer renews.
    #[test]
    fn a_run_that_is_over_or_unknown_is_sealed() {
        let run =
            |end_boot_ms, token_boot_ms| Some(Run { end_boot_ms, token_boot_ms, netns_cookie: 0 });
        for (name, run, deny, latched, expected) in [
            ("the control", run(11, 11), false, Some(0), false),
            ("no run", None, false, Some(0), true),
            ("no state", run(11, 11), false, None, true),
            ("denied", run(11, 11), true, Some(0), true),
            ("latched", run(11, 11), false, Some(1), true),
            ("the run's end", run(10, 11), false, Some(0), true),
            ("the token's end", run(11, 10), false, Some(0), true),
        ] {
            assert_eq!(is_sealed(run, deny, latched, 10), expected, "{name}");
        }
    }
}
