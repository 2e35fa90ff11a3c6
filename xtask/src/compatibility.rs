//! `cargo xtask suite compatibility`: has the clients and servers of `tests/compatibility/packages.json` in
//! the cache, builds, and hands them to `atf-compatibility`, which writes `docs/COMPATIBILITY.md`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::{build, cache, cargo, node, packages, progress, python, run};

/// One client or server.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Package {
    registry: Registry,
    /// What is installed; the first is what it is about.
    install: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Registry {
    Pypi,
    Npm,
}

/// Runs every client and server that can be had; the status is 0 if and only if each does what it must.
///
/// # Errors
/// When nothing can be run at all, or this is not root.
pub(crate) fn run(output: run::Output) -> Result<ExitCode> {
    if !packages::is_root()? {
        bail!("a run needs namespaces, cgroups and kernel programs: run it as root");
    }
    packages::ensure(&python::DEBIAN)?;
    packages::ensure(&["git"])?;
    let own = cargo::workspace().join("tests/compatibility");
    let list = std::fs::read(own.join("packages.json")).context("no list of packages")?;
    let list: BTreeMap<String, Package> = serde_json::from_slice(&list)?;
    let cache = cache::folder("compatibility")?;
    let node = progress::step("having Node", || node::node(&cache))?;
    progress::step("building", build)?;
    let built = cargo::target_folder().join("debug");
    let mut play = Command::new(built.join("atf-compatibility"));
    play.arg("--atf").arg(built.join("atf")).args(["--python", python::PYTHON]);
    play.arg("--node").arg(node);
    for (name, package) in &list {
        let had = progress::step(&format!("having {name}"), || package.have(&cache));
        match had {
            Ok(folder) => drop(play.arg("--have").arg(format!("{name}={}", folder.display()))),
            // It stands in the table as such.
            Err(error) => eprintln!("xtask: {name} cannot be installed: {error:#}"),
        }
    }
    play.arg("--policies").arg(cargo::workspace().join("policies")).arg("--own").arg(own);
    play.arg("--page").arg(cargo::workspace().join("docs/COMPATIBILITY.md"));
    if matches!(output, run::Output::Json) {
        play.arg("--json");
    }
    let status = play.status().context("cannot start atf-compatibility")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Package {
    fn have(&self, cache: &Path) -> Result<PathBuf> {
        let install: Vec<&str> = self.install.iter().map(String::as_str).collect();
        // A name of npm's may have a slash in it.
        let name = install.join(",").replace('/', "+");
        match self.registry {
            Registry::Pypi => python::packages(cache, &name, &[&install]),
            Registry::Npm => node::packages(cache, &name, &install),
        }
    }
}

fn build() -> Result<()> {
    let packages = ["atf-agent", "atf-tests"].map(|name| ["--package", name]);
    let bins = ["atf", "atf-compatibility"].map(|name| ["--bin", name]);
    let mut build = cargo::cargo(&["build", "--quiet", "--locked"]);
    build::build(build.args(packages.as_flattened()).args(bins.as_flattened())).map(drop)
}
