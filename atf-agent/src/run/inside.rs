//! The run's first process, from its first instruction to the command: everything is given up in one
//! order, and nothing starts when a step fails.

use std::convert::Infallible;
use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::path::PathBuf;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::Mode;
use rustix::process::Signal;

use crate::call::{Digest, RunId};
use crate::sys::{descriptors, privileges as kernel, seccomp};

use super::bridge::{Bridge, Bridged};
use super::filter::Filters;
use super::supervisor;
use super::view::{self, Plan};
use super::writes::Writes;
use super::{listener, privileges, stdio};

/// What the first process exits with when the cage could not be entered; sysexits.h EX_OSERR, as
/// 1 and 125 to 127 are what shells use.
const EXIT_STOPPED: i32 = 71;

/// The host name that a run sees: the same in all, so that it tells nothing.
const HOST_NAME: &[u8] = b"agent";

/// What the keeper writes when the child may go on.
pub(super) const GO: &[u8] = b"g";

/// The numbers of the pipes at the end: those past standard error.
const ERRORS_NUMBER: i32 = 3;
const GO_NUMBER: i32 = 4;
const LISTENER_NUMBER: i32 = 5;

/// The first number that nothing has at the end.
const FREE_NUMBER: u32 = 6;

/// Where the pipes are moved first, so that moving one to its number cannot close the other.
const RAISED_FROM: i32 = 64;

/// A step that failed: what was being done, and what the kernel said.
#[derive(Debug)]
pub(super) struct Stopped {
    doing: String,
    why: String,
}

impl Stopped {
    pub(super) fn at(doing: impl Into<String>, why: impl fmt::Display) -> Self {
        Self { doing: doing.into(), why: why.to_string() }
    }
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.doing, self.why)
    }
}

/// Names what was being done when it fails.
pub(super) trait Step<T> {
    /// The error says `{doing}: {why}`.
    fn step(self, doing: impl Into<String>) -> Result<T, Stopped>;
}

impl<T, E: fmt::Display> Step<T> for Result<T, E> {
    fn step(self, doing: impl Into<String>) -> Result<T, Stopped> {
        self.map_err(|why| Stopped::at(doing, why))
    }
}

/// All that the first process needs; made by the keeper, used in the child's copy of its memory.
pub(super) struct Orders {
    /// The run.
    pub(super) run: RunId,
    /// Its uid, and its gid.
    pub(super) uid: u32,
    /// The digest of its prompt.
    pub(super) prompt: Digest,
    /// What it sees.
    pub(super) plan: Plan,
    /// Its process limits.
    pub(super) limits: privileges::Limits,
    /// Where it may write; `None` where this kernel cannot hold it to that.
    pub(super) writes: Option<Writes>,
    /// Its system call filter.
    pub(super) filters: Filters,
    /// Its loopback, if it has one.
    pub(super) bridged: Option<Bridged>,
    /// The other end of its own terminal, and which of 0 to 2 it replaces.
    pub(super) terminal: Option<(OwnedFd, stdio::Terminals)>,
    /// The kind of terminal, for programs that draw.
    pub(super) terminal_name: Option<String>,
    /// To and from the keeper.
    pub(super) pipes: PipesInside,
    /// The command.
    pub(super) command: Vec<OsString>,
    /// Where it starts.
    pub(super) workdir: Option<PathBuf>,
}

/// The run's ends of the pipes to the keeper.
pub(super) struct PipesInside {
    /// Readable when the keeper says go; at its end when the keeper is gone, for as long as the run lives.
    pub(super) go: OwnedFd,
    /// Takes the message of the step that failed; closed when the command has started.
    pub(super) errors: OwnedFd,
    /// Takes the listener of the system call filter, or the word that there is none.
    pub(super) listener: OwnedFd,
    /// The number of the keeper's end of `go`. The child has a copy of it, which must be closed: the
    /// pipe would never end otherwise.
    pub(super) keepers_go: RawFd,
}

/// Enters the cage and supervises the command in it. Returns only when a step failed, with what the
/// process should exit with; the keeper has the message then.
pub(super) fn enter(orders: &Orders) -> i32 {
    let Ok(mut pipes) = Pipes::raise(&orders.pipes) else {
        return EXIT_STOPPED;
    };
    let Err(stopped) = steps(orders, &mut pipes);
    pipes.report(&stopped);
    EXIT_STOPPED
}

