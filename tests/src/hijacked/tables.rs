//! The same socket by the other tables of system calls that the kernel may have: a filter that only
//! knows one table sees nothing.

use rustix::io;
use rustix::net::SendFlags;

use super::trial::Trial;
use crate::lab::address;
use crate::sys::{abi, child};

/// The attempts of this family.
pub(super) fn attempt(id: &str, trial: &mut Trial) -> Option<io::Result<()>> {
    let socket = match id {
        "compat_call" => abi::compat_socket,
        "x32_call" => abi::x32_socket,
        _ => return None,
    };
    // In a child: a kernel without the table, or a filter that knows of it, may end the process.
    Some(trial.step(|| {
        child::forked(|| {
            let socket = socket()?;
            rustix::net::connect(&socket, &address::TCP4)?;
            rustix::net::send(&socket, address::SECRET, SendFlags::NOSIGNAL).map(drop)
        })
    }))
}
