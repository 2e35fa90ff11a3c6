//! Binding to an INET address. Listening without binding does not come here; `sock_create` has
//! refused the socket by then.

use atf_common::vector::Vector;
use aya_ebpf::macros::cgroup_sock_addr;
use aya_ebpf::programs::SockAddrContext;

use super::forbid_address;

#[cgroup_sock_addr(bind4)]
pub fn bind4(ctx: SockAddrContext) -> i32 {
    forbid_address(&ctx, Vector::Bind4)
}

#[cgroup_sock_addr(bind6)]
pub fn bind6(ctx: SockAddrContext) -> i32 {
    forbid_address(&ctx, Vector::Bind6)
}
