//! Why the authority says no, or does not run.

use std::io;
use std::num::NonZeroU64;
use std::path::PathBuf;

use super::kernel_side::KernelFault;
use super::manifest::ManifestError;
use crate::call::{CgroupId, DecisionId, Digest, MayNotGrant, RunId, Untrusted};
use crate::identity::IdentityError;
use crate::state::RegistryError;
use crate::state::files::FileError;

/// Why a request is refused, or the authority does not run.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// Another uid asks than may.
    #[error("uid {uid} may not ask this; runs are root's, and subscribing is the gateway's")]
    NotAllowed {
        /// Who asks.
        uid: u32,
    },
    /// No manifest.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// Another prompt than the manifest's.
    #[error("the system prompt has digest {found}, the agent's manifest wants {expected}")]
    Prompt {
        /// The manifest's.
        expected: Digest,
        /// The run's.
        found: Digest,
    },
    /// The cgroup is not the run's.
    #[error("there is no cgroup {run} with id {cgroup} under the agents' cgroup")]
    Cgroup {
        /// The run.
        run: RunId,
        /// The id.
        cgroup: CgroupId,
    },
    /// A network in which others are, or may be.
    #[error(
        "network {found} is not the run's alone: the authority or another run is in it, or this kernel does \
         not say"
    )]
    Network {
        /// Its cookie.
        found: NonZeroU64,
    },
    /// No uid is free.
    #[error("all {size} uids of the pool are in use; end runs or enlarge ids.pool_size")]
    Pool {
        /// How many there are.
        size: u32,
    },
    /// No live run of this id.
    #[error("run {run} is not live")]
    NotLive {
        /// The run.
        run: RunId,
    },
    /// No call of this name waits.
    #[error(
        "no call {decision} waits for a person's word; `atf approvals list` lists those that do"
    )]
    NotPending {
        /// The decision that is said to have asked.
        decision: DecisionId,
    },
    /// Who logged in is not known.
    #[error(
        "the login of {name} cannot be read in /proc ({why}), so that nobody knows whose yes it is; it still waits"
    )]
    Login {
        /// The name that was given.
        name: Untrusted,
        /// Why.
        why: io::ErrorKind,
    },
    /// The call is not this person's to grant.
    #[error("{why}; it still waits")]
    MayNotGrant {
        /// Who may.
        why: MayNotGrant,
    },
    /// The run that would hand its task on is sealed.
    #[error("run {run} is sealed; nothing is signed below it until `atf release`")]
    Sealed {
        /// The run.
        run: RunId,
    },
    /// The runs above the run are no chain.
    #[error("the task cannot be handed on: {what}")]
    Chain {
        /// What is wrong.
        what: String,
    },
    /// The run is at its absolute end.
    #[error("run {run} has reached its end; no token is signed for it any more")]
    AtEnd {
        /// The run.
        run: RunId,
    },
    /// The wall clock was set back.
    #[error(
        "the wall clock stands at {now_unix_s}, before the last token of {last_unix_s}; set it right"
    )]
    Clock {
        /// The clock.
        now_unix_s: u64,
        /// The last token's `iat`.
        last_unix_s: u64,
    },
    /// The kernel's map.
    #[error("the kernel's map of runs: {0}")]
    Kernel(KernelFault),
    /// The gateway does not know of the change.
    #[error("the gateway has not taken the change: {0}")]
    Gateway(String),
    /// The record is not in the log.
    #[error("the record is not in the log: {0}")]
    Log(String),
    /// The registry.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// A key or a token.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// A key file.
    #[error(transparent)]
    File(#[from] FileError),
    /// The socket or a directory.
    #[error("cannot {what} {path}: {error}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}
