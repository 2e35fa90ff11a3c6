//! Attempts that hope to be less watched than the first process: descendants, and other cgroups.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::{self, Errno};

use super::trial::Trial;
use super::{Around, Said, stream};
use crate::lab::address;

/// Generations below the first process; each tries by itself.
const GENERATIONS: u32 = 3;

/// What the process calls itself once it waits to be moved.
pub(crate) const WAITING: &std::ffi::CStr = c"waiting";

/// How long the lab has to move us.
const MOVE_MAX: Duration = Duration::from_secs(20);

/// Tries TCP, and has a child do the same, and so on. It is out when any of them is.
pub(super) fn tree(trial: &mut Trial, around: &Around) -> io::Result<()> {
    let own = stream::tcp(trial, address::TCP4.into());
    if around.depth >= GENERATIONS {
        return own;
    }
    match child(&around.lab, around.depth + 1) {
        Some(said) if said.outcome == "out" => {
            trial.took(said.us);
            Ok(())
        }
        Some(_) => own,
        None => own.and(Err(Errno::CHILD)),
    }
}

fn child(lab: &Path, depth: u32) -> Option<Said> {
    let mut command = Command::new(env::current_exe().ok()?);
    command.args(["attempt", "child_tree", "--depth", &depth.to_string(), "--lab"]).arg(lab);
    serde_json::from_slice(&command.output().ok()?.stdout).ok()
}

/// Waits until the lab has moved this process into another cgroup, then tries TCP.
pub(super) fn moved(trial: &mut Trial) -> io::Result<()> {
    let place = || fs::read("/proc/self/cgroup").map_err(|_| Errno::NOENT);
    let (first, began) = (place()?, Instant::now());
    // The lab moves nobody before.
    rustix::thread::set_name(WAITING)?;
    while place()? == first {
        if began.elapsed() > MOVE_MAX {
            return Err(Errno::TIMEDOUT);
        }
        thread::sleep(Duration::from_millis(2));
    }
    stream::tcp(trial, address::TCP4.into())
}
