//! How a run ends, and how a seal is lifted. An end is never put off: the kernel forgets the run
//! first, and what then fails is made up for by the sweep.

use std::collections::HashSet;

use atf_common::records::State;
use atf_common::vector::Vector;

use super::Authority;
use super::clock::{boot_ms, now_unix_s};
use super::error::AuthorityError;
use crate::audit::Event;
use crate::call::{RunId, Untrusted};
use crate::state::{Ended, Registered};
use crate::wire::{AuthorityReply, Registry};

/// Milliseconds after its absolute end for which a run's own launcher may still end it.
const END_GRACE_MS: u64 = 30_000;

/// The system call filter among the vectors. It is there whenever it was counted, with zeros too: a run
/// without it is one of which nobody knows what its filter refused.
const LAYER_C: &str = "seccomp";

/// How a run ends whose parent has.
pub(super) const ABOVE_ENDED: &str = "the run above it has ended";

impl Authority {
    /// Forgets a run. One that has ended already is no error: the launcher may ask twice.
    pub(super) fn end(
        &mut self,
        run: RunId,
        how: Untrusted,
        refused: Option<[u64; 6]>,
    ) -> Result<AuthorityReply, AuthorityError> {
        let sealed = match self.registry.get(run)? {
            Some(live) => self.forget_counted(&live, how, refused)?,
            None => false,
        };
        Ok(AuthorityReply::Was { sealed })
    }

    /// Lifts a seal: the gateway's entry first, or the kernel would latch the run again.
    pub(super) fn release(
        &mut self,
        run: RunId,
        uid: u32,
    ) -> Result<AuthorityReply, AuthorityError> {
        let live = self.live(run)?;
        let sealed = is_sealed((self.kernel.state)(live.cgroup).map_err(AuthorityError::Kernel)?);
        // In the log before the act: a seal that nobody lifted stays.
        self.log.record(vec![Event::Released { run, uid }])?;
        self.subscriber.tell(&Registry::Release { run })?;
        (self.kernel.unlatch)(live.cgroup).map_err(AuthorityError::Kernel)?;
        Ok(AuthorityReply::Was { sealed })
    }

    /// Ends what is past its end or has lost its cgroup or the run above it, and records the start and the ends that
    /// are not in the log.
    pub(super) fn sweep(&mut self) {
        let live = match self.registry.live() {
            Ok(live) => live,
            Err(error) => {
                tracing::error!(%error, "the registry cannot be read");
                return;
            }
        };
        let now_boot_ms = boot_ms();
        let ids: HashSet<RunId> = live.iter().map(|run| run.run).collect();
        for run in live {
            // It may have gone with the run above it.
            if matches!(self.registry.get(run.run), Ok(None)) {
                continue;
            }
            let how = if run.end_boot_ms.saturating_add(END_GRACE_MS) <= now_boot_ms {
                "its absolute end has passed"
            } else if run.chain.parent().is_some_and(|parent| !ids.contains(&parent)) {
                ABOVE_ENDED
            } else if self.kernel.has_cgroup(run.run, run.cgroup) {
                continue;
            } else {
                "its cgroup is gone"
            };
            if let Err(error) = self.forget(&run, how.into()) {
                tracing::error!(run = %run.run, %error, "a run cannot be ended");
            }
        }
        self.log.catch_up();
        self.record_ends();
    }

    /// Takes a run, and then the runs below it, out of the kernel, the registry and the gateway, in this
    /// order.
    pub(super) fn forget(
        &mut self,
        run: &Registered,
        how: Untrusted,
    ) -> Result<(), AuthorityError> {
        self.forget_counted(run, how, None).map(drop)
    }

    /// As [`Authority::forget`], with what the run's keeper counted of its system call filter. Says whether the run was
    /// sealed.
    fn forget_counted(
        &mut self,
        run: &Registered,
        how: Untrusted,
        refused: Option<[u64; 6]>,
    ) -> Result<bool, AuthorityError> {
        let state = (self.kernel.state)(run.cgroup).map_err(AuthorityError::Kernel)?;
        (self.kernel.remove)(run.cgroup).map_err(AuthorityError::Kernel)?;
        let mut kernel = state.map(|state| counters(&state)).unwrap_or_default();
        kernel.extend(refused.map(|counts| (LAYER_C.to_owned(), counts)));
        let ended = Ended { run: run.run, how, kernel };
        self.registry.end(&ended, now_unix_s())?;
        if let Err(error) = self.subscriber.tell(&Registry::Close { run: run.run }) {
            // Its next snapshot says so too, and the kernel no longer lets anybody through.
            tracing::warn!(run = %run.run, %error, "the gateway was not told of an end");
        }
        self.end_below(run.run)?;
        self.record_ends();
        Ok(is_sealed(state))
    }

    /// Puts the ends into the log that are not there. What fails is tried again by the next sweep.
    pub(super) fn record_ends(&mut self) {
        let ended = match self.registry.unrecorded() {
            Ok(ended) => ended,
            Err(error) => {
                tracing::error!(%error, "the registry cannot be read");
                return;
            }
        };
        for Ended { run, how, kernel } in ended {
            let recorded = self
                .log
                .record(vec![Event::RunEnded { run, how, kernel }])
                .and_then(|()| Ok(self.registry.recorded(run, now_unix_s())?));
            if let Err(error) = recorded {
                tracing::warn!(%run, %error, "the end of a run is not in the log yet");
                return;
            }
        }
    }
}

/// Whether the kernel holds a run as sealed.
pub(super) fn is_sealed(state: Option<State>) -> bool {
    state.is_some_and(|state| state.latched_boot_ns != 0)
}

/// What the programs counted, vectors that saw nothing left out.
fn counters(state: &State) -> Vec<(String, [u64; 6])> {
    Vector::ALL
        .iter()
        .filter_map(|vector| {
            let seen = state.vectors.get(*vector as usize)?;
            let told = (seen.events, seen.suppressed, seen.dropped);
            let counts = [seen.allowed, seen.denied, told.0, told.1, told.2, seen.observed];
            (counts != [0; 6]).then(|| (vector.name().to_owned(), counts))
        })
        .collect()
}
