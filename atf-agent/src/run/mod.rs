//! The launcher: makes a run's cage, puts the command into it, keeps it alive, and takes everything
//! down again. It judges nothing: the authority admits, the kernel holds, the gateway decides.

mod acting;
mod admission;
mod bridge;
mod cgroup;
mod checked;
mod directory;
mod error;
mod filter;
mod inside;
mod keeper;
mod launch;
mod listener;
mod local;
mod privileges;
mod refusals;
mod request;
mod settings;
mod start;
mod stdio;
mod supervisor;
mod sweep;
mod terminal;
mod view;
mod writes;

#[cfg(test)]
mod tests;

pub use bridge::{BRIDGE_PORT, BRIDGE_PORT_MIN};
pub use directory::is_gone;
pub use error::RunError;
pub use filter::allowed_calls;
pub use launch::launch;
pub use request::{Ended, Hooks, Request, Task};
pub use settings::Settings;
