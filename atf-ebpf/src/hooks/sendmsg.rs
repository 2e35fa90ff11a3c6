//! Datagrams to an INET address on a socket that is not connected. A v4-mapped address arrives at
//! `sendmsg4`. No run has a socket for them.

use atf_common::vector::Vector;
use aya_ebpf::macros::cgroup_sock_addr;
use aya_ebpf::programs::SockAddrContext;

use super::address::forbid;

#[cgroup_sock_addr(sendmsg4)]
pub fn sendmsg4(ctx: SockAddrContext) -> i32 {
    forbid(&ctx, Vector::Sendmsg4)
}

#[cgroup_sock_addr(sendmsg6)]
pub fn sendmsg6(ctx: SockAddrContext) -> i32 {
    forbid(&ctx, Vector::Sendmsg6)
}
