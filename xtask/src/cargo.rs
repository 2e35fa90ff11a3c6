//! Calls of cargo: where the workspace is, and the binaries that a demo needs.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::{packages, progress};

/// The only target whose kernels the VM boots.
const VM_TARGET: &str = "x86_64-unknown-linux-gnu";

/// The profile of the VM's binaries; `Cargo.toml` says why it exists.
const VM_PROFILE: &str = "vm";

/// The three programs of a demo.
pub(crate) struct Binaries {
    /// The product.
    pub(crate) atf: PathBuf,
    /// The attacker.
    pub(crate) hijacked: PathBuf,
    /// The harness; also the VM's init.
    pub(crate) demo: PathBuf,
}

/// The workspace's folder.
pub(crate) fn workspace() -> &'static Path {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask)
}

/// `cargo`, in the workspace, the one that runs us.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(workspace()).args(arguments);
    command
}

/// Builds the binaries for this machine.
///
/// # Errors
/// When the build fails.
pub(crate) fn host_binaries() -> Result<Binaries> {
    progress::step("building for this machine", || {
        progress::command(&mut cargo(&BUILD))?;
        Ok(binaries(&target_folder().join("debug")))
    })
}

/// Builds the binaries for the VM: static, because nothing else is in it. They have a target folder
/// of their own, so that the two kinds of build do not throw out each other's work.
///
/// # Errors
/// When the build fails.
pub(crate) fn vm_binaries() -> Result<Binaries> {
    packages::ensure(&["libc6-dev"])?;
    progress::step("building for the VM (static)", || {
        let folder = target_folder().join("static");
        let mut build = cargo(&BUILD);
        build
            .args(["--profile", VM_PROFILE, "--target", VM_TARGET])
            .env("CARGO_TARGET_DIR", &folder)
            .env("RUSTFLAGS", "-C target-feature=+crt-static");
        progress::command(&mut build)?;
        Ok(binaries(&folder.join(VM_TARGET).join(VM_PROFILE)))
    })
}

/// The folder into which cargo builds.
pub(crate) fn target_folder() -> PathBuf {
    let set = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    set.unwrap_or_else(|| workspace().join("target"))
}

/// Makes a folder of ours under the target folder.
///
/// # Errors
/// When it cannot be made.
pub(crate) fn scratch(name: &str) -> Result<PathBuf> {
    let folder = target_folder().join("xtask").join(name);
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    Ok(folder)
}

const BUILD: [&str; 13] = [
    "build",
    "--quiet",
    "--locked",
    "--package",
    "atf-agent",
    "--package",
    "atf-tests",
    "--bin",
    "atf",
    "--bin",
    "hijacked",
    "--bin",
    "demo",
];

fn binaries(folder: &Path) -> Binaries {
    Binaries {
        atf: folder.join("atf"),
        hijacked: folder.join("hijacked"),
        demo: folder.join("demo"),
    }
}
