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

use atf_common::records::Stamp;
use aya_ebpf::helpers::{bpf_get_current_pid_tgid, bpf_get_current_uid_gid};

use crate::maps::{LOOPBACK, of_socket};

/// The run whose loopback a socket of INET is on.
#[inline(always)]
fn stamped_for(sk: *mut c_void) -> Option<u64> {
    of_socket(&LOOPBACK, sk).map(|stamp| stamp.run)
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
