//! Calls of cargo: where the workspace is, and the binaries that a demo needs.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::{build, packages, progress};

/// The only target whose kernels the VM boots.
const VM_TARGET: &str = "x86_64-unknown-linux-gnu";

/// The profile of the VM's binaries; `Cargo.toml` says why it exists.
const VM_PROFILE: &str = "vm";

/// The programs of a demo and of a VM.
pub(crate) struct Binaries {
    /// The product.
    pub(crate) atf: PathBuf,
    /// The attacker.
    pub(crate) hijacked: PathBuf,
    /// The harness; also the VM's init.
    pub(crate) demo: PathBuf,
    /// The init of a VM with a disk, and the suite in it.
    pub(crate) systemd: PathBuf,
    /// The kernel tests, where they are wanted.
    pub(crate) kernel_tests: Option<PathBuf>,
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

/// Builds the binaries of a demo: static, because nothing else is in the VM, and the same for this
/// machine, so that one build serves both. They have a target folder of their own, so that the tests'
/// build and this one do not throw out each other's work.
///
/// # Errors
/// When the build fails.
pub(crate) fn binaries() -> Result<Binaries> {
    packages::ensure(&["libc6-dev"])?;
    progress::step("building the demo (static)", || {
        let folder = target_folder().join("static");
        let mut build = cargo(&BUILD);
        build
            .args(["--profile", VM_PROFILE, "--target", VM_TARGET])
            .env("CARGO_TARGET_DIR", &folder)
            .env("RUSTFLAGS", "-C target-feature=+crt-static");
        build::build(&mut build)?;
        let built = folder.join(VM_TARGET).join(VM_PROFILE);
        Ok(Binaries {
            atf: built.join("atf"),
            hijacked: built.join("hijacked"),
            demo: built.join("demo"),
            systemd: built.join("atf-systemd"),
            kernel_tests: None,
        })
    })
}

/// Builds the kernel tests for the VM, beside the demo's binaries.
///
/// # Errors
/// When the build fails, or cargo does not say where the tests are.
pub(crate) fn kernel_tests() -> Result<PathBuf> {
    progress::step("building the kernel tests (static)", || {
        let mut build =
            cargo(&["test", "--quiet", "--no-run", "--locked", "--package", "atf-tests"]);
        build
            .args(["--test", "kernel", "--profile", VM_PROFILE, "--target", VM_TARGET])
            .env("CARGO_TARGET_DIR", target_folder().join("static"))
            .env("RUSTFLAGS", "-C target-feature=+crt-static");
        let made = build::build(&mut build)?;
        let mut tests = made.iter().filter(|made| made["target"]["name"] == "kernel");
        tests
            .find_map(|made| made["executable"].as_str().map(PathBuf::from))
            .context("cargo does not say where the kernel tests are")
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

const BUILD: [&str; 15] = [
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
    "--bin",
    "atf-systemd",
];
