//! `cargo xtask bench agentdojo`: has AgentDojo in the cache, builds, and hands both to `atf-agentdojo`.

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::{build, cache, cargo, packages, progress, python, run};

/// AgentDojo itself, without the packages of the models that it can ask.
const AGENTDOJO: &str = "agentdojo==0.1.35";

/// What it needs besides.
const NEEDED: [&str; 9] = [
    "pydantic[email]==2.14.4",
    "pyyaml==6.0.4",
    "deepdiff==9.1.0",
    "docstring-parser==0.18.0",
    "rich==15.0.0",
    "python-dotenv==1.2.4",
    "tenacity==9.2.1",
    "requests==2.34.2",
    "typing_extensions==4.16.0",
];

/// How much is played.
pub(crate) enum Extent<'a> {
    /// All of it, under these presets, or under every one.
    Whole(&'a [String]),
    /// A little, for the tests.
    Sample,
}

/// Plays the suites.
///
/// # Errors
/// When something cannot be had, built or started, or this is not root.
pub(crate) fn run(extent: &Extent<'_>, output: run::Output) -> Result<ExitCode> {
    if !packages::is_root()? {
        bail!("a run needs namespaces, cgroups and kernel programs: run it as root");
    }
    packages::ensure(&python::DEBIAN)?;
    let packages = progress::step("having AgentDojo", agentdojo)?;
    progress::step("building the bench", || build(extent))?;
    let built = cargo::target_folder().join(match extent {
        Extent::Whole(_) => "release",
        Extent::Sample => "debug",
    });
    let mut play = Command::new(built.join("atf-agentdojo"));
    play.arg("--atf").arg(built.join("atf")).args(["--python", python::PYTHON]);
    play.arg("--packages").arg(packages);
    play.arg("--suites").arg(cargo::workspace().join("tests/agentdojo"));
    play.arg("--policies").arg(cargo::workspace().join("policies"));
    match extent {
        Extent::Whole(presets) => {
            for preset in *presets {
                play.args(["--preset", preset]);
            }
        }
        Extent::Sample => drop(play.arg("--sample")),
    }
    if matches!(output, run::Output::Json) {
        play.arg("--json");
    }
    let status = play.status().context("cannot start atf-agentdojo")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn build(extent: &Extent<'_>) -> Result<()> {
    let packages = ["atf-agent", "atf-tests"].map(|name| ["--package", name]);
    let bins = ["atf", "atf-agentdojo"].map(|name| ["--bin", name]);
    let mut build = cargo::cargo(&["build", "--quiet", "--locked"]);
    build.args(packages.as_flattened()).args(bins.as_flattened());
    if matches!(extent, Extent::Whole(_)) {
        build.arg("--release");
    }
    build::build(&mut build).map(drop)
}

/// The folder of the packages. The runs' servers are started with the Python that reads them.
fn agentdojo() -> Result<PathBuf> {
    let installs: [&[&str]; 2] = [&["--no-deps", AGENTDOJO], &NEEDED];
    python::packages(&cache::folder("agentdojo")?, AGENTDOJO, &installs)
}
