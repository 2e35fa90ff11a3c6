//! What a process remembers across calls and restarts. Nothing here decides.

mod entry;
pub mod files;
mod registry;

pub use entry::{Ended, Registered, RegistryError};
pub use registry::Registry;
