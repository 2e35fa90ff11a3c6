//! The kernel programs on this kernel. Needs root, and fails without it.

mod bridge;
mod cell;
mod count;
mod held;
mod inet;
mod life;
mod observe;
mod pins;
mod seal;
mod selftest;
mod unix;
mod watch;
