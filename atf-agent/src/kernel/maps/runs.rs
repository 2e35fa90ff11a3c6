//! `RUNS`, `STATES` and `RELEASES`: which runs there are, what the programs counted for them, and
//! which latches are lifted. For the authority.

use std::path::Path;
use std::sync::Mutex;

use atf_common::records::{Release, Run, State};

use super::{ByRun, keys, locked, open, remove, value};
use crate::call::CgroupId;
use crate::kernel::clock::boot_ns;
use crate::kernel::error::KernelError;
use crate::sys::bpf::Access;

/// `BPF_NOEXIST`: fail when there is an entry.
const NEW: u64 = 1;
/// `BPF_EXIST`: fail when there is none.
const THERE: u64 = 2;

/// The runs.
pub struct Runs {
    maps: Mutex<Maps>,
}

struct Maps {
    runs: ByRun<Run>,
    states: ByRun<State>,
    releases: ByRun<Release>,
}

impl Runs {
    /// Opens the maps pinned under `pin_dir`.
    ///
    /// # Errors
    /// When the cage is not up, or this process is not of the authority's group.
    pub fn open(pin_dir: &Path) -> Result<Self, KernelError> {
        let maps = Mutex::new(Maps {
            runs: open(pin_dir, "RUNS", Access::Write)?,
            states: open(pin_dir, "STATES", Access::Write)?,
            releases: open(pin_dir, "RELEASES", Access::Write)?,
        });
        Ok(Self { maps })
    }

    /// Admits a run: from now on it is live, if nothing else speaks against it.
    ///
    /// # Errors
    /// When the run is there already, or the map is full.
    pub fn admit(&self, cgroup: CgroupId, run: Run) -> Result<(), KernelError> {
        let mut maps = locked(&self.maps);
        maps.states
            .insert(cgroup.0, State::default(), NEW)
            .map_err(KernelError::object("STATES"))?;
        let admitted = maps.runs.insert(cgroup.0, run, NEW);
        if admitted.is_err() {
            remove(&mut maps.states, "STATES", cgroup)?;
        }
        admitted.map_err(KernelError::object("RUNS"))
    }

    /// Gives an admitted run new ends.
    ///
    /// # Errors
    /// When the run is not there.
    pub fn extend(&self, cgroup: CgroupId, run: Run) -> Result<(), KernelError> {
        let extended = locked(&self.maps).runs.insert(cgroup.0, run, THERE);
        extended.map_err(KernelError::object("RUNS"))
    }

    /// What the programs say of a run; `None` when it is not there. A lifted latch is no latch.
    ///
    /// # Errors
    /// The kernel's.
    pub fn state(&self, cgroup: CgroupId) -> Result<Option<State>, KernelError> {
        let maps = locked(&self.maps);
        let released = value(&maps.releases, "RELEASES", cgroup)?;
        let state = value(&maps.states, "STATES", cgroup)?;
        Ok(state.map(|state| without_lifted_latch(state, released)))
    }

    /// Lifts the latch of a run. The gateway's DENY entry must be gone first, or the programs latch
    /// it again.
    ///
    /// # Errors
    /// The kernel's.
    pub fn unlatch(&self, cgroup: CgroupId) -> Result<(), KernelError> {
        let released = Release { released_boot_ns: boot_ns() };
        let lifted = locked(&self.maps).releases.insert(cgroup.0, released, 0);
        lifted.map_err(KernelError::object("RELEASES"))
    }

    /// Forgets a run: from now on it can do nothing.
    ///
    /// # Errors
    /// The kernel's. What could be removed is removed, `RUNS` first.
    pub fn remove(&self, cgroup: CgroupId) -> Result<(), KernelError> {
        let mut maps = locked(&self.maps);
        let gone = remove(&mut maps.runs, "RUNS", cgroup);
        let gone = gone.and(remove(&mut maps.states, "STATES", cgroup));
        gone.and(remove(&mut maps.releases, "RELEASES", cgroup))
    }

    /// The cgroups of all admitted runs.
    ///
    /// # Errors
    /// The kernel's.
    pub fn all(&self) -> Result<Vec<CgroupId>, KernelError> {
        keys(&locked(&self.maps).runs, "RUNS")
    }
}

/// The state as the programs judge it: a latch that is not later than the release is void.
pub(super) fn without_lifted_latch(mut state: State, released: Option<Release>) -> State {
    if released.is_some_and(|released| released.released_boot_ns >= state.latched_boot_ns) {
        state.latched_boot_ns = 0;
    }
    state
}
