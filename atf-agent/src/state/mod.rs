//! What a process remembers across calls and restarts. Nothing here decides.

mod caps;
pub mod files;

pub use caps::{CapError, Caps, Reservation};
