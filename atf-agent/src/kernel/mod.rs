//! The kernel's half, seen from the daemons: load, pins, maps, events, proof and posture. The only
//! room that knows aya.

mod attach;
mod cage;
mod canary;
mod clock;
mod down;
mod error;
pub mod events;
#[cfg(feature = "kernel-lines")]
mod lines;
pub mod maps;
pub mod matrix;
mod object;
mod pins;
mod probe;
mod programs;
mod proof;
pub mod selftest;
mod settings;
mod tree;
mod unix;
mod up;

pub use cage::Cage;
pub use clock::{boot_ms, boot_ns};
pub use down::down;
pub use error::KernelError;
#[cfg(feature = "kernel-lines")]
pub use lines::lines;
pub use matrix::Row;
pub use pins::can_pin;
pub use probe::{Feature, Report, probe};
pub use proof::{Proof, ProvenProgram, prove};
pub use settings::Settings;
pub use up::{loosen, renew, up};

pub use atf_common::mode::Mode;

use serde::{Deserialize, Serialize};

/// How much of the cage this kernel can hold. Ordered: a later one holds more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Posture {
    /// Not enough for any promise: nothing starts.
    Refuse,
    /// The programs stand and hold nobody: [`Mode::Observe`].
    Observe,
    /// Layers A and C; no BPF LSM. What that leaves open is listed by `atf doctor`.
    Core,
    /// Layers A, B and C.
    Full,
}

impl Posture {
    /// The posture of a cage of these layers in this mode: one that only observes claims neither CORE
    /// nor FULL.
    pub fn under(self, mode: Mode) -> Self {
        match mode {
            Mode::Enforce => self,
            Mode::Observe => self.min(Self::Observe),
        }
    }

    /// The spelling of the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Refuse => "REFUSE",
            Self::Observe => "OBSERVE",
            Self::Core => "CORE",
            Self::Full => "FULL",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cage_that_observes_claims_no_posture_that_holds() {
        use Posture::{Core, Full, Observe, Refuse};
        for (layers, enforcing, observing) in
            [(Full, Full, Observe), (Core, Core, Observe), (Refuse, Refuse, Refuse)]
        {
            assert_eq!(layers.under(Mode::Enforce), enforcing);
            assert_eq!(layers.under(Mode::Observe), observing);
            assert!(layers.under(Mode::Observe) < Core);
        }
    }
}
