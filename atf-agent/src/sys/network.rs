//! A network in which there is nothing but the calling thread.
#![allow(unsafe_code, reason = "unshare(2) and the ioctls of interfaces have no safe wrapper")]

use std::io;
use std::os::fd::AsRawFd as _;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType, socket};
use rustix::thread::{UnshareFlags, unshare_unsafe};

/// Gives the calling thread, and the processes that it will start, a network in which there is the
/// loopback interface alone, up. Who may make none keeps the one that it has, if that is such a network:
/// a service manager's private one.
///
/// # Errors
/// When the kernel refuses, and the network has other interfaces.
pub fn own_loopback() -> io::Result<()> {
    // SAFETY: unsafe is asked for because of CLONE_FILES alone, which is not among the flags.
    match unsafe { unshare_unsafe(UnshareFlags::NEWNET) } {
        Ok(()) => raise_loopback(),
        Err(Errno::PERM) if is_loopback_alone()? => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Whether the calling thread's network has no other interface (proc_pid_net(5), two lines of titles).
fn is_loopback_alone() -> io::Result<bool> {
    let interfaces = std::fs::read_to_string("/proc/thread-self/net/dev")?;
    Ok(interfaces.lines().skip(2).all(|line| line.trim_start().starts_with("lo:")))
}

fn raise_loopback() -> io::Result<()> {
    let control = socket(AddressFamily::INET, SocketType::DGRAM, None)?;
    // SAFETY: all zeros is a valid ifreq.
    let mut loopback: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in loopback.ifr_name.iter_mut().zip(b"lo") {
        *to = from.cast_signed();
    }
    loopback.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: the request reads an ifreq, which this is.
    let done = unsafe { libc::ioctl(control.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const loopback) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
