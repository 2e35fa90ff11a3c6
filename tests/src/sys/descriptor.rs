//! Descriptors that this process did not open and knows by number alone.

use std::os::fd::{BorrowedFd, RawFd};

use rustix::io::{self, Errno};

/// Writes to the descriptor with this number, whatever it is.
///
/// # Errors
/// `EBADF` when there is none; else what the write fails with.
pub fn write(number: RawFd, bytes: &[u8]) -> io::Result<usize> {
    if number < 0 {
        return Err(Errno::BADF);
    }
    // SAFETY: the borrow lives for this one system call, which answers EBADF when the number is
    // free. Nothing else in this process closes descriptors meanwhile: the attacker has one thread.
    let descriptor = unsafe { BorrowedFd::borrow_raw(number) };
    io::write(descriptor, bytes)
}
