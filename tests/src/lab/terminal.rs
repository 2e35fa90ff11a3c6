//! A terminal of our own, to see who types into it.

use std::io;
use std::path::PathBuf;

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

/// A pseudo-terminal. It hangs up when its value goes.
#[derive(Debug)]
pub struct Terminal {
    /// The name of the side that programs see.
    pub path: PathBuf,
    _master: std::os::fd::OwnedFd,
}

impl Terminal {
    /// Makes one.
    ///
    /// # Errors
    /// When there is no devpts.
    pub fn new() -> io::Result<Self> {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let name = ptsname(&master, Vec::new())?;
        let path = name.into_string().map_err(io::Error::other)?.into();
        Ok(Self { path, _master: master })
    }
}

/// Makes the terminal at `path` the controlling terminal of this process, which becomes the leader
/// of a session; then what is typed there can be read from the descriptor returned.
///
/// # Errors
/// When this process leads a session or group already, or the terminal is another session's.
pub fn take(path: &std::path::Path) -> io::Result<std::os::fd::OwnedFd> {
    rustix::process::setsid()?;
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let terminal = rustix::fs::open(path, flags, Mode::empty())?;
    rustix::process::ioctl_tiocsctty(&terminal)?;
    Ok(terminal)
}

/// What has been typed into the terminal and not been read.
///
/// # Errors
/// When the terminal cannot be read.
pub fn typed(terminal: &std::os::fd::OwnedFd) -> io::Result<Vec<u8>> {
    rustix::fs::fcntl_setfl(terminal, OFlags::RDWR | OFlags::NONBLOCK)?;
    let mut buffer = [0; 1_024];
    match rustix::io::read(terminal, &mut buffer) {
        Ok(length) => Ok(buffer[..length].to_vec()),
        Err(rustix::io::Errno::AGAIN) => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}
