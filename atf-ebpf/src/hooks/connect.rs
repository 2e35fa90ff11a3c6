//! Connecting to an INET address. `connect4` also sees fast open, MPTCP and io_uring; a v4-mapped
//! address arrives at `connect6`.

use atf_common::vector::Vector;
use aya_ebpf::macros::cgroup_sock_addr;
use aya_ebpf::programs::SockAddrContext;

use super::address::{judge4, judge6};

#[cgroup_sock_addr(connect4)]
pub fn connect4(ctx: SockAddrContext) -> i32 {
    judge4(&ctx, Vector::Connect4)
}

#[cgroup_sock_addr(connect6)]
pub fn connect6(ctx: SockAddrContext) -> i32 {
    judge6(&ctx, Vector::Connect6)
}
