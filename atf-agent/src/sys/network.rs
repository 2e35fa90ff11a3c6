//! Networks in which there is nothing but the loopback interface, and whose they are.
#![allow(unsafe_code, reason = "unshare(2) and the ioctls of interfaces have no safe wrapper")]

use std::fs::File;
use std::io;
use std::num::NonZeroU64;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::thread;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType, socket};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space, unshare_unsafe};

/// The network of the calling thread.
const OWN: &str = "/proc/thread-self/ns/net";

/// A network of nobody's yet, to be entered. It lives as long as somebody holds it or is in it.
#[derive(Debug)]
pub struct Network {
    namespace: OwnedFd,
    /// By which the kernel programs know it; no other network of this boot has had it.
    pub cookie: NonZeroU64,
}

impl Network {
    /// Makes one with the loopback interface alone, up. The caller stays where it is.
    ///
    /// # Errors
    /// When the kernel refuses, or says that it is the caller's own.
    pub fn make() -> io::Result<Self> {
        // A network is a thread's.
        let made = thread::Builder::new().name("network".to_owned()).spawn(|| {
            // SAFETY: as for `own_loopback`.
            unsafe { unshare_unsafe(UnshareFlags::NEWNET) }?;
            raise_loopback()?;
            let namespace = File::open(OWN)?.into();
            Ok::<_, io::Error>(Self { namespace, cookie: cookie()? })
        })?;
        let made = made.join().map_err(|_| io::Error::other("its thread died"))??;
        if made.cookie == cookie()? {
            return Err(io::Error::other("it is the one that there was"));
        }
        Ok(made)
    }

    /// Enters it, with the calling thread.
    ///
    /// # Errors
    /// The kernel's.
    pub fn enter(&self) -> io::Result<()> {
        let kind = Some(LinkNameSpaceType::Network);
        Ok(move_into_link_name_space(self.namespace.as_fd(), kind)?)
    }
}

/// The cookie of the calling thread's network (`SO_NETNS_COOKIE`, Linux 5.14).
///
/// # Errors
/// The kernel's: `ENOPROTOOPT` before 5.14.
pub fn cookie() -> io::Result<NonZeroU64> {
    let socket = socket(AddressFamily::UNIX, SocketType::DGRAM, None)?;
    let mut cookie = 0_u64;
    let mut length = size_of::<u64>() as libc::socklen_t;
    // SAFETY: the option writes eight bytes, for which there is room.
    let done = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_NETNS_COOKIE,
            (&raw mut cookie).cast(),
            &raw mut length,
        )
    };
    if done < 0 {
        return Err(io::Error::last_os_error());
    }
    NonZeroU64::new(cookie).ok_or_else(|| io::Error::other("the kernel gives no cookie"))
}

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

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;

    #[test]
    fn a_network_that_is_made_is_another_one_with_a_loopback_that_works() {
        let here = cookie().expect("Linux 5.14");
        let (one, other) = (Network::make().expect("root"), Network::make().expect("root"));
        assert_eq!(cookie().unwrap(), here, "the caller stays");
        assert!(one.cookie != here && other.cookie != here && one.cookie != other.cookie);
        let inside = thread::spawn(move || {
            one.enter().unwrap();
            let listens = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).is_ok();
            (cookie().unwrap() == one.cookie, listens, is_loopback_alone().unwrap())
        });
        assert_eq!(inside.join().unwrap(), (true, true, true));
    }
}
