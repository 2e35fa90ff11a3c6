//! Why there is no run.

use std::io;
use std::path::PathBuf;

use crate::call::Untrusted;

/// Why a run did not start, or could not be kept. Whatever was made for it is gone again.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Not root.
    #[error(
        "a run's cage is made by root, and this is uid {found}; start it with sudo or as a service"
    )]
    NotRoot {
        /// The effective uid.
        found: u32,
    },
    /// More than one thread: a copy of the process would hold locks of threads that are gone.
    #[error("the launcher must be single-threaded, and this process has {found} threads")]
    Threads {
        /// How many there are.
        found: usize,
    },
    /// No command.
    #[error("there is no command to run; put it after --")]
    NoCommand,
    /// A port that a run cannot have.
    #[error("a bridge has a port from {least} on, and {found} was asked for")]
    Port {
        /// The port.
        found: u16,
        /// The least that no privilege is needed for.
        least: u16,
    },
    /// The prompt or the task cannot be digested.
    #[error("cannot read {path}, the prompt or the task: {why}")]
    Prompt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A path that no run may see.
    #[error("a run may not see {path}: {why}")]
    ReadOnly {
        /// The host's path.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// Standard input, output or error is something that a run may not hold.
    #[error(
        "descriptor {number} is {found}; a run takes a pipe, a local file, a unix socket or a terminal"
    )]
    Stdio {
        /// 0, 1 or 2.
        number: i32,
        /// What it is.
        found: String,
    },
    /// The authority cannot be asked.
    #[error("the authority does not answer at {path}: {why}; is it running?")]
    NoAuthority {
        /// Its socket.
        path: PathBuf,
        /// What failed.
        why: String,
    },
    /// The authority said no.
    #[error("the authority refuses the run: {why}")]
    Refused {
        /// Its words.
        why: Untrusted,
    },
    /// A uid that no run may have.
    #[error(
        "the authority gave uid {found}, which is not of the pool; do both read one configuration?"
    )]
    NotPool {
        /// The uid.
        found: u32,
    },
    /// The cage does not stand.
    #[error("the cage is not proven, so nothing starts in it: {why}; see `atf enforcer check`")]
    Unproven {
        /// Every mismatch.
        why: String,
    },
    /// The cage could not be entered.
    #[error("the run's first process stopped while it was {why}")]
    Inside {
        /// What it did, and what the kernel said.
        why: String,
    },
    /// The command is on the host alone.
    #[error(
        "{path} is on the host, and the run does not see it; show it what the command needs by `--read-only PATH` or `run.read_only`"
    )]
    Unseen {
        /// The command.
        path: PathBuf,
    },
    /// The operating system refused something else.
    #[error("cannot {doing}: {error}")]
    Os {
        /// What was tried.
        doing: String,
        /// What the kernel said.
        error: io::Error,
    },
}

/// Names what was tried when the operating system refuses.
pub(super) trait Doing<T> {
    /// The error says `cannot {what}: {error}`.
    fn doing(self, what: impl Into<String>) -> Result<T, RunError>;
}

impl<T, E: Into<io::Error>> Doing<T> for Result<T, E> {
    fn doing(self, what: impl Into<String>) -> Result<T, RunError> {
        self.map_err(|error| RunError::Os { doing: what.into(), error: error.into() })
    }
}
