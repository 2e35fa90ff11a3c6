//! Giving up what rustix cannot give up: capabilities that it has no name for, keys, and the view of
//! the cgroup tree.
#![allow(unsafe_code, reason = "prctl(2) by number, keyctl(2) and unshare(2)")]

use std::io;

/// Highest capability number that a `u64` set can hold; a bound for the loop, not a claim.
const CAPABILITY_MAX: libc::c_ulong = 63;

/// Empties the bounding set, capabilities(7): also the capabilities that are newer than this
/// program.
///
/// # Errors
/// Without `CAP_SETPCAP`.
pub fn empty_bounding_set() -> io::Result<()> {
    for capability in 0..=CAPABILITY_MAX {
        // SAFETY: integers only.
        if unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) } == 0 {
            continue;
        }
        let error = io::Error::last_os_error();
        // The kernel says EINVAL for the first number that is no capability.
        if error.raw_os_error() == Some(libc::EINVAL) && capability > 0 {
            return Ok(());
        }
        return Err(error);
    }
    Ok(())
}

/// Joins a new, empty session keyring, keyctl(2): the keys of who started this process stay behind. A
/// kernel without keys has nothing to leave behind.
///
/// # Errors
/// When the kernel refuses, for example at the quota.
pub fn own_session_keyring() -> io::Result<()> {
    // KEYCTL_JOIN_SESSION_KEYRING of include/uapi/linux/keyctl.h.
    const JOIN: libc::c_long = 1;
    // SAFETY: the null pointer asks for a keyring without a name; the kernel reads nothing.
    if unsafe { libc::syscall(libc::SYS_keyctl, JOIN, 0) } >= 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::ENOSYS) => Ok(()),
        _ => Err(error),
    }
}

/// Makes the caller's cgroup the root of what it sees of the cgroup tree, cgroup_namespaces(7).
///
/// # Errors
/// Without `CAP_SYS_ADMIN`.
pub fn own_cgroup_namespace() -> io::Result<()> {
    // SAFETY: integers only; no memory or descriptor table is unshared.
    match unsafe { libc::unshare(libc::CLONE_NEWCGROUP) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
