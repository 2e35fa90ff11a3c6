//! The rows of the registry, and what can be wrong with it.

use std::io;
use std::num::NonZeroU64;
use std::path::PathBuf;

use super::registry::SCHEMA_VERSION;
use crate::call::{
    AgentName, CgroupId, Chain, Digest, Narrowing, Reach, RunId, ToolName, Untrusted,
};

/// A live run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// The run.
    pub run: RunId,
    /// Its cgroup.
    pub cgroup: CgroupId,
    /// Its uid.
    pub uid: u32,
    /// Its agent.
    pub agent: AgentName,
    /// The person for whom it acts.
    pub user: Untrusted,
    /// Its task.
    pub task: Untrusted,
    /// The digest of its system prompt.
    pub prompt: Digest,
    /// The tools that its tokens may name; a renewal never adds one.
    pub tools: Vec<ToolName>,
    /// What their arguments have to satisfy; a renewal never takes a fragment away.
    pub narrowing: Narrowing,
    /// The prompts and resources that its tokens may name; a renewal never adds one.
    pub reach: Reach,
    /// The runs that handed the task on to it.
    pub chain: Chain,
    /// The cookie of the network on whose loopback it may make TCP sockets, if there is one.
    pub network: Option<NonZeroU64>,
    /// The boot of the host in which it lives (`/proc/sys/kernel/random/boot_id`).
    pub boot: String,
    /// Absolute end, milliseconds of the boot clock.
    pub end_boot_ms: u64,
    /// End of the current token, milliseconds of the boot clock.
    pub token_boot_ms: u64,
}

/// A run whose end is not in the log yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// The run.
    pub run: RunId,
    /// How it ended.
    pub how: Untrusted,
    /// What the kernel programs counted: as in the record of the end.
    pub kernel: Vec<(String, [u64; 6])>,
}

/// Why the registry cannot say or keep something.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// SQLite says no.
    #[error("the registry failed: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The file cannot be made.
    #[error("cannot make the registry {path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Of another release.
    #[error(
        "the registry has schema {found}, expected {SCHEMA_VERSION}; was it made by a later release?"
    )]
    Version {
        /// What the file says.
        found: i64,
    },
    /// Its id was used before, or a live run has its cgroup, uid or network.
    #[error("run {run}, its cgroup, its uid or its network is in the registry already")]
    Taken {
        /// The run.
        run: RunId,
    },
    /// A row is not what was written.
    #[error("the registry is damaged: {what} is {found:?}")]
    Damaged {
        /// The column.
        what: &'static str,
        /// What it holds.
        found: String,
    },
}
