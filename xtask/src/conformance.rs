//! `cargo xtask suite conformance`: has Node and the official suite in the cache, builds the fixture, and
//! hands both to `atf-conformance`.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::{build, cache, cargo, node, packages, progress, python, run};

/// The suite: the first version that knows every revision.
const SUITE: &str = "@modelcontextprotocol/conformance@0.2.0-alpha.12";

/// Its program.
const PROGRAM: &str = "@modelcontextprotocol/conformance/dist/index.js";

/// Runs the suite directly and through ATF; the status is 0 if and only if ATF makes no difference.
///
/// # Errors
/// When something cannot be had, built or started, or this is not root.
pub(crate) fn run(output: run::Output) -> Result<ExitCode> {
    if !packages::is_root()? {
        bail!("a run needs namespaces, cgroups and kernel programs: run it as root");
    }
    packages::ensure(&python::DEBIAN)?;
    let folder = cache::folder("conformance")?;
    let node = progress::step("having Node", || node::node(&folder))?;
    let suite = progress::step("having the suite", || node::package(&folder, SUITE, PROGRAM))?;
    progress::step("building the fixture", build)?;
    let built = cargo::target_folder().join("debug");
    let mut compare = Command::new(built.join("atf-conformance"));
    compare.arg("--atf").arg(built.join("atf")).arg("--fixture").arg(built.join("atf-fixture"));
    compare.arg("--node").arg(node).arg("--suite").arg(suite);
    compare.arg("--policies").arg(cargo::workspace().join("policies"));
    match output {
        run::Output::Text => {}
        run::Output::Json => drop(compare.arg("--json")),
    }
    let status = compare.status().context("cannot start atf-conformance")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn build() -> Result<()> {
    let packages = ["atf-agent", "atf-tests", "atf-fixture"].map(|name| ["--package", name]);
    let bins = ["atf", "atf-conformance", "atf-fixture"].map(|name| ["--bin", name]);
    let mut build = cargo::cargo(&["build", "--quiet", "--locked"]);
    build::build(build.args(packages.as_flattened()).args(bins.as_flattened())).map(drop)
}
