//! Making an INET or INET6 socket, of any type and protocol: raw, SCTP and MPTCP too, and by
//! io_uring. The kernel calls this for no other family. A stream of TCP on a run's own loopback is branded
//! and stamped here, and passes the other hooks by that alone.

use core::ptr;

use atf_common::loopback::brand;
use atf_common::operation::Operation;
use atf_common::vector::Vector;
use atf_common::verdict::Denial;
use aya_ebpf::bindings::bpf_sock;
use aya_ebpf::helpers::generated::bpf_get_netns_cookie;
use aya_ebpf::macros::cgroup_sock;
use aya_ebpf::programs::SockContext;

use super::stamp;
use crate::maps::{LOOPBACK, put_on_own};
use crate::report::{Actor, Attempt, answer};
use crate::run;

#[cgroup_sock(sock_create)]
pub fn sock_create(ctx: SockContext) -> i32 {
    let run = run::of_current();
    // SAFETY: the program's context; the kernel lets it read the words.
    let (family, kind, protocol) =
        unsafe { ((*ctx.sock).family, (*ctx.sock).type_, (*ctx.sock).protocol) };
    // SAFETY: the context, or null, which stands for the host's first network namespace
    // (bpf-helpers(7)).
    let (network, host) =
        unsafe { (bpf_get_netns_cookie(ctx.sock.cast()), bpf_get_netns_cookie(ptr::null_mut())) };
    let operation = Operation::CreateInet { family, kind, protocol, network, host };
    let verdict = run::judge(run, operation).and_then(|()| match is_put(ctx.sock, run) {
        true => Ok(()),
        false => Err(Denial::HelperFailed),
    });
    let attempt =
        Attempt { run, vector: Vector::SockCreate, actor: Actor::Process, family, detail: kind };
    answer(attempt, verdict)
}

/// Says on a socket that is about to be made whose loopback it is on: to this layer by its brand, which costs
/// nothing, and to layer B, where that is up, by a stamp. A brand alone would not do there, where sockets come from
/// outside: who made one may have put any mark on it.
#[inline(always)]
#[must_use = "a socket that says nothing is nobody's"]
fn is_put(sock: *mut bpf_sock, run: u64) -> bool {
    let brand = brand(run);
    // SAFETY: the program's context; the kernel lets the programs of this hook write that word.
    unsafe { (*sock).mark = brand };
    brand != 0 && (!run::is_layer_b_up() || put_on_own(&LOOPBACK, sock, stamp(run)))
}
