//! Lines for whoever works on the programs, in builds with the feature `log` alone. Numbers only: what
//! they mean is in `atf_common`.

use atf_common::mode::Mode;
use atf_common::verdict::Denial;

use crate::report::Attempt;

/// Says what was denied, or would be.
#[cfg(feature = "log")]
#[inline(always)]
pub fn line(attempt: Attempt, denial: Denial, mode: Mode) {
    // aya-log asks for the program's context, and does nothing with it.
    aya_log_ebpf::debug!(
        attempt,
        "run {} vector {} denial {} mode {} family {} detail {}",
        attempt.run,
        attempt.vector as u32,
        denial as u32,
        mode.number(),
        attempt.family,
        attempt.detail
    );
}

/// Says nothing.
#[cfg(not(feature = "log"))]
#[inline(always)]
pub fn line(_: Attempt, _: Denial, _: Mode) {}
