//! Typing into a terminal.

use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::io::{self, Errno};

/// Puts one byte into the terminal's input, as if it had been typed (`TIOCSTI`, ioctl_tty(2)).
///
/// # Errors
/// `ENOTTY` on no terminal, `EPERM` on one that is not ours, `EIO` where the kernel forbids it.
pub fn type_byte(terminal: BorrowedFd<'_>, byte: u8) -> io::Result<()> {
    // SAFETY: TIOCSTI reads one byte through the pointer, which is valid during the call.
    let done = unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSTI, &raw const byte) };
    if done == 0 { Ok(()) } else { Err(last_errno()) }
}

/// The error of the last libc call of this thread.
pub(super) fn last_errno() -> Errno {
    let code = std::io::Error::last_os_error().raw_os_error();
    Errno::from_raw_os_error(code.unwrap_or(libc::EIO))
}
