//! Signals as things to read instead of handlers to run: block them, and poll a signalfd(2).
#![allow(unsafe_code, reason = "signal sets and signalfd have no safe wrapper")]

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::Signal;

/// Blocked signals that are read one by one.
#[derive(Debug)]
pub struct Signals {
    fd: OwnedFd,
}

impl Signals {
    /// Blocks `wanted` in this thread and in those that it will start, and makes them readable.
    ///
    /// # Errors
    /// When no descriptor is left.
    pub fn block(wanted: &[Signal]) -> io::Result<Self> {
        let set = set_of(wanted);
        change_mask(libc::SIG_BLOCK, &set)?;
        // SAFETY: `set` is an initialised sigset_t that the kernel only reads.
        let fd =
            unsafe { libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: signalfd has just made it, and this is its one owner.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self { fd })
    }

    /// The next signal; `None` when there is none now.
    ///
    /// # Errors
    /// When the read fails for another reason.
    pub fn next(&self) -> io::Result<Option<i32>> {
        let mut info = MaybeUninit::<libc::signalfd_siginfo>::zeroed();
        let size = size_of::<libc::signalfd_siginfo>();
        // SAFETY: the buffer is of the stated size and lives across the call.
        let read = unsafe { libc::read(self.fd.as_raw_fd(), info.as_mut_ptr().cast(), size) };
        if read < 0 {
            let error = io::Error::last_os_error();
            return match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(None),
                _ => Err(error),
            };
        }
        // SAFETY: it was zeroed and is integers only, so it is a value whatever was read.
        let info = unsafe { info.assume_init() };
        Ok((read.cast_unsigned() == size).then(|| info.ssi_signo.cast_signed()))
    }

    /// Waits up to `patience` for a signal, and says whether there was one.
    ///
    /// # Errors
    /// When the wait or the read fails.
    pub fn wait(&self, patience: Duration) -> io::Result<bool> {
        let patience = Timespec::try_from(patience)
            .map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        match poll(&mut [PollFd::new(self, PollFlags::IN)], Some(&patience)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(self.next()?.is_some()),
            Err(error) => Err(error.into()),
        }
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Unblocks every signal: what a program expects to be started with.
///
/// # Errors
/// Never in practice; the kernel is asked.
pub fn unblock_all() -> io::Result<()> {
    change_mask(libc::SIG_SETMASK, &set_of(&[]))
}

/// Has `command` begin with no signal blocked; else it inherits what its starter has blocked, and a signal
/// that should end it waits for ever.
pub fn unblocked(command: &mut Command) -> &mut Command {
    // SAFETY: between fork and exec it only fills a set and calls pthread_sigmask(3), which are both
    // safe after a fork, and allocates nothing.
    unsafe { command.pre_exec(unblock_all) }
}

/// Gives every signal its default effect. An ignored one stays ignored across an exec, and a shell
/// that starts something in the background ignores `SIGINT` for it.
///
/// # Errors
/// Never in practice; the kernel is asked.
pub fn default_all() -> io::Result<()> {
    for number in 1..=libc::SIGRTMAX() {
        // The C library keeps those between the last plain and the first free one to itself.
        let is_free = number < 32 || number >= libc::SIGRTMIN();
        if !is_free || number == libc::SIGKILL || number == libc::SIGSTOP {
            continue;
        }
        // SAFETY: the default effect runs no code of ours.
        if unsafe { libc::signal(number, libc::SIG_DFL) } == libc::SIG_ERR {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Ignores a signal, as a shell does for what it starts in the background.
#[cfg(test)]
pub(crate) fn ignore(signal: Signal) {
    // SAFETY: to ignore a signal runs no code of ours.
    let before = unsafe { libc::signal(signal.as_raw(), libc::SIG_IGN) };
    assert_ne!(before, libc::SIG_ERR);
}

fn set_of(wanted: &[Signal]) -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: sigemptyset initialises the set that it is given; sigaddset changes it. Neither fails
    // for a named signal.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for signal in wanted {
            libc::sigaddset(set.as_mut_ptr(), signal.as_raw());
        }
        set.assume_init()
    }
}

fn change_mask(how: libc::c_int, set: &libc::sigset_t) -> io::Result<()> {
    // SAFETY: `set` is initialised and only read; the old mask is not asked for.
    match unsafe { libc::pthread_sigmask(how, set, std::ptr::null_mut()) } {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}