/// The order in which everything is given up.
fn steps(orders: &Orders, pipes: &mut Pipes) -> Result<Infallible, Stopped> {
    pipes.wait_for_go()?;
    kernel::own_cgroup_namespace().step("making a cgroup namespace")?;
    if let Some(bridged) = &orders.bridged {
        bridged.network.enter().step("entering the run's network")?;
    }
    // The view states the mode of everything it makes.
    rustix::process::umask(Mode::empty());
    view::enter(&orders.plan)?;
    rustix::system::sethostname(HOST_NAME).step("setting the host name")?;
    // A session of its own: the keeper's terminal is nobody's controlling terminal in here.
    rustix::process::setsid().step("making a session")?;
    if let Some((terminal, which)) = &orders.terminal {
        which.replace(terminal)?;
    }
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
    pipes.close_all_others()?;
    privileges::give_up(orders.uid, &orders.limits)?;
    // After the change of uid, which clears it (prctl(2), PR_SET_PDEATHSIG).
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .step("asking to end with the keeper")?;
    pipes.is_keeper_alive()?;
    if let Some(writes) = orders.writes {
        writes.give_up_others()?;
    }
    // Before the command, and so before anybody else of the run could take its port.
    let bridge = orders.bridged.as_ref().map(|bridged| Bridge::listen(bridged.port)).transpose()?;
    pipes.install(&orders.filters)?;
    supervisor::supervise(orders, pipes, bridge)
}

/// The pipes to the keeper, which must outlive all other descriptors.
pub(super) struct Pipes {
    go: File,
    /// `None` once the keeper has the listener.
    listener: Option<OwnedFd>,
    /// `None` once the command's process has it.
    errors: Option<File>,
}

impl Pipes {
    /// Copies of both above the numbers that they will have in the end.
    fn raise(orders: &PipesInside) -> rustix::io::Result<Self> {
        descriptors::close_number(orders.keepers_go);
        let copy = |fd: &OwnedFd| rustix::io::fcntl_dupfd_cloexec(fd, RAISED_FROM).map(File::from);
        Ok(Self {
            go: copy(&orders.go)?,
            listener: Some(copy(&orders.listener)?.into()),
            errors: Some(copy(&orders.errors)?),
        })
    }

    fn wait_for_go(&mut self) -> Result<(), Stopped> {
        let mut word = [0; GO.len()];
        let doing = "waiting for the keeper";
        self.go.read_exact(&mut word).step(doing)?;
        if word == *GO {
            return Ok(());
        }
        Err(Stopped::at(doing, "it does not speak"))
    }

    /// Installs the filter. Its listener goes to the keeper and stays nowhere in the run: whoever holds
    /// it could let calls through.
    fn install(&mut self, filters: &Filters) -> Result<(), Stopped> {
        let doing = "installing the system call filter";
        seccompiler::apply_filter(&filters.missing).step(doing)?;
        let keeper = self.listener.take().ok_or("no way to the keeper").step(doing)?;
        match seccomp::install_listening(&filters.listening) {
            Ok(listener) => listener::hand_over(&keeper, &listener).step("handing a listener over"),
            // Something around the run listens already.
            Err(error) => {
                for filter in &filters.silent {
                    seccompiler::apply_filter(filter).step(doing)?;
                }
                listener::say_none(&keeper, &error).step("handing no listener over")
            }
        }
    }

    /// Leaves 0, 1, 2 and these pipes. Closing, and not close-on-exec: the supervisor holds nothing
    /// that the command could take from it either.
    fn close_all_others(&mut self) -> Result<(), Stopped> {
        let mut close = || -> io::Result<()> {
            if let Some(errors) = &self.errors {
                let moved = descriptors::copy_to(errors.as_fd(), ERRORS_NUMBER)?;
                self.errors = Some(File::from(moved));
            }
            self.go = File::from(descriptors::copy_to(self.go.as_fd(), GO_NUMBER)?);
            if let Some(listener) = &self.listener {
                self.listener = Some(descriptors::copy_to(listener.as_fd(), LISTENER_NUMBER)?);
            }
            descriptors::close_from(FREE_NUMBER)
        };
        close().step("closing descriptors")
    }

    /// The keeper may have died before the death signal was asked for; its end of the pipe is closed
    /// then.
    fn is_keeper_alive(&self) -> Result<(), Stopped> {
        let mut fds = [PollFd::new(&self.go, PollFlags::empty())];
        let now = Timespec::default();
        let doing = "looking for the keeper";
        poll(&mut fds, Some(&now)).step(doing)?;
        if fds[0].revents().is_empty() {
            return Ok(());
        }
        Err(Stopped::at(doing, "it is gone"))
    }

    /// What ends when the keeper does.
    pub(super) fn keeper(&self) -> BorrowedFd<'_> {
        self.go.as_fd()
    }

    /// Tells the keeper which step failed.
    pub(super) fn report(&mut self, stopped: &Stopped) {
        if let Some(errors) = &mut self.errors {
            // When the keeper is gone, nobody is left to hear it.
            let _unheard = write!(errors, "{stopped}");
        }
    }

    /// Lets go of the error pipe, so that the keeper sees its end when the command has started.
    pub(super) fn close(&mut self) {
        self.errors = None;
    }
}
