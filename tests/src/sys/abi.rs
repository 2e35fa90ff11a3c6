//! System calls by the other tables that an x86-64 kernel may have.

use std::os::fd::{FromRawFd, OwnedFd};

use rustix::io::{self, Errno};

/// A TCP socket by call 359 of the 32-bit table, through the old gate.
///
/// # Errors
/// What socket(2) fails with; `ENOSYS` where there is no such table. A kernel that has none may end
/// the process instead.
#[cfg(target_arch = "x86_64")]
pub fn compat_socket() -> io::Result<OwnedFd> {
    const SOCKET: i32 = 359;
    let answer: i32;
    // SAFETY: the call passes no pointer and touches no memory. The gate clobbers r8 to r11; `rbx`
    // cannot be named as an operand, so it is kept by hand.
    unsafe {
        std::arch::asm!(
            "push rbx",
            "mov ebx, {family:e}",
            "int 0x80",
            "pop rbx",
            family = in(reg) libc::AF_INET,
            inout("eax") SOCKET => answer,
            in("ecx") libc::SOCK_STREAM,
            in("edx") 0,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
        );
    }
    owned(i64::from(answer))
}

/// A TCP socket by the x32 table.
///
/// # Errors
/// `ENOSYS` where there is no such table.
#[cfg(target_arch = "x86_64")]
pub fn x32_socket() -> io::Result<OwnedFd> {
    const X32: i64 = 0x4000_0000;
    // SAFETY: no pointer is passed.
    let number =
        unsafe { libc::syscall(X32 | libc::SYS_socket, libc::AF_INET, libc::SOCK_STREAM, 0) };
    if number < 0 { Err(super::terminal::last_errno()) } else { owned(number) }
}

/// Other machines have one table.
///
/// # Errors
/// Always.
#[cfg(not(target_arch = "x86_64"))]
pub fn compat_socket() -> io::Result<OwnedFd> {
    Err(Errno::NOSYS)
}

/// Other machines have one table.
///
/// # Errors
/// Always.
#[cfg(not(target_arch = "x86_64"))]
pub fn x32_socket() -> io::Result<OwnedFd> {
    Err(Errno::NOSYS)
}

#[cfg(target_arch = "x86_64")]
fn owned(answer: i64) -> io::Result<OwnedFd> {
    let number = i32::try_from(answer).map_err(|_| Errno::INVAL)?;
    if number < 0 {
        return Err(Errno::from_raw_os_error(-number));
    }
    // SAFETY: the call has just made this descriptor, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}
