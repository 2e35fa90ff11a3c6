//! `cargo xtask suite NAME`: the longer campaigns, of which `cargo xtask test` runs a small sample.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::{comparison, compatibility, conformance, postgres, run, systemd};

/// Which campaign.
#[derive(Subcommand)]
pub(crate) enum Suite {
    /// Runs that try to get out while something of ATF is killed, hung or torn out; on this kernel.
    Chaos {
        /// How many rounds.
        #[arg(long, default_value_t = 1_000)]
        rounds: u64,
        /// The seed and the report.
        #[command(flatten)]
        dealt: Dealt,
    },
    /// Random sequences of socket calls in a run, with canaries that count bytes; on this kernel.
    Sockets {
        /// How many calls.
        #[arg(long, default_value_t = 10_000_000)]
        calls: u64,
        /// The seed and the report.
        #[command(flatten)]
        dealt: Dealt,
    },
    /// What the gate allows, put to a real PostgreSQL of a temporary folder.
    Postgres {
        /// A corpus of statements (docs/CORPORA.md) in place of the project's own.
        #[arg(long)]
        file: Option<PathBuf>,
        /// How to print the result.
        #[arg(long, value_enum, default_value_t)]
        output: run::Output,
    },
    /// ATF as Debian's systemd runs it, in a VM: from the installation to the next boot.
    Systemd {
        /// How to print the result.
        #[arg(long, value_enum, default_value_t)]
        output: run::Output,
    },
    /// The attempts to get out beside another sandbox (sandbox-runtime, with bubblewrap); on this kernel.
    Comparison {
        /// How to print the result.
        #[arg(long, value_enum, default_value_t)]
        output: run::Output,
    },
    /// The official conformance suite of MCP, against a server by itself and through ATF; on this kernel.
    Conformance {
        /// How to print the result.
        #[arg(long, value_enum, default_value_t)]
        output: run::Output,
    },
    /// Real MCP clients inside runs and real MCP servers behind the executor; on this kernel. Writes the
    /// table of docs/COMPATIBILITY.md.
    Compatibility {
        /// How to print the result.
        #[arg(long, value_enum, default_value_t)]
        output: run::Output,
    },
}

/// What campaigns by chance have in common.
#[derive(Args, Default)]
pub(crate) struct Dealt {
    /// Deal what this seed dealt before; without it another one is taken, and said.
    #[arg(long)]
    seed: Option<u64>,
    /// How to print the result.
    #[arg(long, value_enum, default_value_t)]
    output: run::Output,
}

/// Runs a campaign.
///
/// # Errors
/// When it cannot be run.
pub(crate) fn run(suite: &Suite) -> Result<ExitCode> {
    match suite {
        Suite::Chaos { rounds, dealt } => run::run(&chaos(*rounds, dealt)),
        Suite::Sockets { calls, dealt } => run::run(&sockets(*calls, dealt)),
        Suite::Postgres { file, output } => postgres::run(file.as_deref(), *output),
        Suite::Comparison { output } => comparison::run(*output),
        Suite::Systemd { output } => systemd::run(*output),
        Suite::Conformance { output } => conformance::run(*output),
        Suite::Compatibility { output } => compatibility::run(*output),
    }
}

/// Chaos, for so many rounds.
pub(crate) fn chaos(rounds: u64, dealt: &Dealt) -> run::Options {
    by_chance(["chaos", "--rounds"], rounds, dealt)
}

/// Socket calls, so many.
pub(crate) fn sockets(calls: u64, dealt: &Dealt) -> run::Options {
    by_chance(["sockets", "--calls"], calls, dealt)
}

/// A suite of the demo, and the option that says how long it is.
fn by_chance([suite, option]: [&str; 2], length: u64, dealt: &Dealt) -> run::Options {
    let mut more = vec![option.to_owned(), length.to_string()];
    if let Some(seed) = dealt.seed {
        more.extend(["--seed".to_owned(), seed.to_string()]);
    }
    run::Options::campaign(suite, more, dealt.output)
}
