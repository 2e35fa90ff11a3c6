//! `cargo xtask bench AREA`: builds with optimization and hands the area to `atf-bench`. The tests do a
//! little of every area, so that a bench that cannot run is found before its figures are wanted.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use clap::Args;

use crate::{cargo, progress};

/// What to measure and how to say it.
#[derive(Args)]
pub(crate) struct Options {
    /// The area: `gate`, `line`, `cage` or `gateway`.
    area: String,
    /// How to print the result.
    #[arg(long, value_enum, default_value_t)]
    output: crate::run::Output,
}

/// What can be measured.
const AREAS: [&str; 4] = ["gate", "line", "cage", "gateway"];

/// Measures one area; the status is that of `atf-bench`.
///
/// # Errors
/// When the build fails or the program cannot be started.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    progress::step("building with optimization", || build(&["--release"]))?;
    let program = cargo::target_folder().join("release/atf-bench");
    let status = Command::new(&program)
        .args([&options.area, "--output", options.output.word()])
        .status()
        .with_context(|| format!("cannot start {}", program.display()))?;
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
    Ok(())
}

fn build(more: &[&str]) -> Result<()> {
    let packages = ["--package", "atf-agent", "--package", "atf-tests"];
    let bins = ["--bin", "atf", "--bin", "hijacked", "--bin", "demo", "--bin", "atf-bench"];
    let mut build = cargo::cargo(&["build", "--quiet", "--locked"]);
    progress::command(build.args(packages).args(bins).args(more))
}
