//! What the launcher is asked for, and what it answers.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::call::{AgentName, Digest, RunId, Untrusted};
use crate::gate;
use crate::wire::Mandate;

use super::RunError;

/// Longest system prompt, and longest task, in bytes: a megabyte of text is ten times the context of today's models.
const TEXT_BYTES_MAX: u64 = 1 << 20;

/// One run, as `atf run` was told.
#[derive(Debug, Clone)]
pub struct Request {
    /// The agent; the authority must have its manifest.
    pub agent: AgentName,
    /// Whose task it has.
    pub task: Task,
    /// The file that holds the system prompt. Only its digest and those of its words go further.
    pub prompt_file: PathBuf,
    /// Wanted lifetime in seconds; the authority's own limit holds when it is shorter.
    pub lifetime_s: Option<u32>,
    /// More host paths that the run sees read-only, beside those of the settings.
    pub read_only: Vec<PathBuf>,
    /// The port of its bridge, if it has one whatever the settings say.
    pub bridge: Option<u16>,
    /// The command and its arguments; looked up in the run's `PATH` unless it has a slash.
    pub command: Vec<OsString>,
    /// Where the command starts, as the run sees it; its home when `None`.
    pub workdir: Option<PathBuf>,
}

/// Whose task a run has.
#[derive(Debug, Clone)]
pub enum Task {
    /// A person's own.
    Person {
        /// The person for whom the run acts.
        user: Untrusted,
        /// The task.
        task: Untrusted,
        /// The file that holds the task, as the person asked for it, if there is one. Only keyed digests of
        /// its words go further.
        file: Option<PathBuf>,
    },
    /// That of a live run, which hands it on.
    Run(RunId),
}

/// What the launcher needs of the cage, handed in so that it can be tested without one.
pub struct Hooks<Prove> {
    /// The agents' cgroup: absolute path of its directory.
    pub agents_dir: PathBuf,
    /// Proves that the cage stands, or says what is wrong. Called right before every start.
    pub prove: Prove,
}

/// A run that has ended, and of which nothing is left but what is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// The run.
    pub run: RunId,
    /// The uid that it had.
    pub uid: u32,
    /// The command's exit status as a shell tells it: 128 and the signal when a signal ended it.
    pub status: u8,
    /// Whether it was sealed at its end.
    pub sealed: bool,
    /// Limits that this host could not set, and why.
    pub not_limited: Vec<String>,
    /// What could not be taken down, and why.
    pub left_behind: Vec<String>,
}

impl Request {
    /// The digest of the prompt file, and the mandate, with what task and prompt name.
    pub(super) fn prompt(&self) -> Result<(Digest, Mandate), RunError> {
        let prompt = read(&self.prompt_file)?;
        let mandate = match &self.task {
            Task::Run(parent) => Mandate::Run { parent: *parent },
            Task::Person { user, task, file } => {
                let text = file.as_deref().map(read).transpose()?.unwrap_or_default();
                let texts = [text, prompt.clone()].map(String::from_utf8);
                let [text, prompt] = texts.map(|text| text.unwrap_or_default());
                let named = gate::name(&[&text, &prompt]);
                Mandate::Person { user: user.clone(), task: task.clone(), named }
            }
        };
        Ok((Digest::of(&prompt), mandate))
    }
}

/// The bytes of a file of at most [`TEXT_BYTES_MAX`].
fn read(path: &Path) -> Result<Vec<u8>, RunError> {
    let fail = |why: String| RunError::Prompt { path: path.to_owned(), why };
    let mut text = Vec::new();
    File::open(path)
        .and_then(|file| file.take(TEXT_BYTES_MAX + 1).read_to_end(&mut text))
        .map_err(|error| fail(error.to_string()))?;
    if text.len() as u64 > TEXT_BYTES_MAX {
        return Err(fail(format!("it is longer than {TEXT_BYTES_MAX} bytes")));
    }
    Ok(text)
}
