//! Making an INET or INET6 socket, of any type and protocol: raw, SCTP and MPTCP too, and by
//! io_uring. The kernel calls this for no other family.

use atf_common::operation::Operation;
use atf_common::vector::Vector;
use aya_ebpf::macros::cgroup_sock;
use aya_ebpf::programs::SockContext;

use crate::report::{Actor, Attempt, answer};
use crate::run;

#[cgroup_sock(sock_create)]
pub fn sock_create(ctx: SockContext) -> i32 {
    let run = run::of_current();
    // SAFETY: the program's context; the kernel lets it read both words.
    let (family, kind) = unsafe { ((*ctx.sock).family, (*ctx.sock).type_) };
    let attempt =
        Attempt { run, vector: Vector::SockCreate, actor: Actor::Process, family, detail: kind };
    answer(attempt, run::judge(run, Operation::Never))
}
