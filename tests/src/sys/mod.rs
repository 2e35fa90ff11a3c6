//! The tests' own syscall room: what neither std nor rustix offers safely. The attacker needs odd
//! ones, so they are not in the product's.
#![allow(unsafe_code, reason = "the tests' one syscall room; every block says why it is sound")]

pub mod address;
pub mod descriptor;
pub mod namespace;
pub mod terminal;
pub mod uring;
