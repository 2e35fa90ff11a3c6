//! The outer parent of a run: waits for its end, renews its token, passes signals on, and copies the
//! bytes of its terminal. One thread, one poll.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Signal, WaitId, WaitIdOptions, waitid};

use crate::call::RunId;
use crate::sys::clone::Child;
use crate::sys::signals::Signals;
use crate::wire::Token;

use super::acting;
use super::admission::Authority;
use super::directory::Directory;
use super::error::{Doing, RunError};
use super::terminal::Terminal;

/// Longest time from go to the command's start. Entering the cage takes milliseconds; a loaded host
/// may take seconds.
const START_WAIT_MAX: Duration = Duration::from_secs(30);

/// First and longest pause before an unsuccessful renewal is tried again: an authority that restarts
/// is back within a second, and a token lives for minutes.
const RETRY_FIRST: Duration = Duration::from_millis(200);
const RETRY_MAX: Duration = Duration::from_secs(5);

/// Exit status of a first process that was killed: what a shell says of SIGKILL and the like.
const SIGNALLED: i32 = 128;

/// How a run's first process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// It exited with this status.
    Exited(i32),
    /// It was killed by this signal.
    Killed(i32),
}

impl End {
    /// As a shell tells it.
    pub(super) fn status(self) -> u8 {
        let status = match self {
            Self::Exited(status) => status,
            Self::Killed(signal) => SIGNALLED + signal,
        };
        u8::try_from(status).unwrap_or(u8::MAX)
    }
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exited(status) => write!(f, "exit {status}"),
            Self::Killed(signal) => write!(f, "signal {signal}"),
        }
    }
}

/// Waits until the command has started; an error is the step that failed inside.
pub(super) fn wait_for_start(errors: OwnedFd) -> Result<(), RunError> {
    let deadline = Instant::now() + START_WAIT_MAX;
    let mut errors = File::from(errors);
    let mut why = String::new();
    loop {
        let mut fds = [PollFd::new(&errors, PollFlags::IN)];
        let left = deadline.saturating_duration_since(Instant::now());
        match poll(&mut fds, Some(&timespec(left))) {
            Ok(0) => {
                let why = format!("waited for, and it did not start in {START_WAIT_MAX:?}");
                return Err(RunError::Inside { why });
            }
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(error).doing("wait for the run's start"),
            Ok(_) => {}
        }
        // The pipe ends when the command is executed or its process is gone; a message is shorter
        // than a pipe's atomic write.
        errors.read_to_string(&mut why).doing("read why the run stopped")?;
        return match why.as_str() {
            "" => Ok(()),
            _ => Err(RunError::Inside { why }),
        };
    }
}

/// What the keeper keeps alive.
pub(super) struct Keeper<'a> {
    pub(super) run: RunId,
    pub(super) uid: u32,
    pub(super) child: &'a Child,
    pub(super) signals: &'a Signals,
    pub(super) authority: &'a Authority,
    pub(super) directory: &'a Directory,
    pub(super) terminal: Option<Terminal>,
}

