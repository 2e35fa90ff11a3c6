//! `cargo xtask suite NAME`: the longer campaigns, of which `cargo xtask test` runs a small sample.

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args;

use crate::run;

/// Rounds of the sample in `cargo xtask test`, and of a campaign that names none.
pub(crate) const SAMPLE: u32 = 20;
const CAMPAIGN: u32 = 1_000;

/// Which campaign, and how long.
#[derive(Args)]
pub(crate) struct Options {
    /// The campaign: `chaos`.
    name: String,
    /// How many rounds.
    #[arg(long, default_value_t = CAMPAIGN)]
    rounds: u32,
    /// Deal what this seed dealt before; without it another one is taken, and said.
    #[arg(long)]
    seed: Option<u64>,
    /// How to print the result.
    #[arg(long, value_enum, default_value_t)]
    output: run::Output,
}

/// Runs a campaign on this kernel, as root.
///
/// # Errors
/// When it is not known or cannot be run.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    if options.name != "chaos" {
        bail!("there is no suite {:?}; there is `chaos`", options.name);
    }
    run::run(&run::Options::chaos(options.rounds, options.seed, options.output))
}
