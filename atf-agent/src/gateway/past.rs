//! What a run has seen, as the gateway remembers it. It is not on the disk: after a gateway's restart a run's
//! results are from nowhere, and it counts as one that has read a secret.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::after::Passed;
use super::line::unavailable;
use crate::call::{Named, Refusal, Step};
use crate::gate::{self, Act, Checked, Known, Pins, Traced};

/// What a run has seen; nothing is known before the authority has told what its task names.
#[derive(Default)]
pub(super) struct Past(Mutex<Option<Known>>);

impl Past {
    /// The run begins now.
    pub(super) fn begins(&self, named: &Named) {
        *self.known() = Some(Known::fresh(named));
    }

    /// The run began before this gateway, or this gateway knows it already.
    pub(super) fn told(&self, named: &Named) {
        self.known().get_or_insert_with(|| Known::resumed(named));
    }

    /// Where a call's values come from.
    ///
    /// # Errors
    /// When the tool's pin asks, and the authority has not told yet what the run's task names: a moment
    /// after a restart.
    pub(super) fn trace(&self, checked: Checked) -> Result<Traced, Refusal> {
        match self.known().as_ref() {
            Some(known) => Ok(gate::trace(checked, known)),
            None if checked.asks() => {
                Err(unavailable(Step::Policy, "what the run's task names is not told yet"))
            }
            None => Ok(gate::trace(checked, &Known::resumed(&Named::nothing()))),
        }
    }

    /// The call is about to be made.
    pub(super) fn acts(&self, pins: &Pins, act: &Act) {
        match (self.known().as_mut(), pins.trace()) {
            (Some(known), true) => known.does(act),
            // Pins that ask may come by a reload, and what is not noted now is not known then.
            (Some(known), false) => known.overlooks(),
            (None, _) => {}
        }
    }

    /// The run is about to get its result.
    pub(super) fn learns(&self, pins: &Pins, act: &Act, result: &Result<Passed, Refusal>) {
        if let Some(known) = self.known().as_mut().filter(|_| pins.trace())
            && let Ok(passed) = result
            && let Some(text) = passed.learnt()
        {
            known.is_given(act, text);
        }
    }

    /// A holder that panicked leaves something out, which is then from nowhere.
    fn known(&self) -> MutexGuard<'_, Option<Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
