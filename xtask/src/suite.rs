//! `cargo xtask suite NAME`: the longer campaigns, of which `cargo xtask test` runs a small sample.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::run;

/// What can be run for long.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Campaign {
    /// Runs that try to get out while something of ATF is killed, hung or torn out.
    Chaos,
    /// Random sequences of socket calls.
    Sockets,
}

impl Campaign {
    /// The demo's name of it, and the option that says how long it is.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Chaos => ("chaos", "--rounds"),
            Self::Sockets => ("sockets", "--calls"),
        }
    }

    /// What `cargo xtask test` does of it: rounds, or calls.
    fn sample(self) -> u64 {
        match self {
            Self::Chaos => 20,
            Self::Sockets => 200_000,
        }
    }
}

/// Which campaign, and how long.
#[derive(Args)]
pub(crate) struct Options {
    /// The campaign.
    #[arg(value_enum)]
    name: Campaign,
    /// How many rounds of chaos.
    #[arg(long, default_value_t = 1_000)]
    rounds: u32,
    /// How many random socket calls.
    #[arg(long, default_value_t = 10_000_000)]
    calls: u64,
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
/// When it cannot be run.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let length = match options.name {
        Campaign::Chaos => options.rounds.into(),
        Campaign::Sockets => options.calls,
    };
    run::run(&shown(options.name, length, options.seed, options.output))
}

/// The sample of a campaign.
pub(crate) fn sample(name: Campaign) -> run::Options {
    shown(name, name.sample(), None, run::Output::Text)
}

fn shown(name: Campaign, length: u64, seed: Option<u64>, output: run::Output) -> run::Options {
    let (suite, option) = name.words();
    let mut more = vec![option.to_owned(), length.to_string()];
    if let Some(seed) = seed {
        more.extend(["--seed".to_owned(), seed.to_string()]);
    }
    run::Options::campaign(suite, more, output)
}
