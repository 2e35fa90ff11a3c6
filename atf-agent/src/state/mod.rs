//! What a process remembers across calls and restarts. Nothing here decides.

mod caps;
pub mod files;
mod registry;

pub use caps::{CapError, Caps, Reservation};
pub use registry::{Ended, Registered, Registry, RegistryError};
