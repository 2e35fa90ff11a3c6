//! Who connected to a unix socket, as a handle that no reuse of process ids can turn to another
//! process.

#![allow(
    unsafe_code,
    reason = "SO_PEERPIDFD has no safe wrapper in the libraries that are used here"
)]

use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// `SO_PEERPIDFD` of `include/uapi/asm-generic/socket.h`, since Linux 6.5.
const SO_PEERPIDFD: libc::c_int = 77;

/// A pidfd of the process that connected `socket` (unix(7)). It is close-on-exec.
///
/// # Errors
/// `ENOPROTOOPT` before Linux 6.5; `ESRCH` or `EINVAL` when the process has been reaped; `ENODATA`
/// when the socket has no peer.
pub fn pidfd(socket: impl AsFd) -> io::Result<OwnedFd> {
    let mut fd: libc::c_int = -1;
    let mut length = libc::socklen_t::try_from(size_of::<libc::c_int>())
        .map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: `fd` and `length` live through the call, and `length` is the size of `fd`, which is
    // all that the kernel writes; the socket is borrowed, so its descriptor stays open.
    let failed = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            SO_PEERPIDFD,
            (&raw mut fd).cast(),
            &raw mut length,
        )
    };
    if failed != 0 {
        return Err(io::Error::last_os_error());
    }
    if fd < 0 {
        return Err(io::ErrorKind::InvalidData.into());
    }
    // SAFETY: the kernel made this descriptor for this call; nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The process of a pidfd; `None` when it is gone, or of a foreign PID namespace. What is read of it below
/// `/proc` is its own only if it has not ended afterwards.
///
/// # Errors
/// When `/proc` does not say.
pub fn process(pidfd: BorrowedFd<'_>) -> io::Result<Option<u32>> {
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd()))?;
    let pid = info.lines().find_map(|line| line.strip_prefix("Pid:"));
    // -1 and 0 are the two that are none.
    Ok(pid.and_then(|pid| pid.trim().parse().ok()).filter(|pid| *pid > 0))
}

/// The uid with which the process that connected `socket` logged in (`loginuid`, proc_pid_loginuid(5)), which a
/// change of uid leaves alone; `None` where nobody did. Before Linux 6.5 the process is found by `pid`, which the
/// kernel noted when it connected.
///
/// # Errors
/// When the process has ended, or `/proc` does not show it.
pub fn login_uid(socket: impl AsFd, pid: i32) -> io::Result<Option<u32>> {
    let pidfd = match pidfd(socket) {
        Err(error) if error.raw_os_error() == Some(libc::ENOPROTOOPT) => opened(pid)?,
        found => found?,
    };
    let pid = process(pidfd.as_fd())?.ok_or(io::ErrorKind::NotFound)?;
    let text = std::fs::read_to_string(format!("/proc/{pid}/loginuid"))?;
    if has_ended(pidfd.as_fd())? {
        return Err(io::ErrorKind::NotFound.into());
    }
    login_of(&text)
}

/// A pidfd of the process that has this id now.
fn opened(pid: i32) -> io::Result<OwnedFd> {
    let pid = Pid::from_raw(pid).ok_or(io::ErrorKind::NotFound)?;
    Ok(pidfd_open(pid, PidfdFlags::empty())?)
}

/// Who the text of a `loginuid` says; the greatest number is nobody.
fn login_of(text: &str) -> io::Result<Option<u32>> {
    let uid: u32 = text.trim().parse().map_err(|_| io::ErrorKind::InvalidData)?;
    Ok((uid != u32::MAX).then_some(uid))
}

/// Whether the process of a pidfd has ended: it is readable then (pidfd_open(2)).
///
/// # Errors
/// When it cannot be polled.
pub fn has_ended(pidfd: BorrowedFd<'_>) -> io::Result<bool> {
    let mut fds = [PollFd::new(&pidfd, PollFlags::IN)];
    Ok(poll(&mut fds, Some(&Timespec::default()))? != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    #[test]
    fn the_peer_of_a_pair_is_this_process_and_a_socket_without_peer_has_none() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let pidfd = pidfd(&ours).unwrap();
        let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd()));
        let expected = format!("Pid:\t{}\n", std::process::id());
        assert!(info.unwrap().contains(&expected));

        let alone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        assert!(super::pidfd(&alone).is_err());
    }

    /// The attack: a login that cannot be read passes for that of nobody.
    #[test]
    fn nobody_logged_in_is_not_that_it_cannot_be_read() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let own = login_of(&std::fs::read_to_string("/proc/self/loginuid").unwrap()).unwrap();
        let pid = std::process::id().cast_signed();
        assert_eq!(login_uid(&ours, pid).unwrap(), own);
        assert_eq!(process(opened(pid).unwrap().as_fd()).unwrap(), Some(pid.cast_unsigned()));
        assert!(opened(0).is_err());
        let alone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        assert!(login_uid(&alone, pid).is_err());
        for (text, expected) in
            [("1000\n", Some(Some(1_000))), ("4294967295", Some(None)), ("", None), ("-1", None)]
        {
            assert_eq!(login_of(text).ok(), expected, "{text}");
        }
    }
}
