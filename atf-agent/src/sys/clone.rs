//! New processes: into a cgroup and namespaces of their own, or a plain copy.
#![allow(unsafe_code, reason = "clone3 and fork return twice; std has no such call")]

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};

use rustix::fs::{Mode, OFlags};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

/// What a child exits with when its code panicked.
const EXIT_PANIC: i32 = 101;

/// What a child exits with whose parent could not put it into its cgroup; nobody reads it.
const EXIT_ABANDONED: i32 = 1;

/// The namespaces of a child that is started apart.
const NAMESPACES: libc::c_int = libc::CLONE_NEWPID
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS;

/// include/uapi/linux/sched.h; libc's constant of this name is too narrow for it.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// A child process. The pidfd names it for ever, the pid until it is waited for.
#[derive(Debug)]
pub struct Child {
    /// In the caller's pid namespace.
    pub pid: Pid,
    /// Closed on exec.
    pub pidfd: OwnedFd,
}

/// Starts `child` in `cgroup`, as the first process of its own pid, mount, network, IPC and UTS
/// namespaces. It is in the cgroup from its first instruction, so it never has a socket of another.
/// The child leaves through [`exit_now`]; when `child` returns, it exits with that status.
///
/// The cgroup namespace is not among them: clone3 would root it at the caller's cgroup
/// (`copy_cgroup_ns` in kernel/cgroup/namespace.c); see
/// [`own_cgroup_namespace`](super::privileges::own_cgroup_namespace).
///
/// # Errors
/// When the kernel refuses, for example without `CAP_SYS_ADMIN`.
pub fn clone_into_cgroup(cgroup: BorrowedFd<'_>, child: impl FnOnce() -> i32) -> io::Result<Child> {
    clone_apart(Some(cgroup), child)
}

/// As [`clone_into_cgroup`]; without a cgroup the child stays in the caller's.
///
/// # Errors
/// When the kernel refuses, for example without `CAP_SYS_ADMIN`.
pub fn clone_apart(
    cgroup: Option<BorrowedFd<'_>>,
    child: impl FnOnce() -> i32,
) -> io::Result<Child> {
    let split = match split_by_clone3(cgroup) {
        Err(error) if error.raw_os_error() == Some(libc::ENOSYS) => split_by_clone(cgroup),
        split => split,
    };
    match split? {
        Some(started) => Ok(started),
        None => run_and_exit(child),
    }
}

/// The child, or `None` in it.
fn split_by_clone3(cgroup: Option<BorrowedFd<'_>>) -> io::Result<Option<Child>> {
    let mut pidfd: libc::c_int = -1;
    // SAFETY: all of clone_args is integers, for which zero is a value.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = u64::from((NAMESPACES | libc::CLONE_PIDFD).cast_unsigned());
    args.pidfd = (&raw mut pidfd) as u64;
    args.exit_signal = libc::SIGCHLD as u64;
    if let Some(cgroup) = cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = cgroup.as_raw_fd() as u64;
    }
    // SAFETY: `args` is a live clone_args of the stated size. Without CLONE_VM and without a stack
    // the child has a copy of this process's memory and stack, as after fork(2); callers are
    // single-threaded (the launcher checks it, the spawner is made so), so no lock is held by a thread that is gone.
    let pid =
        unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of::<libc::clone_args>()) };
    started(pid, pidfd)
}

/// The same by clone(2). systemd hides clone3 from a service whose namespaces it restricts: no filter can
/// read its flags (systemd.exec(5), `RestrictNamespaces=`). clone knows no cgroup, so the child waits here
/// until it has been put into `cgroup`.
fn split_by_clone(cgroup: Option<BorrowedFd<'_>>) -> io::Result<Option<Child>> {
    let (wait, go) = pipe_with(PipeFlags::CLOEXEC)?;
    let mut pidfd: libc::c_int = -1;
    let flags = libc::c_long::from(NAMESPACES | libc::CLONE_PIDFD | libc::SIGCHLD);
    let none: libc::c_long = 0;
    // SAFETY: as for clone3. The third argument takes the pidfd (clone(2), CLONE_PIDFD); the last two are
    // read only with flags that are not set.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, none, &raw mut pidfd, none, none) };
    let Some(child) = started(pid, pidfd)? else {
        drop(go);
        return match rustix::io::read(&wait, &mut [0]) {
            Ok(1) => Ok(None),
            _ => exit_now(EXIT_ABANDONED),
        };
    };
    drop(wait);
    let moved = cgroup.map_or(Ok(()), |cgroup| put_into(cgroup, child.pid));
    if let Err(error) = moved.and_then(|()| Ok(rustix::io::write(&go, b"g").map(drop)?)) {
        // It ends when nobody can tell it to go any more.
        drop(go);
        waitid(WaitId::PidFd(child.pidfd.as_fd()), WaitIdOptions::EXITED)?;
        return Err(error);
    }
    Ok(Some(child))
}

fn put_into(cgroup: BorrowedFd<'_>, pid: Pid) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    let processes = rustix::fs::openat(cgroup, "cgroup.procs", flags, Mode::empty())?;
    File::from(processes).write_all(pid.as_raw_nonzero().to_string().as_bytes())
}

fn started(pid: libc::c_long, pidfd: libc::c_int) -> io::Result<Option<Child>> {
    match pid {
        0 => Ok(None),
        pid if pid > 0 => Ok(Some(Child {
            pid: known_pid(pid)?,
            // SAFETY: the kernel stored a new descriptor there, which nobody else owns.
            pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) },
        })),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Starts `child` in a copy of this process, fork(2). glibc leaves the allocator usable in it; other
/// locks that other threads held stay locked, so `child` should keep to system calls when there are
/// other threads.
///
/// # Errors
/// When the kernel refuses, for example at a process limit.
pub fn fork(child: impl FnOnce() -> i32) -> io::Result<Pid> {
    // SAFETY: no arguments; what the child may do is stated above.
    match unsafe { libc::fork() } {
        0 => run_and_exit(child),
        pid if pid > 0 => known_pid(i64::from(pid)),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Ends this process at once: no destructor, no `atexit`, no flush of a copied buffer.
pub fn exit_now(status: i32) -> ! {
    // SAFETY: _exit only ends the process.
    unsafe { libc::_exit(status) }
}

fn run_and_exit(child: impl FnOnce() -> i32) -> ! {
    // A panic must not unwind into a copy of the parent's frames.
    let status: Result<i32, _> = catch_unwind(AssertUnwindSafe(child));
    exit_now(status.unwrap_or(EXIT_PANIC))
}

fn known_pid(pid: i64) -> io::Result<Pid> {
    i32::try_from(pid)
        .ok()
        .and_then(Pid::from_raw)
        .ok_or_else(|| io::Error::other(format!("the kernel returned pid {pid}")))
}
