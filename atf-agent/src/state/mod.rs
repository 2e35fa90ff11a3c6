//! What a process remembers across calls and restarts. Nothing here decides.

pub mod files;
mod registry;

pub use registry::{Ended, Registered, Registry, RegistryError};
