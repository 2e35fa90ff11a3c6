//! sys

pub mod bpf;
pub mod canary;
pub mod peer;
