//! `cargo xtask release`: the build that is shipped. It is made twice: the first one counts what it does while it is
//! put to work, as the benches put it; the second one is optimized for that. Policy and SQL take some two thirds of
//! the time that they take in a plain `cargo build --release`.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use sha2::{Digest as _, Sha256};

use crate::toolchain::Toolchain;
use crate::{build, cargo, packages, progress};

/// The target is named so that build scripts and macros are built as ever.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// The programs of a bench; the first is what is shipped.
const PROGRAMS: [&str; 4] = ["atf", "hijacked", "demo", "atf-bench"];

/// Where the first build writes down what it did: the daemons have users of their own and no environment, so that
/// it is written into the programs, and may be nowhere below a home.
const COUNTED: &str = "/var/cache/atf-training";

/// What the first build does: the decision, and the line from the socket to the log.
const WORK: [&[&str]; 3] =
    [&["gate"], &["gateway", "--only", "8 connections"], &["gateway", "--only", "1 connection"]];

/// Whose sources are in the programs, and what their work reads.
const SOURCES: [&str; 7] =
    ["Cargo.toml", "Cargo.lock", "atf-agent", "atf-common", "atf-ebpf", "policies", "tests"];

/// Makes the build, unless that of the same sources is there. Returns the folder of the programs.
///
/// # Errors
/// When something cannot be built, or cannot be put to work (root?).
pub(crate) fn build() -> Result<PathBuf> {
    let folder = folder();
    if let Some(made) = made()? {
        eprintln!("xtask: {} is of these sources", made.display());
        return Ok(made);
    }
    ensure!(packages::is_root()?, "the line is put to work with users of its own: as root");
    packages::ensure(&["llvm-22"])?;
    let sources = digest()?;
    // To count, the crates need not be one: the counters are placed before they are.
    let apart = ["--config", "profile.release.lto=false"];
    let flag = format!("-Cprofile-generate={COUNTED}");
    let counting = programs(&folder.join("counting"), &flag, &apart)?;
    let profile = folder.join("profile");
    progress::step("putting it to work", || work(&counting, &profile))?;
    let flag = format!("-Cprofile-use={}", profile.display());
    let optimized = programs(&folder.join("optimized"), &flag, &[])?;
    let shipped = shipped();
    fs::create_dir_all(&shipped)
        .with_context(|| format!("cannot make the folder {}", shipped.display()))?;
    for program in PROGRAMS {
        let (from, to) = (optimized.join(program), shipped.join(program));
        // A program that runs cannot be written over.
        fs::remove_file(&to).or_else(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Ok(()),
            _ => Err(error),
        })?;
        fs::copy(&from, &to).with_context(|| format!("cannot copy {}", from.display()))?;
    }
    fs::write(folder.join("sources"), sources)?;
    println!("{}", shipped.join("atf").display());
    Ok(shipped)
}

/// The folder of the programs, when they are of the sources as they are.
///
/// # Errors
/// When a source cannot be read.
pub(crate) fn made() -> Result<Option<PathBuf>> {
    let Ok(known) = fs::read_to_string(folder().join("sources")) else { return Ok(None) };
    let is_whole = PROGRAMS.iter().all(|program| shipped().join(program).is_file());
    Ok((is_whole && known == digest()?).then(shipped))
}

fn folder() -> PathBuf {
    cargo::target_folder().join("trained")
}

fn shipped() -> PathBuf {
    folder().join("bin")
}

/// Builds the programs with one more flag for the compiler, and these words for cargo.
fn programs(folder: &Path, flag: &str, words: &[&str]) -> Result<PathBuf> {
    let bins = PROGRAMS.iter().flat_map(|program| ["--bin", program]);
    let mut build = cargo::cargo(&["build", "--quiet", "--locked", "--release"]);
    build.args(["--package", "atf-agent", "--package", "atf-tests", "--target", TARGET]);
    build.args(bins).args(words);
    build.env("CARGO_TARGET_DIR", folder).env("RUSTFLAGS", flag);
    progress::step(&format!("building with {flag}"), || build::build(&mut build))?;
    Ok(folder.join(TARGET).join("release"))
}

/// Lets the programs work and adds up what they have counted.
fn work(programs: &Path, profile: &Path) -> Result<()> {
    let counted = Path::new(COUNTED);
    if counted.exists() {
        fs::remove_dir_all(counted).with_context(|| format!("cannot empty {COUNTED}"))?;
    }
    // Each daemon adds its own file, and touches nobody else's.
    DirBuilder::new()
        .mode(0o700)
        .create(counted)
        .with_context(|| format!("cannot make {COUNTED}"))?;
    fs::set_permissions(counted, fs::Permissions::from_mode(0o1777))?;
    for words in WORK {
        let mut bench = Command::new(programs.join("atf-bench"));
        bench.current_dir(cargo::workspace()).args(words).stdout(Stdio::null());
        progress::command(&mut bench)?;
    }
    let mut merge = Toolchain::llvm("llvm-profdata");
    merge.args(["merge", "--output"]).arg(profile).arg(counted);
    progress::command(&mut merge)?;
    fs::remove_dir_all(counted).with_context(|| format!("cannot remove {COUNTED}"))
}

/// A digest of all sources, each with its name.
fn digest() -> Result<String> {
    let mut files = Vec::new();
    for name in SOURCES {
        walk(&cargo::workspace().join(name), &mut files)?;
    }
    files.sort();
    let mut digest = Sha256::new();
    for file in files {
        let bytes = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let name = file.strip_prefix(cargo::workspace()).unwrap_or(&file);
        digest.update(format!("{} {}\n", name.display(), bytes.len()));
        digest.update(bytes);
    }
    Ok(hex::encode(digest.finalize()))
}

fn walk(path: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let entries = fs::read_dir(path).with_context(|| format!("cannot read {}", path.display()))?;
    for entry in entries {
        walk(&entry?.path(), files)?;
    }
    Ok(())
}
