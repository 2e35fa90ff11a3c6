//! Two processors, one for each side of a measurement: a worker that never rests must not be where the thread
//! wakes that acts on it, or what is measured is the scheduler's slice.

use anyhow::{Context as _, Result, bail};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use super::worker::Worker;

/// This thread, on a processor of its own; at its end it may be anywhere again.
pub(super) struct Apart(CpuSet);

impl Apart {
    /// Parts this thread from `worker`, which stays where it is put.
    ///
    /// # Errors
    /// When there is but one processor.
    pub(super) fn from(worker: &Worker) -> Result<Self> {
        let allowed = sched_getaffinity(None).context("cannot read the affinity")?;
        let mut found = (0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu)).map(only);
        let (Some(ours), Some(its)) = (found.next(), found.next()) else {
            bail!("the seal is measured on two processors, and there is one");
        };
        sched_setaffinity(worker.pid(), &its).context("cannot set the worker's affinity")?;
        sched_setaffinity(None, &ours).context("cannot set the affinity")?;
        Ok(Self(allowed))
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        if let Err(error) = sched_setaffinity(None, &self.0) {
            eprintln!("atf-bench: this thread stays on one processor: {error}");
        }
    }
}

fn only(cpu: usize) -> CpuSet {
    let mut set = CpuSet::new();
    set.set(cpu);
    set
}
