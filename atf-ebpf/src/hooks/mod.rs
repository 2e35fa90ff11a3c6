//! The programs, one file a family. A program is a thin edge: it gathers what its hook shows, asks
//! for a verdict and hands both to `report::answer`.

mod bind;
mod connect;
mod create;
mod handles;
mod lsm;
mod packet;
mod sendmsg;
mod unix;

use atf_common::operation::Operation;
use atf_common::vector::Vector;
use aya_ebpf::programs::SockAddrContext;

use crate::report::{Actor, Attempt, answer};
use crate::run;

/// Forbids an operation with an INET address, whatever the address is.
#[inline(always)]
fn forbid_address(ctx: &SockAddrContext, vector: Vector) -> i32 {
    let run = run::of_current();
    // SAFETY: the program's context; both are whole words that the kernel lets every program read.
    let (family, port) = unsafe {
        let addr = ctx.sock_addr;
        ((*addr).user_family, (*addr).user_port)
    };
    let attempt = Attempt {
        run,
        vector,
        actor: Actor::Process,
        family,
        detail: u32::from((port as u16).swap_bytes()),
    };
    answer(attempt, run::judge(run, Operation::Never))
}
