//! The official conformance suite, directly and through ATF. Prints one row for each scenario; its status is
//! 0 if and only if ATF makes no difference.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use atf_tests::conformance::{self, Options};
use clap::{Args, Parser, Subcommand};

#[derive(Parser)]
#[command(name = "atf-conformance", args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    task: Option<Task>,
    #[command(flatten)]
    run: Option<Run>,
}

#[derive(Subcommand)]
enum Task {
    /// The injector's end inside a run. For this program itself.
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
    /// The binary of the fixture.
    #[arg(long)]
    fixture: PathBuf,
    /// Node.
    #[arg(long)]
    node: PathBuf,
    /// The suite's program.
    #[arg(long)]
    suite: PathBuf,
    /// The folder of the policies.
    #[arg(long, default_value = "policies")]
    policies: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match (cli.task, cli.run) {
        (Some(Task::Inside { prompt }), _) => {
            conformance::inside(prompt).map(|()| ExitCode::SUCCESS)
        }
        (None, Some(run)) => show(run),
        (None, None) => Err(anyhow::anyhow!("name the binaries; see --help")),
    };
    done.unwrap_or_else(|error| {
        eprintln!("conformance: {error:#}");
        ExitCode::FAILURE
    })
}

fn show(run: Run) -> Result<ExitCode> {
    let report = conformance::run(&Options {
        // A run is shown it by its path.
        atf: run.atf.canonicalize()?,
        own: std::env::current_exe()?,
        fixture: run.fixture,
        node: run.node,
        suite: run.suite,
        policies: run.policies,
    })?;
    match run.json {
        true => println!("{}", serde_json::to_string(&report)?),
        false => print!("{}", report.table()),
    }
    Ok(if report.is_equal() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
