//! The programs, one file a family. A program is a thin edge: it gathers what its hook shows, asks
//! for a verdict and hands both to `report::answer`.

mod address;
mod bind;
mod connect;
mod create;
mod handles;
mod lsm;
mod packet;
mod sendmsg;
mod unix;

use core::ffi::c_void;

use atf_common::loopback::branded_for;
use atf_common::records::Stamp;
use aya_ebpf::bindings::bpf_sock;
use aya_ebpf::helpers::{bpf_get_current_pid_tgid, bpf_get_current_uid_gid};

use crate::maps::{LOOPBACK, of_socket};

/// The run whose loopback a socket of INET is on.
#[inline(always)]
fn stamped_for(sk: *mut c_void) -> Option<u64> {
    of_socket(&LOOPBACK, sk).map(|stamp| stamp.run)
}

/// The same, of a socket that was born in a run, as the hooks see it that the kernel calls for no others: the brand says
/// it. The stamp says it of one that an enforcer made which knew no brands.
#[inline(always)]
fn branded_or_stamped_for(run: u64, sk: *mut bpf_sock) -> Option<u64> {
    if sk.is_null() {
        return None;
    }
    // SAFETY: not null, and typed by the kernel as a whole socket.
    let found = unsafe { (*sk).mark };
    branded_for(run, found).or_else(|| stamped_for(sk.cast()))
}

/// The current process, as one of `run`.
#[inline(always)]
fn stamp(run: u64) -> Stamp {
    Stamp {
        run,
        pid: (bpf_get_current_pid_tgid() >> 32) as u32,
        uid: bpf_get_current_uid_gid() as u32,
    }
}
