//! Where a run may write: its scratch, its few devices, its own processes' files, its own standard
//! output. A read-only mount does not say so of named pipes, which are no part of the file system that
//! they have a name in: a pipe of somebody else's would carry words out of the run. Landlock does.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{CWD, FileType, Mode, OFlags, fcntl_getfl, fstat, open, openat};
use rustix::io::Errno;

use crate::sys::landlock::{
    self, CHANGE_DIRECTORY, Ruleset, TRUNCATE, VERSION_MOVES, VERSION_TRUNCATE, WRITE_FILE,
};

use super::inside::{Step, Stopped};
use super::view::HOME;

/// The directories below which a run may change everything that its uid may. `/proc` holds the files by
/// which a process names its threads and says how dear it is; the view has made the rest read-only.
const DIRECTORIES: [&str; 4] = ["/tmp", HOME, "/dev/shm", "/proc"];

/// The devices that it may write to, those that its view has.
const DEVICES: [&str; 6] =
    ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"];

/// What this kernel's Landlock can hold a run to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Writes {
    on_files: u64,
    on_directories: u64,
}

impl Writes {
    /// Asks the kernel; `None` when it cannot hold a run to anything.
    pub(super) fn probe() -> io::Result<Option<Self>> {
        Ok(Self::of(landlock::version()?))
    }

    fn of(version: u32) -> Option<Self> {
        if version < VERSION_MOVES {
            return None;
        }
        let cuts = if version < VERSION_TRUNCATE { 0 } else { TRUNCATE };
        let on_files = WRITE_FILE | cuts;
        Some(Self { on_files, on_directories: on_files | CHANGE_DIRECTORY })
    }

    /// Gives up every other place, for good. In the run's view, after `no_new_privs`.
    pub(super) fn give_up_others(self) -> Result<(), Stopped> {
        let doing = |place: &dyn fmt::Display| format!("allowing writes to {place}");
        let rules =
            Ruleset::refusing(self.on_directories).step("making a ruleset of Landlock's")?;
        for directory in DIRECTORIES {
            let held = open(directory, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
            let held = held.step(doing(&directory))?;
            rules.allow(held.as_fd(), self.on_directories).step(doing(&directory))?;
        }
        for device in DEVICES {
            match openat(CWD, device, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()) {
                Ok(held) => rules.allow(held.as_fd(), self.on_files).step(doing(&device))?,
                Err(Errno::NOENT) => {}
                Err(error) => return Err(error).step(doing(&device)),
            }
        }
        let (input, output, errors) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
        for (number, fd) in (0..).zip([input.as_fd(), output.as_fd(), errors.as_fd()]) {
            self.allow_again(&rules, fd).step(doing(&format_args!("descriptor {number}")))?;
        }
        rules.restrict_self().step("giving up all other places to write to")
    }

    /// What was handed over open to write may be opened to write again, by `/dev/stdout`.
    fn allow_again(self, rules: &Ruleset, fd: BorrowedFd<'_>) -> io::Result<()> {
        let mode = fcntl_getfl(fd)? & OFlags::RWMODE;
        let is_file = FileType::from_raw_mode(fstat(fd)?.st_mode) != FileType::Directory;
        if mode == OFlags::RDONLY || !is_file {
            return Ok(());
        }
        match rules.allow(fd, self.on_files) {
            // A pipe or a socket: it has no path, and Landlock no say.
            Err(error) if Errno::from_io_error(&error) == Some(Errno::BADFD) => Ok(()),
            done => done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::view::SHOWN_ASIDE;
    use super::*;

    #[test]
    fn what_a_kernel_cannot_hold_is_not_asked_of_it() {
        assert_eq!(Writes::of(0), None);
        assert_eq!(Writes::of(1), None);
        let cuts = |version| Writes::of(version).map(|writes| writes.on_files & TRUNCATE != 0);
        assert_eq!(cuts(2), Some(false));
        assert_eq!(cuts(3), Some(true));
        assert_eq!(cuts(99), Some(true));
    }

    #[test]
    fn what_is_shown_aside_is_below_no_directory_of_the_runs_own() {
        for directory in DIRECTORIES {
            assert!(!SHOWN_ASIDE.starts_with(directory), "{directory}");
        }
    }
}
