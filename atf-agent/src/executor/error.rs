//! Why the executor does not act, or does not run.

use std::io;
use std::path::PathBuf;

use crate::call::{DecisionId, Digest, RunId, Target, ToolName};
use crate::identity::IdentityError;

/// Why the executor does not run.
#[derive(Debug, thiserror::Error)]
pub enum ExecutorError {
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
    /// The ledger.
    #[error("the ledger {path} is of no use: {error}; name another or make one with --seed-demo")]
    Ledger {
        /// The file.
        path: PathBuf,
        /// Why.
        error: rusqlite::Error,
    },
    /// There is a ledger already.
    #[error("{path} exists; the demo's ledger is made only where there is none")]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// No random bytes.
    #[error("the operating system gives no random bytes")]
    Random,
    /// No threads for the tool servers.
    #[error("cannot start what speaks with the tool servers: {0}")]
    Servers(io::Error),
}

/// Why a permit is not acted on. Nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum Mistrust {
    /// What is published cannot be read: a key, a key set, a pin.
    #[error("cannot trust {path}: {why}")]
    Published {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The code is not the gateway's.
    #[error("the permit's code is not the gateway's")]
    PermitCode,
    /// The body is not a permit's.
    #[error("the permit is not understood: {0}")]
    PermitBody(String),
    /// It was made for an executor before this one.
    #[error("the permit has the nonce of another start of the executor")]
    Nonce,
    /// Too old, or valid for too long.
    #[error("the permit expires at {expires_unix_s}, now is {now_unix_s}")]
    Expiry {
        /// When it expires.
        expires_unix_s: u64,
        /// Now.
        now_unix_s: u64,
    },
    /// The token is not the one that was judged.
    #[error("the token is not the one that the permit names")]
    OtherToken,
    /// The token is not good.
    #[error("the token is not good: {0}")]
    Token(#[from] IdentityError),
    /// The token is another run's.
    #[error("the token is of run {token}, the permit of run {permit}")]
    OtherRun {
        /// The token's.
        token: RunId,
        /// The permit's.
        permit: RunId,
    },
    /// The token does not name the tool, the prompt or the resource.
    #[error("the token does not name {target}")]
    NotNamed {
        /// What it does not name.
        target: Target,
    },
    /// The arguments are outside of what the token allows of the tool.
    #[error("the token does not allow these arguments: {what}")]
    Narrowed {
        /// Which part of it, where.
        what: String,
    },
    /// The arguments are not those that were judged.
    #[error("the arguments are not those that the permit names")]
    OtherArguments,
    /// The arguments ask more than what the permit is for.
    #[error("the arguments are not those of such a request: {what}")]
    Members {
        /// Which member, or what they are.
        what: String,
    },
    /// What the run answers to the server is not what was judged.
    #[error("the answers are not those that the permit names")]
    OtherAnswers,
    /// The token does not let the server ask that.
    #[error("the token does not let {server} ask what the permit says")]
    NotAsked {
        /// The server.
        server: String,
    },
    /// The server asked nothing: it is spoken with in a revision in which a result cannot.
    #[error("the tool server {server} takes no answers: it is not `stateless` by its file")]
    NoAnswers {
        /// The server.
        server: String,
    },
    /// It is no answer to an open question of a call that is under way.
    #[error("the tool server {server} waits for no such answer")]
    NoQuestion {
        /// The server.
        server: String,
    },
    /// The server defers no calls, or not in this way.
    #[error("the tool server {server} does not say that it defers calls in this way")]
    NoTasks {
        /// The server.
        server: String,
    },
    /// The pin is not the one that was judged.
    #[error("the pin has digest {found:?}, the permit names {permit:?}")]
    OtherPin {
        /// The pin's; none of what has no pin.
        found: Option<Digest>,
        /// The permit's.
        permit: Option<Digest>,
    },
    /// The receipt's code is not the recorder's.
    #[error("the receipt's code is not the recorder's")]
    ReceiptCode,
    /// The receipt is for another record.
    #[error("the receipt is not for this permit")]
    OtherReceipt,
    /// The record is not on the disk.
    #[error("the record is only queued; executor.require_durable wants it on the disk")]
    NotDurable,
    /// The cgroup is not the run's.
    #[error("the permit's cgroup is not that of run {run}")]
    OtherCgroup {
        /// The run.
        run: RunId,
    },
    /// The run is sealed, or the kernel does not say.
    #[error("the run is sealed: {why}")]
    Sealed {
        /// By whom, or why it is not known.
        why: String,
    },
    /// The permit was used.
    #[error("the permit of decision {decision} was used")]
    Used {
        /// The decision.
        decision: DecisionId,
    },
    /// Too many permits are remembered.
    #[error("{held} unexpired permits are remembered, which is the most; try again in seconds")]
    Full {
        /// How many.
        held: usize,
    },
    /// The tool is not what was approved.
    #[error("the tool {tool} is withheld: {why}")]
    ToolWithheld {
        /// The tool.
        tool: ToolName,
        /// What differs.
        why: &'static str,
    },
    /// The run does not wait for it any more, and its server has not heard of it.
    #[error("nobody waits for it any more")]
    Cancelled,
    /// The server is not there at the moment.
    #[error("the tool server {server} is away: {why}")]
    ServerAway {
        /// The server.
        server: String,
        /// Since when it ended, or what it failed at.
        why: String,
    },
    /// The server does not keep up.
    #[error("the tool server {server} has more calls than it takes; try again later")]
    ServerBusy {
        /// The server.
        server: String,
    },
    /// No such tool here, or no such server.
    #[error("{target} is not one of this executor's")]
    NoTool {
        /// What was called.
        target: Target,
    },
}
