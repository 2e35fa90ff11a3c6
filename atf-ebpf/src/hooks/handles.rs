//! Layer B beyond sockets of the run's own making: what others hand over or hold, and the kernel's own
//! door. What the launcher's filter refuses, too; here it holds for whoever gets past the launcher.

use core::ffi::c_void;

use atf_common::operation::{Operation, is_local};
use atf_common::vector::Vector;
use aya_ebpf::helpers::generated::bpf_sock_from_file;
use aya_ebpf::macros::lsm_cgroup;
use aya_ebpf::programs::LsmContext;

use super::lsm::{owner, sk};
use super::stamped_for;
use crate::report::{Actor, Attempt, answer};
use crate::run;

/// Where `struct sock` has its family, `__sk_common.skc_family`: the same on every kernel of the
/// support table. A kernel with another layout would show another number there, and be denied.
const SOCK_FAMILY_OFFSET: usize = 16;

/// `PTRACE_MODE_ATTACH` of linux/ptrace.h: to change, or to take; reading what `ps` reads is less.
const PTRACE_MODE_ATTACH: u32 = 2;

/// `socket_sendmsg(struct socket *sock, struct msghdr *msg, int size)`: a run makes no socket but
/// local ones and stamped ones of its own loopback, so any other came from outside, whoever it belonged
/// to. Local ones are neither counted nor slowed down.
#[lsm_cgroup(hook = "socket_sendmsg")]
pub fn socket_sendmsg(ctx: LsmContext) -> i32 {
    let socket: *const u8 = ctx.arg(0);
    let sock: *const u8 = sk(socket).cast();
    // Newer verifiers demand the check; a socket without one has no family, and is denied.
    if sock.is_null() {
        return forbid(Vector::SocketSendmsg, 0, 0);
    }
    // SAFETY: `sock` is typed by the verifier as a socket of the kernel, and is not null.
    let family = u32::from(unsafe { sock.add(SOCK_FAMILY_OFFSET).cast::<u16>().read() });
    if is_local(family) {
        return 1;
    }
    let run = run::of_current();
    let verdict = run::judge(run, Operation::Traffic { stamped_for: stamped_for(sk(socket)) });
    answer(attempt(run, Vector::SocketSendmsg, family, 0), verdict)
}

/// `file_receive(struct file *file)`: SCM_RIGHTS and pidfd_getfd(2). Files and pipes may be handed
/// over, and sockets that the run made itself.
#[lsm_cgroup(hook = "file_receive")]
pub fn file_receive(ctx: LsmContext) -> i32 {
    let file: *mut c_void = ctx.arg(0);
    // SAFETY: `file` is an argument of the hook, typed by the verifier.
    let socket: *const u8 = unsafe { bpf_sock_from_file(file.cast()) }.cast_const().cast();
    if socket.is_null() {
        return 1;
    }
    let run = run::of_current();
    // A socket on the run's loopback has its stamp alone.
    let maker = owner(sk(socket)).or_else(|| stamped_for(sk(socket)));
    let verdict = run::judge(run, Operation::Reach { owner: maker });
    answer(attempt(run, Vector::FileReceive, 0, 0), verdict)
}

/// `ptrace_access_check(struct task_struct *child, unsigned int mode)`: tracing, `/proc/PID/mem`,
/// process_vm_*(2), pidfd_getfd(2).
#[lsm_cgroup(hook = "ptrace_access_check")]
pub fn ptrace_access_check(ctx: LsmContext) -> i32 {
    let mode: u32 = ctx.arg(1);
    if mode & PTRACE_MODE_ATTACH == 0 {
        return 1;
    }
    forbid(Vector::PtraceAccessCheck, 0, mode)
}

/// `bpf(int cmd, union bpf_attr *attr, unsigned int size)`
#[lsm_cgroup(hook = "bpf")]
pub fn bpf(ctx: LsmContext) -> i32 {
    let command: u32 = ctx.arg(0);
    forbid(Vector::Bpf, 0, command)
}

#[inline(always)]
fn forbid(vector: Vector, family: u32, detail: u32) -> i32 {
    let run = run::of_current();
    answer(attempt(run, vector, family, detail), run::judge(run, Operation::Never))
}

#[inline(always)]
fn attempt(run: u64, vector: Vector, family: u32, detail: u32) -> Attempt {
    Attempt { run, vector, actor: Actor::Process, family, detail }
}
