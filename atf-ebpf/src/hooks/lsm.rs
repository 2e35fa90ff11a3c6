//! Layer B: sockets of every family as they are made, and the peers of unix sockets. Attached to
//! the agents' cgroup (`lsm_cgroup`), so the answers are 1 and 0 here too.

use core::ffi::c_void;

use atf_common::operation::{AF_UNIX, NOBODY, Operation, is_inet};
use atf_common::vector::Vector;
use atf_common::verdict::Denial;
use aya_ebpf::macros::lsm_cgroup;
use aya_ebpf::programs::LsmContext;

use super::{stamp, stamped_for};
use crate::maps::{MARKS, OWNERS, STAMPS, of_socket, put_on_socket};
use crate::report::{Actor, Attempt, answer};
use crate::run;

/// Where `struct socket` has its `struct sock *sk`: the same on every kernel of the support table.
/// The verifier types the loaded word by the kernel's own BTF and refuses the program when it is
/// not a socket, so a kernel with another layout gets no layer B rather than a wrong one.
const SOCKET_SK_OFFSET: usize = 24;

/// `socket_create(int family, int type, int protocol, int kern)`
#[lsm_cgroup(hook = "socket_create")]
pub fn socket_create(ctx: LsmContext) -> i32 {
    let (family, kind, protocol): (u32, u32, u32) = (ctx.arg(0), ctx.arg(1), ctx.arg(2));
    let kernel_made: u32 = ctx.arg(3);
    if kernel_made != 0 {
        return 1;
    }
    let run = run::of_current();
    let verdict = run::judge(run, Operation::Create { family, kind, protocol });
    answer(create(run, family, kind), verdict)
}

/// `socket_post_create(struct socket *sock, int family, int type, int protocol, int kern)`: the
/// socket's owner. No hook of this layer can tell in which network an INET socket is, so that one without
/// layer A's stamp ends here, which says whose it is as well. Counted only when it fails; `socket_create`
/// has counted the socket.
#[lsm_cgroup(hook = "socket_post_create")]
pub fn socket_post_create(ctx: LsmContext) -> i32 {
    let socket: *const u8 = ctx.arg(0);
    let (family, kind): (u32, u32) = (ctx.arg(1), ctx.arg(2));
    let kernel_made: u32 = ctx.arg(4);
    if kernel_made != 0 {
        return 1;
    }
    let run = run::of_current();
    if is_inet(family) {
        let made = Operation::Traffic { stamped_for: stamped_for(sk(socket)) };
        return match run::judge(run, made) {
            Ok(()) => 1,
            Err(denial) => answer(create(run, family, kind), Err(denial)),
        };
    }
    if run != NOBODY && put_on_socket(&OWNERS, sk(socket), stamp(run)) {
        return 1;
    }
    answer(create(run, family, kind), Err(Denial::HelperFailed))
}

/// `unix_stream_connect(struct sock *sock, struct sock *other, struct sock *newsk)`: `other` is the
/// listening socket itself, and `newsk` the one that `accept` will return.
#[lsm_cgroup(hook = "unix_stream_connect")]
pub fn unix_stream_connect(ctx: LsmContext) -> i32 {
    let (other, newsk): (*mut c_void, *mut c_void) = (ctx.arg(1), ctx.arg(2));
    let run = run::of_current();
    let marked_for = of_socket(&MARKS, other).map(|mark| mark.run);
    // The run's gateway learns from the stamp who is calling. A listener of the run's own gives it
    // another socket of its own.
    let told = if marked_for == Some(run) { &STAMPS } else { &OWNERS };
    let verdict = run::judge(run, Operation::Connect { marked_for, owner: owner(other) });
    let verdict = verdict.and_then(|()| match put_on_socket(told, newsk, stamp(run)) {
        true => Ok(()),
        false => Err(Denial::HelperFailed),
    });
    answer(unix(run, Vector::UnixStreamConnect), verdict)
}

/// `unix_may_send(struct socket *sock, struct socket *other)`: datagrams stay within the run.
#[lsm_cgroup(hook = "unix_may_send")]
pub fn unix_may_send(ctx: LsmContext) -> i32 {
    let other: *const u8 = ctx.arg(1);
    let run = run::of_current();
    let verdict = run::judge(run, Operation::Reach { owner: owner(sk(other)) });
    answer(unix(run, Vector::UnixMaySend), verdict)
}

/// The run that made a socket.
#[inline(always)]
pub fn owner(sk: *mut c_void) -> Option<u64> {
    of_socket(&OWNERS, sk).map(|owner| owner.run)
}

/// The `struct sock` of a `struct socket`; null when it has none.
#[inline(always)]
pub fn sk(socket: *const u8) -> *mut c_void {
    // SAFETY: `socket` is an argument of the hook, typed by the verifier, which also makes a read
    // through a null pointer give zero.
    unsafe { socket.add(SOCKET_SK_OFFSET).cast::<*mut c_void>().read() }
}

#[inline(always)]
fn create(run: u64, family: u32, kind: u32) -> Attempt {
    Attempt { run, vector: Vector::SocketCreate, actor: Actor::Process, family, detail: kind }
}

#[inline(always)]
fn unix(run: u64, vector: Vector) -> Attempt {
    Attempt { run, vector, actor: Actor::Process, family: AF_UNIX, detail: 0 }
}
