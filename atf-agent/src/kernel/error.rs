//! What can go wrong between the daemons and the kernel.

use std::io;
use std::path::{Path, PathBuf};

use super::Posture;

/// Why the cage is not there, or does not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// There is no unified cgroup hierarchy.
    #[error("no cgroup2 is mounted; mount one, for example at /sys/fs/cgroup")]
    NoCgroup2,
    /// The configured cgroup is not a path below the hierarchy.
    #[error("cage.cgroup must be a relative path without `..`, found {found:?}")]
    CgroupName {
        /// What the configuration says.
        found: String,
    },
    /// The pin directory is somebody else's.
    #[error(
        "{path} must be a directory of root that no one else can write, found {found}; remove it and find out who made it"
    )]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// Its owner and mode.
        found: String,
    },
    /// The operating system said no.
    #[error("cannot {doing} {path}: {error}")]
    System {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// The answer.
        error: io::Error,
    },
    /// The eBPF object or one of its maps is not usable here.
    #[error("{what}: {why}")]
    Object {
        /// The object or map.
        what: String,
        /// What aya or the kernel said.
        why: String,
    },
    /// The pins are of another version of ATF.
    #[error(
        "the maps under {path} are of another version ({found}); end all runs, then `atf enforcer down` and `up`"
    )]
    Version {
        /// The pin directory.
        path: PathBuf,
        /// What differs.
        found: String,
    },
    /// The kernel holds less of the cage than the configuration demands.
    #[error(
        "this kernel holds {found:?} of the cage, {wanted:?} is demanded (cage.posture): {lacking}"
    )]
    Posture {
        /// What it holds.
        found: Posture,
        /// What is demanded.
        wanted: Posture,
        /// What is missing and why.
        lacking: String,
    },
    /// The programs are attached and do not do what they should.
    #[error("the canary in {cgroup} was not held: {found}")]
    Canary {
        /// The canary's cgroup.
        cgroup: PathBuf,
        /// Each attempt with the wrong outcome.
        found: String,
    },
    /// What this kernel holds was tried, and is not what is said of it.
    #[error("the self-test on this kernel build is not passed, so no posture is claimed: {why}")]
    SelfTest {
        /// Each row that is not closed, or why it was not tried.
        why: String,
    },
    /// A cage that enforces would only observe from now on.
    #[error(
        "the cage enforces, and cage.mode is observe: nobody but `atf enforcer up` changes that, when the recorder has it in the log"
    )]
    Enforces,
    /// The cage is not what it was when it was put up.
    #[error("the cage is not proven: {}; run `atf enforcer up`", .0.join("; "))]
    Mismatch(
        /// Every difference.
        Vec<String>,
    ),
}

impl KernelError {
    /// For `map_err`: what was being done, on what.
    pub(super) fn doing<E: Into<io::Error>>(
        doing: &'static str,
        path: &Path,
    ) -> impl FnOnce(E) -> Self {
        let path = path.to_owned();
        move |error| Self::System { doing, path, error: error.into() }
    }

    /// For `map_err`: what aya said about a map or the object.
    pub(super) fn object<E: std::fmt::Display>(what: &str) -> impl FnOnce(E) -> Self {
        let what = what.to_owned();
        move |why| Self::Object { what, why: why.to_string() }
    }
}
