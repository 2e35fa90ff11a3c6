//! `cargo xtask suite comparison`: the attempts to get out without ATF, under it, and inside another sandbox.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;

use crate::{cache, cargo, node, packages, progress, run};

/// The other sandbox.
const SANDBOX: &str = "@anthropic-ai/sandbox-runtime@0.0.83";

/// Its program.
const PROGRAM: &str = "@anthropic-ai/sandbox-runtime/dist/cli.js";

/// What it starts.
const DEBIAN: [&str; 3] = ["bubblewrap", "socat", "ripgrep"];

/// Makes the comparison; the status says what ATF let out, and nothing of the other sandbox.
///
/// # Errors
/// When something cannot be had, built or started, or this is not root.
pub(crate) fn run(output: run::Output) -> Result<ExitCode> {
    packages::ensure(&DEBIAN)?;
    packages::ensure(&crate::python::DEBIAN)?;
    let folder = progress::step("having the other sandbox", sandbox)?;
    let more = ["--sandbox-runtime".to_owned(), folder.display().to_string()];
    run::run(&run::Options::campaign("comparison", more.to_vec(), output))
}

/// A folder with `node` and `node_modules`, and nothing else.
fn sandbox() -> Result<PathBuf> {
    let folder = cache::folder("sandbox-runtime")?;
    let node = node::node(&folder)?;
    node::package(&folder, SANDBOX, PROGRAM)?;
    let only = cargo::scratch("sandbox-runtime")?;
    for (name, target) in [("node", node), ("node_modules", folder.join("node_modules"))] {
        let link = only.join(name);
        drop(std::fs::remove_file(&link));
        std::os::unix::fs::symlink(target, link)?;
    }
    Ok(only)
}
