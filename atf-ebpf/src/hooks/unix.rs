//! Unix sockets as the cgroup hooks see them, from Linux 6.7 on: the address, and not the peer
//! socket. So they can seal a run, and not tell its gateway from another listener.

use atf_common::operation::{AF_UNIX, Operation};
use atf_common::vector::Vector;
use aya_ebpf::bindings::bpf_sock_addr;

use crate::report::{Actor, Attempt, answer};
use crate::run;

// aya knows no section for these two. They stand in sections of programs with the same context;
// the loader gives the true attach type (`atf_agent::kernel::unix`).

#[unsafe(no_mangle)]
#[unsafe(link_section = "cgroup/connect4")]
pub fn connect_unix(_ctx: *mut bpf_sock_addr) -> i32 {
    judge(Vector::ConnectUnix)
}

#[unsafe(no_mangle)]
#[unsafe(link_section = "cgroup/sendmsg4")]
pub fn sendmsg_unix(_ctx: *mut bpf_sock_addr) -> i32 {
    judge(Vector::SendmsgUnix)
}

#[inline(always)]
fn judge(vector: Vector) -> i32 {
    let run = run::of_current();
    let attempt = Attempt { run, vector, actor: Actor::Process, family: AF_UNIX, detail: 0 };
    answer(attempt, run::judge(run, Operation::Always))
}