impl Keeper<'_> {
    /// Keeps the run until its first process has ended.
    pub(super) fn keep(mut self, token: &Token) -> Result<End, RunError> {
        let mut renewal = Renewal::after(token);
        let ends = Instant::now().checked_add(Duration::from_millis(token.ends_in_ms));
        let until_end = || ends.map(|ends| ends.saturating_duration_since(Instant::now()));
        if let Some(terminal) = &mut self.terminal {
            terminal.make_raw();
        }
        loop {
            let most = [renewal.due_in(), until_end()].into_iter().flatten().min();
            if self.wait(most)? {
                break;
            }
            if until_end() == Some(Duration::ZERO) {
                tracing::warn!(run = %self.run, "its absolute end has passed; it is killed");
                acting::signal(&self.child.pidfd, self.uid, Signal::KILL)
                    .doing("kill the run at its absolute end")?;
                break;
            }
            self.pass_signals_on()?;
            if renewal.is_due() {
                renewal = self.renew(renewal.pause);
            }
        }
        while self.terminal.as_mut().is_some_and(Terminal::show) {}
        let status = waitid(WaitId::PidFd(self.child.pidfd.as_fd()), WaitIdOptions::EXITED)
            .doing("wait for the run's end")?;
        let killed = status.as_ref().and_then(|status| status.terminating_signal());
        let exited = status.as_ref().and_then(|status| status.exit_status());
        Ok(match (exited, killed) {
            (Some(status), _) => End::Exited(status),
            (None, Some(signal)) => End::Killed(signal),
            (None, None) => End::Killed(Signal::KILL.as_raw()),
        })
    }

    /// Waits for something to do, and copies terminal bytes; true when the run has ended.
    fn wait(&mut self, most: Option<Duration>) -> Result<bool, RunError> {
        let nothing = PollFlags::empty();
        let input = std::io::stdin();
        let mut fds = vec![
            PollFd::new(&self.child.pidfd, PollFlags::IN),
            PollFd::new(self.signals, PollFlags::IN),
        ];
        if let Some(terminal) = &self.terminal {
            let out = if terminal.has_keys() { PollFlags::OUT } else { nothing };
            fds.push(PollFd::from_borrowed_fd(terminal.outer(), PollFlags::IN | out));
            if terminal.wants_keys() {
                fds.push(PollFd::new(&input, PollFlags::IN));
            }
        }
        match poll(&mut fds, most.map(timespec).as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error).doing("wait for the run"),
        }
        let ready: Vec<PollFlags> = fds.iter().map(PollFd::revents).collect();
        drop(fds);
        if let (Some(terminal), Some(outer)) = (&mut self.terminal, ready.get(2)) {
            if outer.contains(PollFlags::OUT) {
                terminal.hand_on();
            }
            if outer.contains(PollFlags::IN) {
                terminal.show();
            }
            if ready.get(3).is_some_and(|input| !input.is_empty()) {
                terminal.read_keys();
            }
        }
        Ok(!ready[0].is_empty())
    }

    fn pass_signals_on(&self) -> Result<(), RunError> {
        while let Some(signal) = self.signals.next().doing("read a signal")? {
            match (Signal::from_named_raw(signal), &self.terminal) {
                (Some(Signal::WINCH), Some(terminal)) => terminal.resize(),
                (Some(Signal::WINCH) | None, _) => {}
                // The run may have just ended.
                (Some(signal), _) => drop(acting::signal(&self.child.pidfd, self.uid, signal)),
            }
        }
        Ok(())
    }

    /// Tries once. The kernel holds the deadline of the token that there is: when no new one comes,
    /// the run can do nothing, and the keeper goes on trying.
    fn renew(&self, pause: Duration) -> Renewal {
        let renewed = self.authority.renew(self.run).and_then(|token| {
            self.directory.write_token(&token.jwt, self.uid).doing("write the run's token")?;
            Ok(Renewal::after(&token))
        });
        renewed.unwrap_or_else(|error| {
            tracing::warn!(run = %self.run, %error, ?pause, "the token is not renewed, trying again");
            Renewal {
                at: Some(Instant::now() + pause),
                pause: (pause * 2).min(RETRY_MAX),
            }
        })
    }
}

/// When the token is to be renewed, and how long to pause when that fails.
struct Renewal {
    at: Option<Instant>,
    pause: Duration,
}

impl Renewal {
    fn after(token: &Token) -> Self {
        let wait = Duration::from_secs(token.renew_in_s);
        Self { at: (!wait.is_zero()).then(|| Instant::now() + wait), pause: RETRY_FIRST }
    }

    fn due_in(&self) -> Option<Duration> {
        self.at.map(|at| at.saturating_duration_since(Instant::now()))
    }

    fn is_due(&self) -> bool {
        self.at.is_some_and(|at| at <= Instant::now())
    }
}

fn timespec(duration: Duration) -> Timespec {
    // A duration past the range of a timespec is as good as for ever.
    Timespec::try_from(duration).unwrap_or(Timespec { tv_sec: i64::MAX, tv_nsec: 0 })
}
