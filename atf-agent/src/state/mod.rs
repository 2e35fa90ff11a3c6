//! What a process remembers across calls and restarts. Nothing here decides.

mod caps;
mod counts;
mod entry;
pub mod files;
mod registry;
mod shared;

pub use caps::{CapError, Caps, Reservation, Shared};
pub use counts::CountsError;
pub use entry::{Ended, Registered, RegistryError};
pub use registry::Registry;
pub use shared::{Party, Share};
