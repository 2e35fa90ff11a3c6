//! Namespaces.

use rustix::io;
use rustix::thread::{UnshareFlags, unshare_unsafe};

/// Gives the calling thread a new, empty network namespace.
///
/// # Errors
/// `EPERM` without `CAP_SYS_ADMIN`.
pub fn unshare_network() -> io::Result<()> {
    // SAFETY: unsafe is asked for because of CLONE_FILES alone, which is not among the flags.
    unsafe { unshare_unsafe(UnshareFlags::NEWNET) }
}
