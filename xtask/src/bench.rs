//! `cargo xtask bench AREA`: builds with optimization and hands the area to `atf-bench`. The tests do a
//! little of every area, so that a bench that cannot run is found before its figures are wanted.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use crate::{agentdojo, build, cargo, peers, progress};

/// What to measure and how to say it.
#[derive(Args)]
pub(crate) struct Options {
    /// The area: `gate`, `line`, `cage`, `gateway` or `agentdojo`.
    area: String,
    /// One preset of `agentdojo`, as its table names it; may be given again. All by default.
    #[arg(long)]
    preset: Vec<String>,
    /// Measure the area `gate` without the deciders of others beside it, which are Python packages.
    #[arg(long)]
    no_peers: bool,
    /// How to print the result.
    #[arg(long, value_enum, default_value_t)]
    output: crate::run::Output,
    /// More for `atf-bench`, behind `--`: which load of the area `gateway` (`--only`), beside whom (`--peer`).
    #[arg(last = true)]
    more: Vec<String>,
}

/// What can be measured by `atf-bench`.
const AREAS: [&str; 4] = [GATE, "line", "cage", "gateway"];

/// What others decide too.
const GATE: &str = "gate";

/// What is no matter of time.
const AGENTDOJO: &str = "agentdojo";

/// Measures one area; the status is that of `atf-bench`.
///
/// # Errors
/// When the build fails or the program cannot be started.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    if options.area == AGENTDOJO {
        ensure!(options.more.is_empty(), "the area {AGENTDOJO} takes nothing behind --");
        return agentdojo::run(&agentdojo::Extent::Whole(&options.preset), options.output);
    }
    ensure!(options.preset.is_empty(), "only the area {AGENTDOJO} has presets");
    progress::step("building with optimization", || build(&["--release"]))?;
    let program = cargo::target_folder().join("release/atf-bench");
    let mut measure = Command::new(&program);
    measure.args([&options.area, "--output", options.output.word()]);
    measure.args(&options.more);
    if options.area == GATE && !options.no_peers {
        measure.arg("--peers").arg(progress::step("having the peers", peers::packages)?);
    }
    let status = measure.status().with_context(|| format!("cannot start {}", program.display()))?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Measures a little of every area, without optimization: whether it can be measured, not how it is.
///
/// # Errors
/// When the build fails or an area cannot be measured.
pub(crate) fn sample() -> Result<()> {
    build(&[])?;
    let program = cargo::target_folder().join("debug/atf-bench");
    for area in AREAS {
        progress::command(Command::new(&program).args([area, "--sample"]))
            .with_context(|| format!("the area {area}"))?;
    }
    if agentdojo::run(&agentdojo::Extent::Sample, crate::run::Output::Text)? != ExitCode::SUCCESS {
        bail!("the area {AGENTDOJO} shows what it must not; see its table");
    }
    Ok(())
}

fn build(more: &[&str]) -> Result<()> {
    let packages = ["--package", "atf-agent", "--package", "atf-tests"];
    let bins = ["--bin", "atf", "--bin", "hijacked", "--bin", "demo", "--bin", "atf-bench"];
    let mut build = cargo::cargo(&["build", "--quiet", "--locked"]);
    build::build(build.args(packages).args(bins).args(more)).map(drop)
}
