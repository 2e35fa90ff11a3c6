//! `cargo xtask ebpf`: builds the eBPF object that is committed beside its source, or proves that
//! the committed one is what the sources give.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use sha2::{Digest as _, Sha256};

use crate::toolchain::{TARGET, Toolchain};
use crate::{build, cargo, progress};

#[path = "../../atf-ebpf/sources.rs"]
mod sources;

/// Builds the object and its lock file; with `check`, builds beside them and compares.
///
/// # Errors
/// When a tool is missing, the build fails, or the committed object is not what the sources give.
pub(crate) fn build(check: bool) -> Result<()> {
    let workspace = cargo::workspace();
    let toolchain = Toolchain::find()?;
    let versions = toolchain.versions()?;
    if check {
        demand_locked_versions(workspace, &versions)?;
    }
    let object =
        progress::step("building the eBPF object", || compile(workspace, &toolchain, &[]))?;
    if has_lines(&object) {
        bail!("the object has lines of aya-log inside; only `--lines` may build one that has");
    }
    let lock = lock(workspace, &versions, &object)?;
    let files = [(sources::OBJECT, object), (sources::LOCK, lock.into_bytes())];
    for (name, made) in files {
        let path = workspace.join(name);
        if !check {
            std::fs::write(&path, made).with_context(|| format!("cannot write {name}"))?;
        } else if std::fs::read(&path).with_context(|| format!("cannot read {name}"))? != made {
            bail!("{name} is not what the sources give; run `cargo xtask ebpf` and commit it");
        }
    }
    Ok(())
}

/// Builds the object with the programs' own lines (aya-log), beside everything else: for an agent with the
/// feature `kernel-lines`.
///
/// # Errors
/// When a tool is missing, or the build fails.
pub(crate) fn lines() -> Result<()> {
    let (workspace, toolchain) = (cargo::workspace(), Toolchain::find()?);
    let features = ["--features", "log"];
    let object = progress::step("building the eBPF object that logs", || {
        compile(workspace, &toolchain, &features)
    })?;
    // The control of the check above.
    if !has_lines(&object) {
        bail!("no line is in the object that should have them");
    }
    let path = cargo::target_folder().join(sources::LINES_OBJECT);
    std::fs::write(&path, object).with_context(|| format!("cannot write {}", path.display()))
}

/// Whether aya-log's ring is in the object.
fn has_lines(object: &[u8]) -> bool {
    let ring = b"AYA_LOG";
    object.windows(ring.len()).any(|found| found == ring)
}

/// Another compiler gives another object, so nothing is said about the committed one.
fn demand_locked_versions(workspace: &Path, versions: &[(&str, String)]) -> Result<()> {
    let lock = std::fs::read_to_string(workspace.join(sources::LOCK))
        .with_context(|| format!("cannot read {}", sources::LOCK))?;
    for (tool, found) in versions {
        let locked = sources::locked(&lock, tool).unwrap_or("nothing");
        if locked != found {
            bail!("the committed object was built with {tool} = {locked}, here it is {found}");
        }
    }
    Ok(())
}

/// The object, without debugging sections and without a path of this machine.
fn compile(workspace: &Path, toolchain: &Toolchain, features: &[&str]) -> Result<Vec<u8>> {
    let folder = cargo::target_folder().join("ebpf");
    let mut build = toolchain.cargo_build();
    build
        .args(["--quiet", "--locked", "--release", "--package", "atf-ebpf", "--target", TARGET])
        .args(features)
        // The release profile belongs to the daemons; the object has its own.
        .args(["--config", "profile.release.lto=false"])
        .args(["--config", "profile.release.codegen-units=1"])
        .args(["--config", "profile.release.panic='abort'"])
        .current_dir(workspace)
        .env("CARGO_TARGET_DIR", &folder)
        .env("CARGO_ENCODED_RUSTFLAGS", flags(workspace, &toolchain.linker)?);
    build::build(&mut build)?;
    let built = folder.join(TARGET).join("release/atf-ebpf");
    let stripped = folder.join("atf.bpf.o");
    // The sections of BTF are no debugging sections to LLVM: they stay.
    let mut strip = Toolchain::llvm("llvm-objcopy");
    progress::command(strip.arg("--strip-debug").arg(&built).arg(&stripped))?;
    let object = std::fs::read(&stripped).context("cannot read the object just built")?;
    refuse_paths(&object)?;
    Ok(object)
}

/// The compiler's flags, in cargo's encoding.
fn flags(workspace: &Path, linker: &Path) -> Result<String> {
    let mut flags = vec![
        "-Cdebuginfo=2".to_owned(),
        "-Clink-arg=--btf".to_owned(),
        format!("-Clinker={}", linker.display()),
    ];
    for (path, name) in foreign_paths(workspace)? {
        flags.push(format!("--remap-path-prefix={}={name}", path.display()));
    }
    Ok(flags.join("\x1f"))
}

/// Folders whose names are this machine's business, and what the line information says instead.
fn foreign_paths(workspace: &Path) -> Result<Vec<(PathBuf, &'static str)>> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home =
        home.or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cargo")));
    let home = home.context("no cargo home: set CARGO_HOME")?;
    let mut paths = vec![(home.clone(), "/cargo")];
    // A registry's folder is named after its host. The flag that comes last wins.
    if let Ok(registries) = std::fs::read_dir(home.join("registry/src")) {
        for registry in registries {
            paths.push((registry?.path(), "/crates"));
        }
    }
    let sysroot = progress::output(Command::new("rustc").args(["--print", "sysroot"]));
    if let Ok(sysroot) = sysroot {
        paths.push((PathBuf::from(sysroot.trim()), "/rust"));
    }
    paths.push((workspace.to_owned(), "/atf"));
    Ok(paths)
}

fn refuse_paths(object: &[u8]) -> Result<()> {
    let home = std::env::var("HOME").unwrap_or_default();
    let workspace = cargo::workspace().display().to_string();
    for path in [home, workspace].iter().filter(|path| path.len() > 1) {
        if object.windows(path.len()).any(|found| found == path.as_bytes()) {
            bail!("the object has the path {path} inside; the remapping in xtask missed it");
        }
    }
    Ok(())
}

fn lock(workspace: &Path, versions: &[(&str, String)], object: &[u8]) -> Result<String> {
    let sources = sources::bytes(workspace).context("cannot read the sources of the object")?;
    let mut lock = String::from(
        "# Written by `cargo xtask ebpf`: what atf.bpf.o was built from and with (SHA-256).\n",
    );
    let sources = ("sources", hex::encode(Sha256::digest(sources)));
    let object = ("object", hex::encode(Sha256::digest(object)));
    for (key, value) in [sources, object].iter().chain(versions) {
        lock.push_str(&format!("{key} = \"{value}\"\n"));
    }
    Ok(lock)
}
