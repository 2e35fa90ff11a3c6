//! What a process remembers between calls.

mod caps;

pub use caps::{CapError, Caps, Reservation};
