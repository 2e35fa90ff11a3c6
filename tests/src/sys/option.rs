//! Socket options that rustix has no name for.

use std::os::fd::{AsRawFd, OwnedFd};

use rustix::io;

use super::terminal::last_errno;

/// The level of a DCCP socket's options (linux/socket.h).
pub const SOL_DCCP: i32 = 269;
/// With it a DCCP socket says what it is for (linux/dccp.h).
pub const DCCP_SERVICE: i32 = 2;

/// Sets an option whose value is a number.
///
/// # Errors
/// What setsockopt(2) fails with.
pub fn set(socket: &OwnedFd, level: i32, name: i32, value: i32) -> io::Result<()> {
    let length = size_of::<i32>() as libc::socklen_t;
    let value = (&raw const value).cast();
    // SAFETY: the kernel reads the four bytes of `value` during the call.
    let done = unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, value, length) };
    if done == 0 { Ok(()) } else { Err(last_errno()) }
}
