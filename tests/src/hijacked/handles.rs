//! Handles that a careless parent left open.

use rustix::io::{self, Errno};

use super::trial::Trial;
use crate::lab::address;
use crate::sys::descriptor;

/// The descriptors that are looked at: a parent that leaks more has other worries.
const LOOKED_AT: std::ops::Range<i32> = 3..256;

/// Writes the secret to every descriptor above the standard three.
pub(super) fn inherited(trial: &mut Trial) -> io::Result<()> {
    let mut outcome = Err(Errno::BADF);
    for number in LOOKED_AT {
        if trial.step(|| descriptor::write(number, address::SECRET)).is_ok() {
            outcome = Ok(());
        }
    }
    outcome
}
