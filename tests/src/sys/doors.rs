//! System calls that open a door to the kernel: programs, counters, keys, namespaces, page faults.

use std::ffi::CString;
use std::os::fd::{FromRawFd, OwnedFd};

use rustix::io;
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::thread::{UnshareFlags, unshare_unsafe};

use super::terminal::last_errno;

const BPF_MAP_CREATE: i32 = 0;
const BPF_MAP_TYPE_ARRAY: u32 = 2;

/// The first fields of `union bpf_attr` for a new map.
#[repr(C)]
struct MapAttributes {
    kind: u32,
    key_bytes: u32,
    value_bytes: u32,
    entries: u32,
}

/// `struct perf_event_attr`, as it was first (`PERF_ATTR_SIZE_VER0`).
#[repr(C)]
struct PerfAttributes {
    kind: u32,
    bytes: u32,
    config: u64,
    period: u64,
    sample: u64,
    read: u64,
    flags: u64,
    wakeup: u32,
    breakpoint: u32,
    address: u64,
}

const PERF_TYPE_SOFTWARE: u32 = 1;
/// Not in the kernel and not in the hypervisor: what an unprivileged process may ask for.
const PERF_EXCLUDE: u64 = 1 << 5 | 1 << 6;

const UFFD_USER_MODE_ONLY: i32 = 1;
const USER_KEYRING: i32 = -4;

/// A small map.
///
/// # Errors
/// `EPERM` where bpf(2) is not for everybody.
pub fn bpf_map() -> io::Result<OwnedFd> {
    let attributes =
        MapAttributes { kind: BPF_MAP_TYPE_ARRAY, key_bytes: 4, value_bytes: 8, entries: 1 };
    let bytes = size_of::<MapAttributes>();
    // SAFETY: the kernel reads the attributes during the call.
    owned(unsafe { libc::syscall(libc::SYS_bpf, BPF_MAP_CREATE, &raw const attributes, bytes) })
}

/// A counter of this process's own time.
///
/// # Errors
/// `EACCES` where perf_event_open(2) is not for everybody.
pub fn perf_event() -> io::Result<OwnedFd> {
    let attributes = PerfAttributes {
        kind: PERF_TYPE_SOFTWARE,
        bytes: size_of::<PerfAttributes>() as u32,
        config: 0,
        period: 0,
        sample: 0,
        read: 0,
        flags: PERF_EXCLUDE,
        wakeup: 0,
        breakpoint: 0,
        address: 0,
    };
    let attributes = &raw const attributes;
    // SAFETY: the kernel reads the attributes during the call.
    owned(unsafe { libc::syscall(libc::SYS_perf_event_open, attributes, 0, -1, -1, 0_u64) })
}

/// A handle for the page faults of this process.
///
/// # Errors
/// What userfaultfd(2) fails with.
pub fn userfaultfd() -> io::Result<OwnedFd> {
    let flags = libc::O_CLOEXEC | UFFD_USER_MODE_ONLY;
    // SAFETY: no pointer is passed.
    owned(unsafe { libc::syscall(libc::SYS_userfaultfd, flags) })
}

/// Puts so many keys into the user's keyring.
///
/// # Errors
/// What add_key(2) fails with.
pub fn add_keys(count: usize) -> io::Result<()> {
    for number in 0..count {
        let name = CString::new(format!("atf-lab-{number}")).map_err(|_| io::Errno::INVAL)?;
        let (kind, name) = (c"user".as_ptr(), name.as_ptr());
        // SAFETY: both names end with a zero byte and outlive the call, as the byte does.
        let key = unsafe {
            libc::syscall(libc::SYS_add_key, kind, name, c"x".as_ptr(), 1_usize, USER_KEYRING)
        };
        if key < 0 {
            return Err(last_errno());
        }
    }
    Ok(())
}

/// Enters a user namespace of our own, in which we would be root.
///
/// # Errors
/// `EPERM` where it is not for everybody.
pub fn user_namespace() -> io::Result<()> {
    unshare(UnshareFlags::NEWUSER)
}

/// Mounts something that is called `name` on `/tmp`, in namespaces of our own.
///
/// # Errors
/// `EPERM` where it is not for everybody.
pub fn mount_of_our_own(name: &str) -> io::Result<()> {
    unshare(UnshareFlags::NEWUSER | UnshareFlags::NEWNS)?;
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    mount(name, "/tmp", "tmpfs", MountFlags::empty(), c"size=4k")
}

fn unshare(flags: UnshareFlags) -> io::Result<()> {
    // SAFETY: unsafe is asked for because of CLONE_FILES alone, which is not among the flags.
    unsafe { unshare_unsafe(flags) }
}

fn owned(number: i64) -> io::Result<OwnedFd> {
    if number < 0 {
        return Err(last_errno());
    }
    // SAFETY: the call has just made this descriptor, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(number as i32) })
}
