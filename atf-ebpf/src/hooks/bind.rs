//! Binding to an INET address. Listening without binding does not come here: it is a matter of the
//! run's own network, which `sock_create` has seen to.

use atf_common::vector::Vector;
use aya_ebpf::macros::cgroup_sock_addr;
use aya_ebpf::programs::SockAddrContext;

use super::address::{judge4, judge6};

#[cgroup_sock_addr(bind4)]
pub fn bind4(ctx: SockAddrContext) -> i32 {
    judge4(&ctx, Vector::Bind4)
}

#[cgroup_sock_addr(bind6)]
pub fn bind6(ctx: SockAddrContext) -> i32 {
    judge6(&ctx, Vector::Bind6)
}
