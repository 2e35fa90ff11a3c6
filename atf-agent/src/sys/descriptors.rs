//! Descriptors by number: the only way to leave none open, and to choose what 0 to 2 are.
#![allow(unsafe_code, reason = "descriptor numbers are taken without owning them")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// Closes every descriptor of this process from `first` on, close_range(2).
///
/// The owners of those descriptors must not use or drop them afterwards; so this is for a new process
/// that is about to execute another program, and that leaves through
/// [`exit_now`](super::clone::exit_now) otherwise.
///
/// # Errors
/// When the kernel refuses.
pub fn close_from(first: u32) -> io::Result<()> {
    // SAFETY: no memory is passed; who loses a descriptor is stated above.
    let done = unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) };
    result(done)
}

/// Closes every descriptor of this process past standard error but those in `kept`; for whom, see
/// [`close_from`].
///
/// # Errors
/// When the kernel refuses.
pub fn close_all_but(kept: &[i32]) -> io::Result<()> {
    let mut kept: Vec<u32> = kept.iter().filter_map(|number| u32::try_from(*number).ok()).collect();
    kept.sort_unstable();
    let mut first = 3;
    for number in kept {
        if number > first {
            // SAFETY: no memory is passed; who loses a descriptor is stated at `close_from`.
            let done = unsafe { libc::syscall(libc::SYS_close_range, first, number - 1, 0) };
            result(done)?;
        }
        first = first.max(number + 1);
    }
    close_from(first)
}

/// Closes the one descriptor `number`; for whom, see [`close_from`].
pub fn close_number(number: i32) {
    // SAFETY: no memory is passed; who loses a descriptor is stated at `close_from`. Closing fails
    // only for a number that is not open.
    unsafe { libc::close(number) };
}

/// Makes `number` another name of `descriptor`, dup2(2): it stays open across exec.
///
/// # Errors
/// When `number` is past the limit.
pub fn become_number(descriptor: BorrowedFd<'_>, number: i32) -> io::Result<()> {
    // SAFETY: no memory is passed. Numbers 0 to 2 are nobody's; for others see `close_from`.
    let done = unsafe { libc::dup2(descriptor.as_raw_fd(), number) };
    result(i64::from(done.min(0)))
}

/// Makes `number` another name of `descriptor` that closes on exec, dup3(2).
///
/// # Errors
/// When `number` is past the limit, or is `descriptor`'s own.
pub fn copy_to(descriptor: BorrowedFd<'_>, number: i32) -> io::Result<OwnedFd> {
    // SAFETY: no memory is passed; who loses the old descriptor `number` is stated at `close_from`.
    let done = unsafe { libc::dup3(descriptor.as_raw_fd(), number, libc::O_CLOEXEC) };
    result(i64::from(done.min(0)))?;
    // SAFETY: dup3 has just made it, and this is its one owner.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

fn result(done: i64) -> io::Result<()> {
    match done {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
