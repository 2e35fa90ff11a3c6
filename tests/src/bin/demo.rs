//! The demo: the hijacked agent without ATF and under it. In the VM it is also the first process.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use atf_tests::demo::{self, Options, Suite, init, launch, offer};
use clap::{Args, Parser, Subcommand};

#[derive(Parser)]
#[command(name = "demo", about = "Show what a hijacked agent can do without ATF and under it")]
#[command(args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    task: Option<Task>,
    #[command(flatten)]
    show: Show,
}

#[derive(Subcommand)]
enum Task {
    /// Start a command with what a careless parent offers. For the demo itself.
    #[command(hide = true)]
    Offer(offer::Offer),
    /// Start a command in the launcher's cage without the kernel's. For the demo itself.
    #[command(hide = true)]
    Launch(launch::Launch),
}

#[derive(Args)]
struct Show {
    /// Which part to show.
    #[arg(long, value_enum, default_value = "demo")]
    suite: Suite,
    /// The binary of ATF.
    #[arg(long)]
    atf: Option<PathBuf>,
    /// The binary of the attacker.
    #[arg(long)]
    hijacked: Option<PathBuf>,
    /// The folder of the policies.
    #[arg(long, default_value = "policies")]
    policies: PathBuf,
    /// The lowest posture that will do.
    #[arg(long, default_value = "CORE", value_parser = ["CORE", "FULL"])]
    posture: String,
    /// Report no times: they mean nothing under emulation.
    #[arg(long)]
    untimed: bool,
    /// Rounds of chaos.
    #[arg(long, default_value_t = 20)]
    rounds: u32,
    /// How many random socket calls.
    #[arg(long, default_value_t = 100_000)]
    calls: u64,
    /// The seed that deals them; without it the clock gives one.
    #[arg(long)]
    seed: Option<u64>,
    /// The folder of the other sandbox, for the comparison: `node` and `node_modules`.
    #[arg(long, value_name = "FOLDER")]
    sandbox_runtime: Option<PathBuf>,
    /// Write the whole result as JSON to this file, and leave the judgement to its reader.
    #[arg(long)]
    result: Option<PathBuf>,
}

fn main() -> ExitCode {
    if std::process::id() == 1 {
        init::run();
    }
    let cli = Cli::parse();
    let done = match cli.task {
        Some(Task::Offer(offer)) => offer::run(&offer),
        Some(Task::Launch(launch)) => launch::run(launch),
        None => show(cli.show),
    };
    done.unwrap_or_else(|error| {
        eprintln!("demo: {error:#}");
        ExitCode::FAILURE
    })
}

fn seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.as_secs()
}

fn show(show: Show) -> Result<ExitCode> {
    if !rustix::process::geteuid().is_root() {
        bail!("the demo makes namespaces, cgroups and kernel programs: run it as root");
    }
    let beside = |name: &str| -> Result<PathBuf> {
        Ok(std::env::current_exe()?.parent().context("this program has no folder")?.join(name))
    };
    let shown = demo::run(&Options {
        suite: show.suite,
        atf: show.atf.map_or_else(|| beside("atf"), Ok)?,
        demo: std::env::current_exe()?,
        hijacked: show.hijacked.map_or_else(|| beside("hijacked"), Ok)?,
        policies: show.policies,
        posture: show.posture,
        queued: false,
        seals_per_minute_max: None,
        timed: !show.untimed,
        rounds: show.rounds,
        calls: show.calls,
        seed: show.seed.unwrap_or_else(seed),
        sandbox_runtime: show.sandbox_runtime,
    })?;
    if let Some(file) = &show.result {
        std::fs::write(file, serde_json::to_string(&shown)?)
            .with_context(|| format!("cannot write {}", file.display()))?;
        return Ok(ExitCode::SUCCESS);
    }
    print!("{}", shown.table);
    for complaint in &shown.complaints {
        eprintln!("demo: {complaint}");
    }
    Ok(if shown.complaints.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
