//! What can be typed.

mod policy;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::call::{AgentName, DecisionId, RunId, ToolName};
use crate::identity::TEXT_BYTES_MAX;
pub(super) use policy::{
    BundleArguments, ExplainArguments, LearnArguments, PolicyAction, PolicyArguments,
    PublishArguments, ReplayArguments,
};

/// Makes an LLM agent unable to act except through one gate.
///
/// Exit status: 0 yes, 1 no, 2 the arguments are not understood, 3 the configuration cannot be
/// used, 4 something failed or is not there. `atf run` ends with the status of its command, with
/// 128 and the signal's number, or with 125 when the command was not started, be it for the
/// configuration; with 2 as all when its own arguments are not understood.
#[derive(Debug, Parser)]
#[command(name = "atf", version, propagate_version = true, max_term_width = 100)]
pub struct Arguments {
    /// The configuration file; without it /etc/atf/atf.toml, or the defaults when that is missing.
    #[arg(long, global = true, value_name = "FILE", env = "ATF_CONFIG")]
    pub config: Option<PathBuf>,
    /// What is logged to standard error, as tracing directives: `warn`, `info`, `atf=debug`.
    #[arg(long, global = true, value_name = "DIRECTIVES", env = "ATF_LOG", default_value = "info")]
    pub log_filter: String,
    /// The form of the log.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// The form of what is logged to standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The form of an answer on standard output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    #[default]
    Text,
    /// For scripts.
    Json,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start an agent inside the cage
    ///
    /// Exit status: that of the command, 128 and the number of the signal that ended it, or 125 when it was not
    /// started, be it for the configuration; 2 when the arguments of `atf run` are not understood.
    Run(RunArguments),
    /// Inside a run: an MCP server on standard input and output, for hosts that start commands
    Connect {
        /// The prompt digest to claim: 64 hexadecimal digits
        #[arg(long, value_name = "SHA256", env = "ATF_PROMPT_SHA256")]
        prompt_sha256: Option<String>,
    },
    /// List the live runs
    Runs(RunsArguments),
    /// Lift the seal of a run
    Release {
        /// The run
        run: RunId,
    },
    /// List the calls on which the policy wants a person's word, and say yes or no
    Approvals {
        /// What to do
        #[command(subcommand)]
        action: ApprovalsAction,
    },
    /// Say what this host can enforce, and what it cannot
    Doctor {
        /// The form of the answer
        #[arg(long, value_enum, default_value_t)]
        output: Output,
    },
    /// Read the log and prove it
    Audit {
        /// What to do
        #[command(subcommand)]
        action: AuditAction,
    },
    /// Check the configuration
    Config {
        /// What to do
        #[command(subcommand)]
        action: ConfigAction,
    },
    /// Check the policy and run its tests
    Policy {
        /// What to do
        #[command(subcommand)]
        action: PolicyAction,
    },
    /// Say what the tool servers offer, and approve it
    Tools {
        /// What to do
        #[command(subcommand)]
        action: ToolsAction,
    },
    /// Load, prove, watch or remove the kernel's half of the cage
    Enforcer {
        /// What to do
        #[command(subcommand)]
        action: EnforcerAction,
    },
    /// Start all daemons, where no service manager does it
    Up,
    /// The daemon that admits runs and signs tokens
    Authority(DaemonArguments),
    /// The daemon that judges calls
    Gateway(DaemonArguments),
    /// The daemon that keeps the log
    Recorder(DaemonArguments),
    /// The daemon that acts
    Executor {
        /// How to start
        #[command(flatten)]
        start: DaemonArguments,
        /// Make the demo's ledger and exit
        #[arg(long)]
        seed_demo: bool,
    },
    /// Print the completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the man pages into a directory
    Man {
        /// The directory
        dir: PathBuf,
    },
}

