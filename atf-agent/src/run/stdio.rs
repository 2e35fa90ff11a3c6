//! Descriptors 0 to 2, the only ones that a run inherits: what they may be.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{FileType, Stat, fstat, major, minor};
use rustix::net::AddressFamily;
use rustix::net::sockopt::socket_domain;
use rustix::process::Pid;
use rustix::termios::isatty;

use crate::sys::descriptors;

use super::RunError;
use super::inside::{Step, Stopped};
use super::local;

/// Character devices that only make or swallow bytes: null, zero, full, random, urandom.
const HARMLESS: [(u32, u32); 5] = [(1, 3), (1, 5), (1, 7), (1, 8), (1, 9)];

/// Which of 0 to 2 are terminals, and must be replaced by the run's own: whoever holds a terminal can
/// type into it (`TIOCSTI`) and read what others type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Terminals([bool; 3]);

impl Terminals {
    /// Checks the three descriptors of this process.
    pub(super) fn find() -> Result<Self, RunError> {
        let (input, output, errors) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
        let mut found = [false; 3];
        for (number, fd) in (0..).zip([input.as_fd(), output.as_fd(), errors.as_fd()]) {
            found[number as usize] = match kind(fd) {
                Ok(Kind::Plain) => false,
                Ok(Kind::Terminal) => true,
                Ok(Kind::Refused(found)) => return Err(RunError::Stdio { number, found }),
                Err(error) => {
                    let found = format!("not readable as a file ({error})");
                    return Err(RunError::Stdio { number, found });
                }
            };
        }
        Ok(Self(found))
    }

    /// Whether there is one.
    pub(super) fn any(self) -> bool {
        self.0.contains(&true)
    }

    /// Whether descriptor `number` is one.
    pub(super) fn is(self, number: usize) -> bool {
        self.0.get(number).copied().unwrap_or(false)
    }

    /// In the run's first process: puts `terminal` in their place, as its controlling terminal.
    pub(super) fn replace(self, terminal: impl AsFd) -> Result<(), Stopped> {
        let doing = "taking the run's own terminal";
        let terminal = terminal.as_fd();
        rustix::process::ioctl_tiocsctty(terminal).step(doing)?;
        for (number, replaced) in (0..).zip(self.0) {
            if replaced {
                descriptors::become_number(terminal, number).step(doing)?;
            }
        }
        Ok(())
    }

    /// In the command's process: makes `group` the terminal's foreground, which gets its signals.
    pub(super) fn bring_to_front(self, group: Pid) -> Result<(), Stopped> {
        let (input, output, errors) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
        let all = [input.as_fd(), output.as_fd(), errors.as_fd()];
        match all.into_iter().zip(self.0).find(|(_, replaced)| *replaced) {
            Some((terminal, _)) => {
                rustix::termios::tcsetpgrp(terminal, group).step("taking the terminal's foreground")
            }
            None => Ok(()),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Plain,
    Terminal,
    Refused(String),
}

fn kind(fd: BorrowedFd<'_>) -> rustix::io::Result<Kind> {
    let status = fstat(fd)?;
    Ok(match FileType::from_raw_mode(status.st_mode) {
        FileType::Fifo => Kind::Plain,
        FileType::RegularFile => match local::objection(fd)? {
            None => Kind::Plain,
            Some(why) => Kind::Refused(format!("a file, and {why}")),
        },
        FileType::Socket => match socket_domain(fd)? {
            AddressFamily::UNIX => Kind::Plain,
            other => Kind::Refused(format!("a socket of family {}", other.as_raw())),
        },
        FileType::CharacterDevice if isatty(fd) => Kind::Terminal,
        FileType::CharacterDevice if HARMLESS.contains(&number(&status)) => Kind::Plain,
        // A directory is a door out of the mount view, an io_uring acts for who made it.
        other => Kind::Refused(format!("{other:?}")),
    })
}

fn number(status: &Stat) -> (u32, u32) {
    (major(status.st_rdev), minor(status.st_rdev))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::os::unix::net::UnixStream;

    fn check(name: &str, fd: impl AsFd, expected: &str) {
        let found = match kind(fd.as_fd()).unwrap() {
            Kind::Plain => "plain".to_owned(),
            Kind::Terminal => "terminal".to_owned(),
            Kind::Refused(_) => "refused".to_owned(),
        };
        assert_eq!(found, expected, "{name}");
    }

    #[test]
    fn only_pipes_local_files_unix_sockets_and_terminals_pass() {
        let open = |path: &str| std::fs::File::open(path).unwrap();
        let (unix, _other) = UnixStream::pair().unwrap();
        let (pipe, _writer) = std::io::pipe().unwrap();
        check("a pipe", pipe, "plain");
        check("a unix socket", unix, "plain");
        check("a local file", tempfile::tempfile().unwrap(), "plain");
        check("/dev/null", open("/dev/null"), "plain");
        check("a tcp socket", TcpListener::bind("127.0.0.1:0").unwrap(), "refused");
        check("a directory", open("/"), "refused");
        check("a proc file", open("/proc/self/status"), "refused");
        check("a cgroup file", open("/sys/kernel/uevent_seqnum"), "refused");
        check("/dev/kmsg", open("/dev/kmsg"), "refused");
        let queue = rustix::event::eventfd(0, rustix::event::EventfdFlags::empty()).unwrap();
        check("an anonymous inode", queue, "refused");
        let flags = rustix::pty::OpenptFlags::RDWR | rustix::pty::OpenptFlags::NOCTTY;
        check("a terminal", rustix::pty::openpt(flags).unwrap(), "terminal");
    }
}
