//! The one call of the descriptor-based mount interface that rustix lacks.
#![allow(unsafe_code, reason = "mount_setattr(2) has no safe wrapper")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Sets `attributes` (`MOUNT_ATTR_*`, see mount_setattr(2)) on the one mount that `mount` names,
/// attached or not, leaves the others of it as they are, and makes it private: mounts do not spread
/// into it.
///
/// # Errors
/// When the kernel refuses.
pub fn set_attributes(mount: BorrowedFd<'_>, attributes: u64) -> io::Result<()> {
    let change = libc::mount_attr {
        attr_set: attributes,
        attr_clr: 0,
        // A copy of a shared mount is shared: what is mounted on the host would appear in it.
        propagation: libc::MS_PRIVATE,
        userns_fd: 0,
    };
    // SAFETY: the path is a NUL-terminated empty string and `change` a live mount_attr of the stated
    // size; the kernel only reads both.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            &raw const change,
            size_of::<libc::mount_attr>(),
        )
    };
    match done {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Gives the calling thread, and those that it will start, a copy of the mount table.
#[cfg(test)]
pub(crate) fn unshare() -> rustix::io::Result<()> {
    use rustix::thread::{UnshareFlags, unshare_unsafe};
    // SAFETY: unsafe is asked for because of CLONE_FILES alone, which is not among the flags.
    unsafe { unshare_unsafe(UnshareFlags::NEWNS) }
}
