//! Child processes that are made by hand: with flags of clone(2), or to do what may end them.

use rustix::io::{self, Errno};

use super::terminal::last_errno;

/// `struct clone_args`, as it was first (clone(2)).
#[derive(Default)]
#[repr(C)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
}

/// Does `work` in a child process, whose end shall not be ours.
///
/// # Errors
/// What `work` failed with; `EPERM` when a signal ended the child.
pub fn forked(work: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    // SAFETY: the attacker has one thread, so the child may do what it likes.
    after(i64::from(unsafe { libc::fork() }), work)
}

/// Does `work` in a child process that is made by clone(2) with these flags.
///
/// # Errors
/// What clone(2) fails with.
pub fn cloned(flags: i32, work: impl FnOnce()) -> io::Result<()> {
    let flags = (flags | libc::SIGCHLD) as i64;
    // SAFETY: without a stack and without shared memory, clone(2) is fork(2) with flags.
    let child = unsafe { libc::syscall(libc::SYS_clone, flags, 0_u64, 0_u64, 0_u64, 0_u64) };
    after(child, || {
        work();
        Ok(())
    })
}

/// The same by clone3(2), whose flags no filter of system calls can see.
///
/// # Errors
/// What clone3(2) fails with.
pub fn cloned3(flags: i32, work: impl FnOnce()) -> io::Result<()> {
    let arguments = CloneArgs {
        flags: u64::from(flags.cast_unsigned()),
        exit_signal: libc::SIGCHLD as u64,
        ..CloneArgs::default()
    };
    // SAFETY: as above; the kernel reads the arguments during the call.
    let child =
        unsafe { libc::syscall(libc::SYS_clone3, &raw const arguments, size_of::<CloneArgs>()) };
    after(child, || {
        work();
        Ok(())
    })
}

fn after(child: i64, work: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    match child {
        ..0 => Err(last_errno()),
        0 => {
            let status = work().err().map_or(0, Errno::raw_os_error);
            // SAFETY: ends the child at once; nothing of the parent's is run in it.
            unsafe { libc::_exit(status) }
        }
        _ => {
            let mut status = 0;
            // SAFETY: our own child, waited for once.
            unsafe { libc::waitpid(child as i32, &raw mut status, 0) };
            match (libc::WIFEXITED(status), libc::WEXITSTATUS(status)) {
                (true, 0) => Ok(()),
                (true, error) => Err(Errno::from_raw_os_error(error)),
                (false, _) => Err(Errno::PERM),
            }
        }
    }
}
