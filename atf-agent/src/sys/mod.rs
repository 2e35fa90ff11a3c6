//! The one room for system calls that need `unsafe`: each topic is a file of small safe functions.
//! Where rustix has a safe call, the rooms use that instead. No decision is made here.

pub mod as_user;
#[cfg(test)]
pub mod attempt;
pub mod bpf;
pub mod canary;
pub mod clone;
pub mod daemon;
pub mod descriptors;
pub mod landlock;
pub mod logins;
pub mod mounts;
pub mod network;
pub mod peer;
pub mod privileges;
pub mod seccomp;
pub mod signals;
