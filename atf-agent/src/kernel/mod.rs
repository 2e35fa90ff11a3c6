//! The kernel's half, seen from the daemons: load, pins, maps, events, proof and posture. The only
//! room that knows aya.

mod attach;
mod cage;
mod canary;
mod clock;
mod down;
mod error;
pub mod events;
pub mod maps;
pub mod matrix;
mod object;
mod pins;
mod probe;
mod programs;
mod proof;
mod settings;
mod unix;
mod up;

pub use cage::Cage;
pub use clock::{boot_ms, boot_ns};
pub use down::down;
pub use error::KernelError;
pub use matrix::Row;
pub use probe::{Feature, Report, probe};
pub use proof::{Proof, ProvenProgram, prove};
pub use settings::Settings;
pub use up::up;

use serde::{Deserialize, Serialize};

/// How much of the cage this kernel can hold. Ordered: a later one holds more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Posture {
    /// Not enough for any promise: nothing starts.
    Refuse,
    /// Layers A and C; no BPF LSM. What that leaves open is listed by `atf doctor`.
    Core,
    /// Layers A, B and C.
    Full,
}
