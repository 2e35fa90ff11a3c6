//! sys

pub mod peer;
