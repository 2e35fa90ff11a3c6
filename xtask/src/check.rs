//! `cargo xtask check CORPUS FILE`: hands a file of labelled cases to `atf-check`.

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use clap::Args;

use crate::{build, cargo, progress};

/// What to judge and how to say it.
#[derive(Args)]
pub(crate) struct Options {
    /// What the file's rows are: `sql`, `jwt` or `jsonrpc`.
    corpus: String,
    /// The file, one JSON object a line; `.gz` is undone. docs/CORPORA.md has the formats.
    file: PathBuf,
    /// How to print the result.
    #[arg(long, value_enum, default_value_t)]
    output: crate::run::Output,
}

/// Judges one file; the status is that of `atf-check`.
///
/// # Errors
/// When the build fails or the program cannot be started.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let words = ["build", "--quiet", "--locked", "--package", "atf-tests", "--bin", "atf-check"];
    progress::step("building the gate", || build::build(&mut cargo::cargo(&words)))?;
    let program = cargo::target_folder().join("debug/atf-check");
    let status = Command::new(&program)
        .arg(&options.corpus)
        .arg(&options.file)
        .args(["--output", options.output.word()])
        .status()
        .with_context(|| format!("cannot start {}", program.display()))?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}
