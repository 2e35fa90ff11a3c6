//! `cargo xtask bench AREA`: builds with optimization and hands the area to `atf-bench`.

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

/// Measures one area; the status is that of `atf-bench`.
///
/// # Errors
/// When the build fails or the program cannot be started.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let build = [
        "build",
        "--quiet",
        "--locked",
        "--release",
        "--package",
        "atf-agent",
        "--package",
        "atf-tests",
    ];
    progress::step("building with optimization", || {
        let bins = ["--bin", "atf", "--bin", "hijacked", "--bin", "demo", "--bin", "atf-bench"];
        progress::command(cargo::cargo(&build).args(bins))
    })?;
    let program = cargo::target_folder().join("release/atf-bench");
    let status = Command::new(&program)
        .args([&options.area, "--output", options.output.word()])
        .status()
        .with_context(|| format!("cannot start {}", program.display()))?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
