//! What the hooks of addresses have in common: a stamped socket may have an address of the loopback,
//! and nothing else may have any.

use atf_common::loopback::{is_loopback4, is_loopback6};
use atf_common::operation::{AF_INET, AF_INET6, Operation};
use atf_common::vector::Vector;
use aya_ebpf::helpers::generated::bpf_get_netns_cookie;
use aya_ebpf::programs::SockAddrContext;

use super::branded_or_stamped_for;
use crate::report::{Actor, Attempt, answer};
use crate::run;

/// For the hooks of IPv4, which alone may read the address of that form. A caller can write another
/// family into it.
#[inline(always)]
pub fn judge4(ctx: &SockAddrContext, vector: Vector) -> i32 {
    // SAFETY: the program's context; both are whole words that the kernel lets these programs read.
    let (family, address) = unsafe { ((*ctx.sock_addr).user_family, (*ctx.sock_addr).user_ip4) };
    judge(ctx, vector, family == AF_INET && is_loopback4(address))
}

/// The same for IPv6.
#[inline(always)]
pub fn judge6(ctx: &SockAddrContext, vector: Vector) -> i32 {
    // SAFETY: as above. Word by word: the kernel lets programs read no more of an address at once.
    let (family, address) = unsafe {
        let ip6 = &raw const (*ctx.sock_addr).user_ip6;
        let word = |n: usize| ip6.cast::<u32>().add(n).read_volatile();
        ((*ctx.sock_addr).user_family, [word(0), word(1), word(2), word(3)])
    };
    judge(ctx, vector, family == AF_INET6 && is_loopback6(address))
}

/// For what is no stream.
#[inline(always)]
pub fn forbid(ctx: &SockAddrContext, vector: Vector) -> i32 {
    let run = run::of_current();
    answer(attempt(ctx, run, vector), run::judge(run, Operation::Never))
}

#[inline(always)]
fn judge(ctx: &SockAddrContext, vector: Vector, is_loopback: bool) -> i32 {
    let run = run::of_current();
    // SAFETY: as above; the kernel types the pointer as the socket that the hook is called for.
    let (kind, protocol, sk) = unsafe {
        let addr = ctx.sock_addr;
        ((*addr).type_, (*addr).protocol, (*addr).__bindgen_anon_1.sk)
    };
    // SAFETY: the program's context.
    let network = unsafe { bpf_get_netns_cookie(ctx.sock_addr.cast()) };
    let stamped_for = branded_or_stamped_for(run, sk);
    let operation = Operation::Address { stamped_for, kind, protocol, network, is_loopback };
    answer(attempt(ctx, run, vector), run::judge(run, operation))
}

#[inline(always)]
fn attempt(ctx: &SockAddrContext, run: u64, vector: Vector) -> Attempt {
    // SAFETY: as above.
    let (family, port) = unsafe { ((*ctx.sock_addr).user_family, (*ctx.sock_addr).user_port) };
    Attempt {
        run,
        vector,
        actor: Actor::Process,
        family,
        detail: u32::from((port as u16).swap_bytes()),
    }
}
