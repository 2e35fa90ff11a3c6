//! Why the gateway does not start.

use std::io;
use std::path::PathBuf;

use super::kernel_side::KernelFault;
use crate::call::Digest;
use crate::gate::{BundleError, PinError, PolicyError};
use crate::identity::IdentityError;
use crate::state::{ApprovalError, CountsError, VersionError};

/// Why the gateway does not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// The agents' cgroup cannot be named as the kernel names it.
    #[error("the agents' cgroup {path} is not found: {error}; is the enforcer up?")]
    Agents {
        /// Its directory.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The gateway's state directory cannot be made.
    #[error("cannot make the state directory {path}: {error}")]
    State {
        /// The directory.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// There is a gateway already, whose runs and permits this one would take over in part.
    #[error("cannot lock the state directory {path}: {error}; does another gateway run?")]
    Another {
        /// The directory.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The kernel does not say which boot this is.
    #[error("cannot read {path}: {error}; is /proc mounted?")]
    Boot {
        /// Where it says so.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// What the runs spent cannot be read. Without it their caps would begin anew.
    #[error(transparent)]
    Counts(#[from] CountsError),
    /// Without the approvals one could be used twice.
    #[error(transparent)]
    Approvals(#[from] ApprovalError),
    /// The policy is refused.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The policy's files cannot be read.
    #[error(transparent)]
    Files(#[from] VersionError),
    /// The policy is not signed as the configuration demands.
    #[error("the policy's directory: {0}")]
    Signature(#[from] BundleError),
    /// Another policy is there than was said.
    #[error(
        "expected policy revision {expected}, found {found}; was the directory changed meanwhile?"
    )]
    Revision {
        /// What was said.
        expected: Digest,
        /// What is there.
        found: Digest,
    },
    /// A tool's pin is refused.
    #[error(transparent)]
    Pins(#[from] PinError),
    /// No permit key.
    #[error("no permit key: {0}")]
    Key(#[from] IdentityError),
    /// The public permit key cannot be written.
    #[error(
        "cannot write the public permit key {path}: {error}; the directory must be the gateway's"
    )]
    PermitKey {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The kernel does not take the lease.
    #[error(
        "cannot renew the lease: {0}; is the enforcer up, and this process of the gateway's group?"
    )]
    Lease(KernelFault),
    /// No signal can be waited for.
    #[error("cannot wait for signals: {0}")]
    Signals(io::Error),
    /// One of the tasks that never end has ended.
    #[error("a part of the gateway that never ends has ended: {0}")]
    Ended(String),
}
