//! Debian packages that a task needs: installed when we may, else named exactly.

use std::process::{Command, Stdio};

use anyhow::{Result, bail};

use crate::progress;

/// Makes sure that the packages are installed. As root it installs what is missing; otherwise it
/// says the command that does.
///
/// # Errors
/// When a package is missing and we are not root, or apt cannot install it.
pub(crate) fn ensure(names: &[&str]) -> Result<()> {
    let missing: Vec<&str> = names.iter().copied().filter(|name| !installed(name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(" ");
    if !is_root()? {
        bail!(
            "packages are missing: {list}\ninstall them with:\n  sudo apt-get install --yes \
             --no-install-recommends {list}"
        );
    }
    progress::step(&format!("installing {list}"), || {
        // A fresh machine has no package lists, so the first try may fail for want of them.
        if install(&missing).is_ok() {
            return Ok(());
        }
        progress::output(Command::new("apt-get").args(["update", "--quiet"]))?;
        install(&missing)
    })
}

/// Whether this process runs as root.
///
/// # Errors
/// When `/proc/self` cannot be read.
pub(crate) fn is_root() -> Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    Ok(std::fs::metadata("/proc/self")?.uid() == 0)
}

fn installed(name: &str) -> bool {
    let status = Command::new("dpkg-query")
        .args(["--show", "--showformat=${db:Status-Status}", name])
        .stderr(Stdio::null())
        .output();
    status.is_ok_and(|found| found.stdout == b"installed")
}

fn install(names: &[&str]) -> Result<()> {
    let mut apt = Command::new("apt-get");
    apt.args(["install", "--yes", "--quiet", "--no-install-recommends"]).args(names);
    progress::output(apt.env("DEBIAN_FRONTEND", "noninteractive")).map(|_said| ())
}
