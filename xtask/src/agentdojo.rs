//! `cargo xtask bench agentdojo`: has AgentDojo in the cache, builds, and hands both to `atf-agentdojo`.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::{cache, cargo, packages, progress, run};

/// Python, as Debian has it: the runs' servers are started with it.
const PYTHON: &str = "/usr/bin/python3";

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
    packages::ensure(&["python3", "python3-venv"])?;
    let packages = progress::step("having AgentDojo", || agentdojo(&cache::folder("agentdojo")?))?;
    progress::step("building the bench", || build(extent))?;
    let built = cargo::target_folder().join(match extent {
        Extent::Whole(_) => "release",
        Extent::Sample => "debug",
    });
    let mut play = Command::new(built.join("atf-agentdojo"));
    play.arg("--atf").arg(built.join("atf")).args(["--python", PYTHON]);
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
    progress::command(&mut build)
}

/// The folder of the packages in `folder`, made when it is missing. It has its name once it is whole.
fn agentdojo(folder: &Path) -> Result<PathBuf> {
    let packages = folder.join(AGENTDOJO);
    if packages.exists() {
        return Ok(packages);
    }
    let (python, part) = (folder.join("python"), folder.join("part"));
    progress::output(Command::new(PYTHON).args(["-m", "venv"]).arg(&python))?;
    if part.exists() {
        std::fs::remove_dir_all(&part)?;
    }
    let install = |what: &[&str]| {
        let mut pip = Command::new(python.join("bin/pip"));
        pip.args(["install", "--quiet", "--disable-pip-version-check", "--target"]).arg(&part);
        progress::output(pip.args(what))
    };
    install(&["--no-deps", AGENTDOJO])?;
    install(&NEEDED)?;
    std::fs::rename(&part, &packages)?;
    Ok(packages)
}
