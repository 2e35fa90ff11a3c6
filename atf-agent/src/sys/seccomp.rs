//! A system call filter whose refusals are answered by another process, seccomp_unotify(2). Nothing
//! here can let a call through: the flag for that is never given.
#![allow(unsafe_code, reason = "seccomp(2) and the ioctls of its listener have no safe wrapper")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use seccompiler::{BpfProgramRef, sock_filter};

/// Linux 5.19: once a refusal is being answered, only a fatal signal interrupts its caller, so that one
/// call is one refusal.
const WAIT_KILLABLE_RECV: libc::c_ulong = 1 << 5;

/// The largest error number that a call can answer (`MAX_ERRNO` of the kernel).
const ERRNO_MAX: i32 = 4095;

/// A call that waits for its answer.
#[derive(Debug, Clone, Copy)]
pub struct Refused {
    id: u64,
    /// The thread that made it, in the caller's pid namespace.
    pub pid: u32,
    /// Its number.
    pub call: i64,
}

/// Installs `program` for this thread and what it will start; calls that it answers with
/// `SECCOMP_RET_USER_NOTIF` wait for whoever has the returned listener, and fail with `ENOSYS` when
/// nobody has it any more.
///
/// # Errors
/// The kernel's: `EBUSY` when a filter around this one has a listener already.
pub fn install_listening(program: BpfProgramRef<'_>) -> io::Result<OwnedFd> {
    let listening = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
    match install(program, listening | WAIT_KILLABLE_RECV) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => install(program, listening),
        done => done,
    }
}

fn install(program: BpfProgramRef<'_>, flags: libc::c_ulong) -> io::Result<OwnedFd> {
    /// `struct sock_fprog` of linux/filter.h.
    #[repr(C)]
    struct Fprog {
        len: libc::c_ushort,
        filter: *const sock_filter,
    }
    let len = u16::try_from(program.len()).map_err(io::Error::other)?;
    let program = Fprog { len, filter: program.as_ptr() };
    // SAFETY: the program is as long as it says, and the kernel copies it.
    let listener = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::c_ulong::from(libc::SECCOMP_SET_MODE_FILTER),
            flags,
            &raw const program,
        )
    };
    match i32::try_from(listener) {
        // SAFETY: the kernel has just made it, closed on exec, and this is its one owner.
        Ok(listener @ 0..) => Ok(unsafe { OwnedFd::from_raw_fd(listener) }),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The next refused call; `None` when its caller is gone by now.
///
/// # Errors
/// The kernel's.
pub fn next(listener: BorrowedFd<'_>) -> io::Result<Option<Refused>> {
    // SAFETY: all of it is integers; the kernel demands zeros.
    let mut call: libc::seccomp_notif = unsafe { std::mem::zeroed() };
    // SAFETY: the request writes one seccomp_notif.
    let done =
        unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV, &raw mut call) };
    match done {
        0 => Ok(Some(Refused { id: call.id, pid: call.pid, call: call.data.nr.into() })),
        _ => gone(io::Error::last_os_error()).map(|()| None),
    }
}

/// Answers a call with an error. It is not made, whatever `errno` is.
///
/// # Errors
/// The kernel's; none when the caller is gone by now.
pub fn refuse(listener: BorrowedFd<'_>, call: Refused, errno: i32) -> io::Result<()> {
    let answer = libc::seccomp_notif_resp {
        id: call.id,
        val: 0,
        error: -errno.clamp(1, ERRNO_MAX),
        flags: 0,
    };
    // SAFETY: the request reads one seccomp_notif_resp.
    let done = unsafe {
        libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND, &raw const answer)
    };
    match done {
        0 => Ok(()),
        _ => gone(io::Error::last_os_error()),
    }
}

/// Callers may be killed at any time.
fn gone(error: io::Error) -> io::Result<()> {
    match error.raw_os_error() {
        Some(libc::ENOENT | libc::EINTR | libc::EINPROGRESS) => Ok(()),
        _ => Err(error),
    }
}
