//! A run below another: a sub-agent's, for the same person and task, with no more than its parent has.

use super::Authority;
use super::clock::boot_ms;
use super::ending::ABOVE_ENDED;
use super::error::AuthorityError;
use super::manifest::Manifest;
use super::tokens::still_allowed;
use crate::call::{Delegator, RunId};
use crate::state::Registered;

impl Authority {
    /// The run that hands its task on, when it may.
    pub(super) fn delegating(&self, run: RunId) -> Result<Registered, AuthorityError> {
        let parent = self.live(run)?;
        if parent.end_boot_ms <= boot_ms() {
            return Err(AuthorityError::AtEnd { run });
        }
        let state = (self.kernel.state)(parent.cgroup).map_err(AuthorityError::Kernel)?;
        match state.is_some_and(|state| state.latched_boot_ns == 0) {
            true => Ok(parent),
            false => Err(AuthorityError::Sealed { run }),
        }
    }

    /// `run` with no more than the runs above it have now: each of them has to be live and not sealed,
    /// and the manifests of their agents take away as their own do.
    pub(super) fn below_all(&self, run: Registered) -> Result<Registered, AuthorityError> {
        let above: Vec<RunId> = run.chain.iter().map(|delegator| delegator.run).collect();
        above.into_iter().try_fold(run, |run, above| {
            let above = self.delegating(above)?;
            let manifest = Manifest::read(&self.places.agents_dir, &above.agent)?;
            let tools = still_allowed(&above.tools, &manifest.tools);
            let narrowing = above.narrowing.and(&manifest.narrowing());
            let reach = above.reach.also_in(&manifest.reach());
            Ok(within(run, &Registered { tools, narrowing, reach, ..above }))
        })
    }

    /// Ends the runs below one that has ended.
    pub(super) fn end_below(&mut self, run: RunId) -> Result<(), AuthorityError> {
        for child in self.registry.children(run)? {
            self.forget(&child, ABOVE_ENDED.into())?;
        }
        Ok(())
    }
}

/// `run` as the child of `parent`.
pub(super) fn child(run: Registered, parent: &Registered) -> Result<Registered, AuthorityError> {
    let delegator = Delegator { agent: parent.agent.clone(), run: parent.run };
    let run = Registered { chain: parent.chain.below(delegator), ..within(run, parent) };
    match run.chain.check(run.run) {
        Ok(()) => Ok(run),
        Err(what) => Err(AuthorityError::Chain { what }),
    }
}

/// `run` with no more than `parent` has.
fn within(run: Registered, parent: &Registered) -> Registered {
    Registered {
        tools: still_allowed(&run.tools, &parent.tools),
        narrowing: run.narrowing.and(&parent.narrowing),
        reach: run.reach.also_in(&parent.reach),
        end_boot_ms: run.end_boot_ms.min(parent.end_boot_ms),
        ..run
    }
}
