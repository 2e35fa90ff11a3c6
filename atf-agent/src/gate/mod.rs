//! gate

pub mod sql;
