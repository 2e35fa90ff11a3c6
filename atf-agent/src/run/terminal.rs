//! A run's own terminal: a pseudo-terminal whose outer side the keeper holds. Whatever the run does to
//! it, nobody else's terminal is typed into or read.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::fchown;

use rustix::fs::OFlags;
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize};

use super::error::{Doing, RunError};
use super::stdio::Terminals;

/// Bytes copied at once; a pseudo-terminal holds no more (`N_TTY_BUF_SIZE`).
const CHUNK_BYTES: usize = 4_096;

/// Longest name of a kind of terminal; terminfo's are shorter.
const NAME_BYTES_MAX: usize = 64;

/// The keeper's side.
pub(super) struct Terminal {
    outer: File,
    which: Terminals,
    /// Typed, and not taken by the run yet.
    typed: Vec<u8>,
    /// True until standard input ends.
    is_listening: bool,
    /// How standard input was before it was made raw.
    before: Option<Termios>,
}

impl Terminal {
    /// A terminal for the run of `uid` in the place of those in `which`; the run's side comes second.
    /// `None` when there are none.
    pub(super) fn open(which: Terminals, uid: u32) -> Result<Option<(Self, OwnedFd)>, RunError> {
        if !which.any() {
            return Ok(None);
        }
        let open = || -> io::Result<(OwnedFd, OwnedFd)> {
            let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
            let outer = openpt(flags)?;
            unlockpt(&outer)?;
            let inner = ioctl_tiocgptpeer(&outer, flags)?;
            fchown(&inner, Some(uid), Some(uid))?;
            rustix::fs::fcntl_setfl(&outer, OFlags::RDWR | OFlags::NONBLOCK)?;
            Ok((outer, inner))
        };
        let (outer, inner) = open().doing("make a terminal for the run")?;
        let terminal = Self {
            outer: File::from(outer),
            which,
            typed: Vec::new(),
            is_listening: which.is(0),
            before: None,
        };
        terminal.resize();
        Ok(Some((terminal, inner)))
    }

    /// Hands keys on as they come: the run's terminal, and not the keeper's, makes lines of them.
    pub(super) fn make_raw(&mut self) {
        if !self.which.is(0) {
            return;
        }
        let input = std::io::stdin();
        if let Ok(before) = tcgetattr(&input) {
            let mut raw = before.clone();
            raw.make_raw();
            if tcsetattr(&input, OptionalActions::Flush, &raw).is_ok() {
                self.before = Some(before);
            }
        }
    }

    /// Gives the run's terminal the size of the keeper's.
    pub(super) fn resize(&self) {
        let (input, output, errors) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
        let all = [input.as_fd(), output.as_fd(), errors.as_fd()];
        let size = (0..).zip(all).find(|(number, _)| self.which.is(*number));
        if let Some(Ok(size)) = size.map(|(_, fd)| tcgetwinsize(fd)) {
            // A size is a courtesy; a program that needs it asks again.
            let _unsized = tcsetwinsize(&self.outer, size);
        }
    }

    /// The descriptor to wait for output on.
    pub(super) fn outer(&self) -> BorrowedFd<'_> {
        self.outer.as_fd()
    }

    /// True when keys should be waited for: not while the run has not taken the earlier ones.
    pub(super) fn wants_keys(&self) -> bool {
        self.is_listening && self.typed.is_empty()
    }

    /// True when there is something that the run has not taken.
    pub(super) fn has_keys(&self) -> bool {
        !self.typed.is_empty()
    }

    /// Reads keys.
    pub(super) fn read_keys(&mut self) {
        let mut chunk = [0; CHUNK_BYTES];
        match rustix::io::read(std::io::stdin(), &mut chunk) {
            Ok(0) | Err(_) => self.is_listening = false,
            Ok(read) => self.typed.extend_from_slice(&chunk[..read]),
        }
    }

    /// Hands on what the run takes now.
    pub(super) fn hand_on(&mut self) {
        match self.outer.write(&self.typed) {
            Ok(taken) => drop(self.typed.drain(..taken)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => self.typed.clear(),
        }
    }

    /// Shows what the run has written; false when there is no more to come.
    pub(super) fn show(&mut self) -> bool {
        let mut chunk = [0; CHUNK_BYTES];
        let read = match self.outer.read(&mut chunk) {
            Ok(0) => return false,
            Ok(read) => read,
            Err(error) => return error.kind() == io::ErrorKind::Interrupted,
        };
        // Both of the run's outputs are one terminal; it is shown on whichever the keeper has one.
        let shown = if self.which.is(1) {
            std::io::stdout().write_all(&chunk[..read]).and_then(|()| std::io::stdout().flush())
        } else {
            std::io::stderr().write_all(&chunk[..read])
        };
        shown.is_ok()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            // The keeper's terminal may have gone away; then it needs nothing.
            let _gone = tcsetattr(std::io::stdin(), OptionalActions::Flush, before);
        }
    }
}

/// The kind of the keeper's terminal, when it is a plain name.
pub(super) fn name() -> Option<String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'+' | b'.' | b'_');
    std::env::var("TERM")
        .ok()
        .filter(|name| name.len() <= NAME_BYTES_MAX && name.bytes().all(plain))
}
