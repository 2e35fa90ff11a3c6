//! AgentDojo through ATF: useful tasks and attacks that are done, for each preset.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use atf_tests::agentdojo::{self, Options};
use clap::{Args, Parser, Subcommand};

#[derive(Parser)]
#[command(name = "atf-agentdojo", args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    task: Option<Task>,
    #[command(flatten)]
    run: Option<Run>,
}

#[derive(Subcommand)]
enum Task {
    /// The part inside a run. For this program itself.
    #[command(hide = true)]
    Inside {
        /// The digest of the run's system prompt.
        prompt: String,
    },
}

#[derive(Args)]
struct Run {
    /// The binary of ATF.
    #[arg(long)]
    atf: PathBuf,
    /// Python.
    #[arg(long)]
    python: PathBuf,
    /// The folder of AgentDojo's packages.
    #[arg(long)]
    packages: PathBuf,
    /// The folder of the servers.
    #[arg(long, default_value = "tests/agentdojo")]
    suites: PathBuf,
    /// The folder of the policies.
    #[arg(long, default_value = "policies")]
    policies: PathBuf,
    /// One preset; may be given again. All by default.
    #[arg(long)]
    preset: Vec<String>,
    /// No more than so many tasks and injections of each suite.
    #[arg(long)]
    most: Option<usize>,
    /// Without the attacker that knows the policy.
    #[arg(long)]
    plain: bool,
    /// Two tasks and injections of each suite without ATF's say and under the strictest preset; the status
    /// is 0 if and only if the first are all done and no attack is under the other.
    #[arg(long, conflicts_with_all = ["preset", "most"])]
    sample: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Tasks and injections of each suite in a sample.
const SAMPLE: usize = 2;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match (cli.task, cli.run) {
        (Some(Task::Inside { prompt }), _) => agentdojo::inside(&prompt),
        (None, Some(run)) => show(run),
        (None, None) => Err(anyhow::anyhow!("name the binaries; see --help")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("agentdojo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn show(run: Run) -> Result<()> {
    let report = agentdojo::run(&Options {
        // A run is shown it by its path.
        atf: run.atf.canonicalize()?,
        own: std::env::current_exe()?,
        python: run.python,
        packages: run.packages,
        suites: run.suites,
        policies: run.policies,
        presets: match run.sample {
            true => agentdojo::SAMPLED.map(str::to_owned).to_vec(),
            false => run.preset,
        },
        most: run.sample.then_some(SAMPLE).or(run.most),
        adaptive: !run.plain,
    })?;
    match run.json {
        true => println!("{}", serde_json::to_string(&report)?),
        false => print!("{}", report.table()),
    }
    anyhow::ensure!(!run.sample || report.is_as_sampled(), "the sample is not what it must be");
    Ok(())
}
