//! What a process remembers across calls and restarts. Nothing here decides.

mod approvals;
#[cfg(test)]
mod approvals_killed;
#[cfg(test)]
mod approvals_tests;
#[cfg(test)]
mod busy;
mod caps;
mod counts;
mod counts_schema;
mod entry;
pub mod files;
mod hearings;
mod policy_files;
mod refused;
mod registry;
mod reservation;
mod shared;
mod turns;
mod versions;

pub use approvals::{ApprovalError, Approvals, Approved};
#[cfg(test)]
pub(crate) use busy::Busy;
pub use caps::{CapError, Caps, Demand};
pub use counts::{Boot, CountsError};
pub use entry::{Ended, Registered, RegistryError};
pub use hearings::{Hearings, kept};
pub use policy_files::{PolicyFiles, is_policy_file, policy_files};
pub use registry::Registry;
pub use reservation::{Reservation, Stays};
pub use shared::{Measure, Party, Share};
pub use turns::{Held, Pace, UNHEARD_HELD_MS};
pub use versions::{Version, VersionError, Versions};
