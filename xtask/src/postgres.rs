//! `cargo xtask suite postgres`: installs PostgreSQL and hands what the gate allows to `atf-postgres`.

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result};

use crate::{build, cargo, packages, progress, run};

/// Puts the project's own statements, or those of `file`, to a server of its own.
///
/// # Errors
/// When the server cannot be had, or the program that asks it not be built or started.
pub(crate) fn run(file: Option<&Path>, output: run::Output) -> Result<ExitCode> {
    packages::ensure(&["postgresql"])?;
    let words = ["build", "--quiet", "--locked", "--package", "atf-tests", "--bin", "atf-postgres"];
    progress::step("building the judge", || build::build(&mut cargo::cargo(&words)))?;
    let program = cargo::target_folder().join("debug/atf-postgres");
    let mut judge = Command::new(&program);
    judge.args(file).args(["--output", output.word()]);
    let status = judge.status().with_context(|| format!("cannot start {}", program.display()))?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}
