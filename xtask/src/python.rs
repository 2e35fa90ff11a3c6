//! Python packages, each set in a folder of its own in the cache.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::progress;

/// Python, as Debian has it.
pub(crate) const PYTHON: &str = "/usr/bin/python3";

/// What of Debian the functions here need.
pub(crate) const DEBIAN: [&str; 2] = ["python3", "python3-venv"];

/// The folder `name` in `folder`, made by one `pip install` for each of `installs` when it is missing. It
/// has its name once it is whole.
///
/// # Errors
/// When Python or a package cannot be had.
pub(crate) fn packages(folder: &Path, name: &str, installs: &[&[&str]]) -> Result<PathBuf> {
    let packages = folder.join(name);
    if packages.exists() {
        return Ok(packages);
    }
    let (python, part) = (folder.join("python"), folder.join("part"));
    progress::output(Command::new(PYTHON).args(["-m", "venv"]).arg(&python))?;
    if part.exists() {
        std::fs::remove_dir_all(&part)?;
    }
    for install in installs {
        let mut pip = Command::new(python.join("bin/pip"));
        pip.args(["install", "--quiet", "--disable-pip-version-check", "--target"]).arg(&part);
        progress::output(pip.args(*install))?;
    }
    std::fs::rename(&part, &packages)?;
    Ok(packages)
}
