//! From nothing to a started command: clone into the cgroup, prove the cage, say go, hear that the
//! command has been executed.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Signal, WaitId, WaitIdOptions, waitid};

use crate::sys::clone::{Child, clone_into_cgroup};

use super::acting;
use super::cgroup::Cgroup;
use super::error::{Doing, RunError};
use super::inside::{GO, Orders, PipesInside, enter};
use super::keeper::wait_for_start;
use super::listener;

/// The keeper's ends of the pipes to the run's first process.
pub(super) struct Ends {
    go: OwnedFd,
    errors: OwnedFd,
    listener: OwnedFd,
}

/// A started command.
pub(super) struct Started {
    /// The run's first process.
    pub(super) child: Child,
    /// What asks for answers to the calls that the run may not make, or why nothing does.
    pub(super) listener: Result<OwnedFd, String>,
    /// Its end tells the run's first process that the keeper is gone: to be kept as long as the run.
    pub(super) alive: OwnedFd,
}

impl Ends {
    /// All three; the run's ends come second.
    pub(super) fn pair() -> Result<(Self, PipesInside), RunError> {
        let make = || pipe_with(PipeFlags::CLOEXEC).doing("make a pipe");
        let (go_inside, go) = make()?;
        let (errors, errors_inside) = make()?;
        let (listener, listener_inside) =
            socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)
                .doing("make a socket pair")?;
        let keepers_go = go.as_raw_fd();
        let inside = PipesInside {
            go: go_inside,
            errors: errors_inside,
            listener: listener_inside,
            keepers_go,
        };
        Ok((Self { go, errors, listener }, inside))
    }
}

/// Starts the command in `cgroup`. When that fails, its processes are killed and waited for.
pub(super) fn start(
    cgroup: &Cgroup,
    orders: Orders,
    ends: Ends,
    prove: impl Fn() -> Result<(), String>,
) -> Result<Started, RunError> {
    let uid = orders.uid;
    let child = clone_into_cgroup(cgroup.as_fd(), || enter(&orders))
        .doing("start the run's first process")?;
    // The run's ends are the child's alone from here on, so that their closing is seen.
    drop(orders);
    // The child has done nothing yet: whatever is proven now holds when it starts.
    let started = prove().map_err(|why| RunError::Unproven { why }).and_then(|()| {
        let mut go = File::from(ends.go);
        go.write_all(GO).doing("tell the run's first process to go")?;
        wait_for_start(ends.errors)?;
        let listener = listener::take_over(&ends.listener).doing("take the filter's listener")?;
        Ok((listener, OwnedFd::from(go)))
    });
    match started {
        Ok((listener, alive)) => Ok(Started { child, listener, alive }),
        Err(error) => {
            // It may have ended by itself.
            let _gone = acting::signal(&child.pidfd, uid, Signal::KILL);
            waitid(WaitId::PidFd(child.pidfd.as_fd()), WaitIdOptions::EXITED)
                .doing("wait for the run's first process")?;
            Err(error)
        }
    }
}
