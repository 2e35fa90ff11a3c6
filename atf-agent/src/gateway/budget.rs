//! What a run may have recorded at full speed that does not count towards its seal. Past it each record
//! costs the run a pause, so that no run fills the log. It starts anew with the gateway.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How long a run waits for each answer past its budget, and a sealed one for each no: with all of its
/// calls under way a run makes some sixty records a second, which any disk takes for its hour.
pub(super) const PAUSE: Duration = Duration::from_millis(250);

/// Refusals without a pause that do not count: the probes of an SDK, or some retries while a part of
/// ATF is away.
const REFUSALS_FREE: u64 = 20;

/// Unknown methods that do not speak against a run. SDKs probe for a handful each time they connect;
/// who is told no a hundred times and goes on is no SDK.
const UNKNOWN_FREE: u64 = 100;

/// Answers to `initialize` and `tools/list` without a pause: an agent makes one each for a session.
const TOLD_FREE: u64 = 100;

/// What one run has used up.
#[derive(Debug, Default)]
pub(super) struct Budget {
    refusals: AtomicU64,
    unknown: AtomicU64,
    told: AtomicU64,
}

impl Budget {
    /// Takes one refusal that does not count; whether it has to wait.
    #[must_use = "a refusal past the budget has to wait"]
    pub(super) fn refusal(&self) -> bool {
        self.refusals.fetch_add(1, Ordering::SeqCst) >= REFUSALS_FREE
    }

    /// Takes one unknown method; whether it counts like any refusal.
    #[must_use = "an unknown method past the budget counts"]
    pub(super) fn unknown_method(&self) -> bool {
        self.unknown.fetch_add(1, Ordering::SeqCst) >= UNKNOWN_FREE
    }

    /// Takes one answer that tells something and reaches no tool; whether it has to wait.
    #[must_use = "an answer past the budget has to wait"]
    pub(super) fn told(&self) -> bool {
        self.told.fetch_add(1, Ordering::SeqCst) >= TOLD_FREE
    }

    /// An operator lifted the seal: all begins anew, or the next probe would seal again.
    pub(super) fn renew(&self) {
        for used in [&self.refusals, &self.unknown, &self.told] {
            used.store(0, Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_budget_ends_and_is_renewed() {
        let budget = Budget::default();
        type Take = fn(&Budget) -> bool;
        let takes = [
            ("refusals", REFUSALS_FREE, Budget::refusal as Take),
            ("unknown methods", UNKNOWN_FREE, Budget::unknown_method),
            ("answers", TOLD_FREE, Budget::told),
        ];
        for (what, free, take) in takes {
            assert!((0..free).all(|_| !take(&budget)), "{what}: the control");
            assert!((0..3).all(|_| take(&budget)), "{what}");
        }
        budget.renew();
        for (what, _, take) in takes {
            assert!(!take(&budget), "{what}");
        }
    }
}
