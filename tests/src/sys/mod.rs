//! The tests' own syscall room: what neither std nor rustix offers safely. The attacker needs odd
//! ones, so they are not in the product's.
#![allow(unsafe_code, reason = "the tests' one syscall room; every block says why it is sound")]

pub mod abi;
pub mod address;
pub mod child;
pub mod counters;
pub mod counting;
pub mod descriptor;
pub mod doors;
pub mod ipc;
pub mod memory;
pub mod message;
pub mod namespace;
pub mod option;
pub mod sockets;
pub mod terminal;
pub mod uring;
