//! `atf policy`, as it can be typed.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Output, text};
use crate::cli::policy::Named;

/// `atf policy`.
#[derive(Debug, Subcommand)]
pub enum PolicyAction {
    /// Say whether the gateway would take the policy and its pins, and their revision
    Check(PolicyArguments),
    /// Run the rules `test_…` of its `*_test.rego`; a policy without any has failed
    Test {
        /// Which policy, and how to answer
        #[command(flatten)]
        policy: PolicyArguments,
        /// Say also which rules and lines no test evaluates
        #[arg(long)]
        coverage: bool,
    },
    /// Say which rule and line, or which check before it, decided a recorded call
    Explain(ExplainArguments),
    /// Ask a draft what the policy was asked, and list what would change
    Replay(ReplayArguments),
    /// Put a draft in force: checked, tested, in one step, and only if the gateway takes it
    Publish {
        /// The draft's directory, or a bundle
        draft: PathBuf,
        /// Who says so, and how to answer
        #[command(flatten)]
        how: PublishArguments,
    },
    /// Make an OPA bundle of a policy: one file, signed where a key is given
    Bundle(BundleArguments),
    /// Print OPA's capabilities.json: the built-in functions that a policy may use here
    Capabilities,
    /// Propose manifests, narrowing and SQL by the calls that were made of the tools in mode learn
    Learn(LearnArguments),
    /// Put a version in force that was before
    Rollback {
        /// Its number; without it, the one before the one in force
        #[arg(long, value_name = "N")]
        to: Option<u32>,
        /// Who says so, and how to answer
        #[command(flatten)]
        how: PublishArguments,
    },
    /// List the versions that were in force
    Versions {
        /// The form of the answer
        #[arg(long, value_enum, default_value_t)]
        output: Output,
    },
    /// Say what differs between two policies and their pins
    Diff {
        /// The directory of the one
        first: PathBuf,
        /// The directory of the other
        second: PathBuf,
        /// The form of the answer
        #[arg(long, value_enum, default_value_t)]
        output: Output,
    },
}

/// Who puts a policy in force, and how to answer.
#[derive(Debug, Args)]
pub struct PublishArguments {
    /// Who says so, for the log
    #[arg(long, value_name = "NAME", value_parser = text)]
    pub by: String,
    /// The form of the answer
    #[arg(long, value_enum, default_value_t)]
    pub output: Output,
}

/// `atf policy bundle`.
#[derive(Debug, Args)]
pub struct BundleArguments {
    /// The policy's directory
    pub dir: PathBuf,
    /// The bundle to make, a `.tar.gz`
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// The private key that signs it: PEM, RSA or Ed25519, readable by its owner alone
    #[arg(long, value_name = "FILE", requires = "key_id")]
    pub key: Option<PathBuf>,
    /// The name by which `policy.signers` knows the key
    #[arg(long, value_name = "ID", requires = "key")]
    pub key_id: Option<String>,
    /// What its manifest calls it, if not by the policy's revision
    #[arg(long, value_name = "TEXT")]
    pub revision: Option<String>,
    /// The form of the answer
    #[arg(long, value_enum, default_value_t)]
    pub output: Output,
}

/// `atf policy learn`.
#[derive(Debug, Args)]
pub struct LearnArguments {
    /// Only the last N decisions
    #[arg(long, value_name = "N")]
    pub last: Option<usize>,
    /// Where the proposals go; without it, `proposed` in the policy's directory
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// The form of the answer
    #[arg(long, value_enum, default_value_t)]
    pub output: Output,
}

/// `atf policy explain`.
#[derive(Debug, Args)]
pub struct ExplainArguments {
    /// The number of the decision's record, or its id
    #[arg(value_name = "SEQ|DECISION")]
    pub decision: Named,
    /// The log's directory, if not the configured one
    #[arg(long, value_name = "DIR")]
    pub log: Option<PathBuf>,
    /// Which policy judged, and how to answer
    #[command(flatten)]
    pub policy: PolicyArguments,
}

/// `atf policy replay`.
#[derive(Debug, Args)]
pub struct ReplayArguments {
    /// The draft's directory
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
    /// The log's directory, if not the configured one
    #[arg(long, value_name = "DIR")]
    pub log: Option<PathBuf>,
    /// Only the last N decisions
    #[arg(long, value_name = "N")]
    pub last: Option<usize>,
    /// The form of the answer
    #[arg(long, value_enum, default_value_t)]
    pub output: Output,
}

/// Which policy, and how to answer.
#[derive(Debug, Args)]
pub struct PolicyArguments {
    /// The policy's directory, if not the configured one
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// The form of the answer
    #[arg(long, value_enum, default_value_t)]
    pub output: Output,
}
