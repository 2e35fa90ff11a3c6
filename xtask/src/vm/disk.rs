//! A disk with Debian on it: made once by `mmdebstrap`, kept in the cache, never changed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use sha2::{Digest as _, Sha256};

use super::archive;
use crate::{cache, packages, progress};

/// The release.
const SUITE: &str = "bookworm";

/// What is installed besides the least that Debian is: systemd as the first process.
const INSTALLED: &str = "systemd,systemd-sysv";

/// What nobody reads in a VM.
const LEFT_OUT: [&str; 3] = ["/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*"];

/// The disk's size; the file has holes.
const SIZE: &str = "1G";

/// The disk, from the cache or from Debian.
///
/// # Errors
/// When Debian's archive cannot give it, or it cannot be made.
pub(crate) fn get() -> Result<PathBuf> {
    let folder = cache::folder(&format!("disks/{}", key()))?;
    let disk = folder.join("root.ext4");
    if !disk.is_file() {
        packages::ensure(&["mmdebstrap", "e2fsprogs"])?;
        progress::step(&format!("making a disk with {SUITE}"), || make(&folder, &disk))?;
    }
    Ok(disk)
}

/// What made a disk, in short: one that is made otherwise is another.
fn key() -> String {
    let made_of = format!("{SUITE} {INSTALLED} {SIZE} {LEFT_OUT:?}");
    hex::encode(&Sha256::digest(made_of)[..8])
}

/// Makes it. The disk appears under its name only when it is whole.
fn make(folder: &Path, disk: &Path) -> Result<()> {
    let (tree, partial) = (folder.join("tree"), folder.join("partial"));
    remove(&tree)?;
    let mut debian = Command::new("mmdebstrap");
    debian.args(["--quiet", "--variant=minbase"]).arg(format!("--include={INSTALLED}"));
    for path in LEFT_OUT {
        debian.arg(format!("--dpkgopt=path-exclude={path}"));
    }
    debian.args([SUITE.as_ref(), tree.as_os_str()]).arg(archive::source_line(SUITE)?);
    progress::output(&mut debian)?;
    let mut format = Command::new("mke2fs");
    format.args(["-q", "-F", "-t", "ext4", "-d"]).args([&tree, &partial]).arg(SIZE);
    progress::output(&mut format)?;
    remove(&tree)?;
    Ok(fs::rename(partial, disk)?)
}

fn remove(tree: &Path) -> Result<()> {
    if tree.exists() {
        fs::remove_dir_all(tree).with_context(|| format!("cannot remove {}", tree.display()))?;
    }
    Ok(())
}