/// `atf run`.
#[derive(Debug, Args)]
pub struct RunArguments {
    /// The agent: the name of a manifest
    #[arg(long)]
    pub agent: AgentName,
    /// The live run that hands its task on to this one: with it come its person and its task, and no more
    /// than it may do itself
    #[arg(long, value_name = "RUN", conflicts_with_all = ["task", "task_file", "user"])]
    pub parent: Option<RunId>,
    /// The task, for the token and the log
    #[arg(long, required_unless_present = "parent", value_parser = text)]
    pub task: Option<String>,
    /// The file with what the person asked for: which values it names is a fact for the policy
    #[arg(long, value_name = "FILE")]
    pub task_file: Option<PathBuf>,
    /// The person for whom the run acts
    #[arg(long, required_unless_present = "parent", value_parser = text)]
    pub user: Option<String>,
    /// The file with the system prompt; its digest goes into the token
    #[arg(long, value_name = "FILE")]
    pub prompt: PathBuf,
    /// Longest life of the run in seconds; the authority's own limit holds when it is shorter
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    pub lifetime: Option<u32>,
    /// One more directory or file that the run sees, read-only, at the same path
    #[arg(long, value_name = "PATH")]
    pub read_only: Vec<PathBuf>,
    /// Give the run a loopback of its own, with its gateway at this port of 127.0.0.1 and ::1, for clients that
    /// know hosts and ports alone; the run finds it in `ATF_BRIDGE_URL`. Without it there is no INET in a run
    #[arg(long, value_name = "PORT", num_args = 0..=1, default_missing_value = BRIDGE_DEFAULT)]
    pub bridge: Option<u16>,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// The port of `--bridge` alone, [`BRIDGE_PORT`](crate::run::BRIDGE_PORT) in words.
const BRIDGE_DEFAULT: &str = "8283";

/// A text that a token has room for, and that says something.
fn text(given: &str) -> Result<String, String> {
    match given.len() {
        1..=TEXT_BYTES_MAX => Ok(given.to_owned()),
        bytes => Err(format!("it has {bytes} bytes, expected 1 to {TEXT_BYTES_MAX}")),
    }
}

/// `atf runs`.
#[derive(Debug, Args)]
pub struct RunsArguments {
    /// The form of the answer
    #[arg(long, value_enum, default_value_t)]
    pub output: Output,
}

/// `atf approvals`.
#[derive(Debug, Subcommand)]
pub enum ApprovalsAction {
    /// List the calls that wait, and those whose answer is not used yet
    List {
        /// The form of the answer
        #[arg(long, value_enum, default_value_t)]
        output: Output,
    },
    /// Let the call be made, once, within ten minutes
    Grant {
        /// The decision that asked
        decision: DecisionId,
        /// Who says so, for the log
        #[arg(long, value_name = "NAME", value_parser = text)]
        by: String,
    },
    /// Refuse it
    Deny {
        /// The decision that asked
        decision: DecisionId,
        /// Who says so, for the log
        #[arg(long, value_name = "NAME", value_parser = text)]
        by: String,
    },
}

/// `atf audit`.
#[derive(Debug, Subcommand)]
pub enum AuditAction {
    /// Say whether the log is whole, or where it is not
    Verify {
        /// The log's directory, if not the configured one
        #[arg(long, value_name = "DIR")]
        log: Option<PathBuf>,
        /// The form of the answer
        #[arg(long, value_enum, default_value_t)]
        output: Output,
    },
    /// Show records
    Show {
        /// The log's directory, if not the configured one
        #[arg(long, value_name = "DIR")]
        log: Option<PathBuf>,
        /// Only records of this run
        #[arg(long)]
        run: Option<RunId>,
        /// Only refusals, seals, kernel denials and findings; denials of no run are also of the canaries by which
        /// ATF tries a cage that it puts up
        #[arg(long)]
        denied: bool,
        /// Only what the kernel programs would have denied in observe mode, and let through
        #[arg(long)]
        observed: bool,
        /// Only the last N
        #[arg(long, value_name = "N")]
        last: Option<usize>,
        /// With what the policy was told, the calls' arguments included
        #[arg(long)]
        input: bool,
        /// The form of the answer
        #[arg(long, value_enum, default_value_t)]
        output: ShowOutput,
    },
}

/// The form in which records are shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum ShowOutput {
    /// For people.
    #[default]
    Text,
    /// For scripts: the records as they are in the log.
    Json,
    /// The policy's decisions as OPA's decision log has them.
    Opa,
}

/// `atf config`.
#[derive(Debug, Subcommand)]
pub enum ConfigAction {
    /// Read the configuration, the manifests, the pins, the policy and its signers' keys as the daemons
    /// will, and say what is wrong
    Check,
    /// Print the configuration with every default spelled out
    Show,
}

/// `atf tools`.
#[derive(Debug, Subcommand)]
pub enum ToolsAction {
    /// Ask the servers for their tools, and write a draft of a pin for each that is not approved
    Pin(ToolsArguments),
    /// Say what differs between what the servers offer and what is approved
    Diff(ToolsArguments),
    /// Make pins of drafts
    Approve {
        /// The tools, each `server.tool`
        #[arg(required = true, value_name = "TOOL")]
        tools: Vec<ToolName>,
        /// Which policy, and how to answer
        #[command(flatten)]
        policy: PolicyArguments,
    },
    /// Say whether each pin and each draft would be taken
    Lint(PolicyArguments),
}

/// Which servers are asked.
#[derive(Debug, Args)]
pub struct ToolsArguments {
    /// The server, if not all
    pub server: Option<String>,
    /// Which policy, and how to answer
    #[command(flatten)]
    pub policy: PolicyArguments,
}

/// `atf enforcer`.
#[derive(Debug, Subcommand)]
pub enum EnforcerAction {
    /// Load, attach, pin and prove, then exit; what is already proven is left alone
    Up {
        /// Put this version's programs in the place of those that stand; the maps are kept
        #[arg(long)]
        renew: bool,
    },
    /// Prove that the cage holds
    Check {
        /// The form of the answer
        #[arg(long, value_enum, default_value_t)]
        output: Output,
    },
    /// Print what the kernel programs say, for whoever works on them
    #[cfg(feature = "kernel-lines")]
    Lines,
    /// Prove it each second; on a mismatch freeze the runs, report, repair
    Watch(DaemonArguments),
    /// Remove the cage
    Down {
        /// Although runs are live
        #[arg(long)]
        force: bool,
    },
}

/// How a daemon starts.
#[derive(Debug, Clone, Default, Args)]
pub struct DaemonArguments {
    /// End when the starting process ends
    #[arg(long, hide = true)]
    pub with_parent: bool,
}
