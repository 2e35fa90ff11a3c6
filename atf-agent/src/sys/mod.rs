//! sys

pub mod bpf;
pub mod canary;
