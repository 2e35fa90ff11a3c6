//! For tests alone: one system call by number, in a process of its own, and its errno.
#![allow(unsafe_code, reason = "the tests of the filter make calls that no wrapper offers")]

use rustix::process::{WaitOptions, waitpid};

use super::clone::fork;

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The call returned something.
    Went,
    /// The call failed with this errno.
    Errno(i32),
    /// The process was killed by this signal.
    Killed(i32),
}

/// Makes call `number` with null arguments in this process; its errno, 0 when it went.
pub fn errno_of(number: i64) -> i32 {
    // SAFETY: no arguments; the callers name calls that a filter refuses.
    match unsafe { libc::syscall(number, 0, 0, 0, 0, 0, 0) } {
        -1 => std::io::Error::last_os_error().raw_os_error().unwrap_or(255),
        _ => 0,
    }
}

/// Makes call `number` with `arguments` in a child, after `before` (for example: install a filter).
/// Pass no pointers other than null: the kernel must find nothing to write to.
pub fn syscall(number: i64, arguments: [u64; 6], before: impl FnOnce()) -> Outcome {
    in_child(before, || {
        let [a, b, c, d, e, f] = arguments;
        // SAFETY: the callers are the rows of tests; they pass integers and null pointers, and the
        // process ends right after.
        match unsafe { libc::syscall(number, a, b, c, d, e, f) } {
            -1 => std::io::Error::last_os_error().raw_os_error().unwrap_or(255),
            _ => 0,
        }
    })
}

/// Makes getpid through the 32-bit entry of x86, `int 0x80`, in a child.
#[cfg(target_arch = "x86_64")]
pub fn foreign_architecture(before: impl FnOnce()) -> Outcome {
    in_child(before, || {
        // getpid of asm/unistd_32.h.
        let mut number: u64 = 20;
        // SAFETY: getpid takes nothing; the kernel's 32-bit entry changes rax and may clear r8-r11.
        unsafe {
            std::arch::asm!("int 0x80", inout("rax") number, out("r8") _, out("r9") _,
                out("r10") _, out("r11") _);
        }
        i32::from(number == 0)
    })
}

/// Runs `act` in a child; its value is an errno, zero for none.
pub fn in_child(before: impl FnOnce(), act: impl FnOnce() -> i32) -> Outcome {
    let child = fork(|| {
        before();
        act()
    })
    .expect("a child can be forked");
    let (_, status) = waitpid(Some(child), WaitOptions::empty())
        .expect("the child can be waited for")
        .expect("it has ended");
    match (status.terminating_signal(), status.exit_status()) {
        (Some(signal), _) => Outcome::Killed(signal),
        (None, Some(0)) => Outcome::Went,
        (None, errno) => Outcome::Errno(errno.unwrap_or(255)),
    }
}
