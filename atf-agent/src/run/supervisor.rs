//! The first process of a run, once it has given everything up: starts the command, reaps orphans,
//! passes signals on, serves the run's bridge if it has one, and ends with the command. When it ends, the
//! kernel ends the rest.

use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::io::{Error, ErrorKind};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process, wait};

use crate::sys::clone::{exit_now, fork};
use crate::sys::signals::{Signals, default_all, unblock_all};
use crate::wire::in_run;

use super::bridge::Bridge;
use super::inside::{Orders, Pipes, Step, Stopped};
use super::view::HOME;

/// Where programs are looked up.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin";

/// What the keeper or a terminal may send, and the command gets.
pub(super) const PASSED_ON: [Signal; 4] = [Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT];

/// A shell's status for a command that a signal ended: this and the signal's number.
const SIGNALLED: i32 = 128;

/// What the command's process exits with when the command could not be executed; the keeper has the
/// message.
const EXIT_NOT_EXECUTED: i32 = 126;

/// What this process exits with when the keeper is gone; nobody reads it.
const EXIT_ABANDONED: i32 = 125;

/// Starts the command and ends with it, or with the keeper: the death signal that was asked for does not
/// come from a keeper that may not send this user one (check_kill_permission in kernel/signal.c).
pub(super) fn supervise(
    orders: &Orders,
    pipes: &mut Pipes,
    bridge: Option<Bridge>,
) -> Result<Infallible, Stopped> {
    let [term, int, hup, quit] = PASSED_ON;
    // SIGTTOU stops who takes a terminal's foreground, unless it is blocked.
    let signals = Signals::block(&[term, int, hup, quit, Signal::CHILD, Signal::TTOU])
        .step("blocking the supervisor's signals")?;
    let command = fork(|| {
        let Err(stopped) = execute(orders);
        pipes.report(&stopped);
        EXIT_NOT_EXECUTED
    })
    .step("starting the command's process")?;
    if let Some(bridge) = bridge {
        bridge.start(in_run::SOCKET.as_ref())?;
    }
    pipes.close();
    loop {
        let keeper = pipes.keeper();
        let mut fds =
            [PollFd::new(&signals, PollFlags::IN), PollFd::new(&keeper, PollFlags::empty())];
        // An interrupted wait is as good as any: everything below only looks. One that is refused sees nothing.
        let is_blind = poll(&mut fds, None).is_err_and(|error| error != Errno::INTR);
        if is_blind || !fds[1].revents().is_empty() {
            exit_now(EXIT_ABANDONED);
        }
        while let Ok(Some(signal)) = signals.next() {
            match Signal::from_named_raw(signal) {
                // Several ended children may have made one signal.
                Some(Signal::CHILD) => reap(command),
                Some(Signal::TTOU) => {}
                // The command may have just ended; that is the next signal to read.
                Some(other) => drop(kill_process(command, other)),
                None => {}
            }
        }
    }
}

/// Waits for all that have ended, and ends this process when the command is among them.
fn reap(command: Pid) {
    while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
        if pid == command {
            exit_now(as_a_shell_says(status));
        }
    }
}

fn as_a_shell_says(status: WaitStatus) -> i32 {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => code,
        (None, Some(signal)) => SIGNALLED + signal,
        (None, None) => SIGNALLED,
    }
}

/// Becomes the command.
fn execute(orders: &Orders) -> Result<Infallible, Stopped> {
    if let Some((_, which)) = &orders.terminal {
        // A group of its own in the foreground: the terminal's keys reach the command alone, and not
        // the supervisor, which would pass them on a second time.
        rustix::process::setpgid(None, None).step("making a process group")?;
        which.bring_to_front(rustix::process::getpid())?;
    }
    default_all().step("giving signals their default effect")?;
    unblock_all().step("unblocking signals")?;
    let workdir = orders.workdir.as_deref().unwrap_or(HOME.as_ref());
    rustix::process::chdir(workdir).step(format!("entering {}", workdir.display()))?;
    let Some((program, arguments)) = orders.command.split_first() else {
        return Err(Stopped::at("starting the command", "there is none"));
    };
    let error = Command::new(program).args(arguments).env_clear().envs(environment(orders)).exec();
    Err(Stopped::at(format!("executing {}", program.display()), why_not_executed(program, &error)))
}

/// What the launcher looks for in a first process's message: the command is nothing that the run sees.
pub(super) const UNSEEN: &str = "the run sees no such file";

/// Why a program was not executed. The kernel has one error for a program that is not there and for one whose
/// interpreter is not (execve(2)).
fn why_not_executed(program: &OsStr, error: &Error) -> String {
    let path = Path::new(program);
    match error.kind() {
        ErrorKind::NotFound if path.components().count() < 2 => format!("it is not in {PATH}"),
        ErrorKind::NotFound if path.exists() => {
            "the interpreter or loader that it names is nothing that the run sees".to_owned()
        }
        ErrorKind::NotFound => UNSEEN.to_owned(),
        _ => error.to_string(),
    }
}

/// All that the command finds in its environment: nothing of the launcher's.
fn environment(orders: &Orders) -> Vec<(&'static str, OsString)> {
    let mut all: Vec<(&'static str, OsString)> = vec![
        ("PATH", PATH.into()),
        ("HOME", HOME.into()),
        ("LANG", "C.UTF-8".into()),
        ("ATF_SOCKET", in_run::SOCKET.into()),
        ("ATF_LINES_SOCKET", in_run::LINES_SOCKET.into()),
        ("ATF_TOKEN_FILE", in_run::TOKEN.into()),
        ("ATF_RUN", orders.run.to_string().into()),
        ("ATF_PROMPT_SHA256", orders.prompt.to_string().into()),
    ];
    if let Some(bridged) = &orders.bridged {
        all.push(("ATF_BRIDGE_URL", format!("http://127.0.0.1:{}", bridged.port).into()));
    }
    if let Some(terminal) = &orders.terminal_name {
        all.push(("TERM", terminal.into()));
    }
    all
}
