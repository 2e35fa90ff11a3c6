//! The kernel's half, seen from the daemons: load, pins, maps, events, proof and posture. The only
//! room that knows aya.

mod settings;

pub use settings::Settings;

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
