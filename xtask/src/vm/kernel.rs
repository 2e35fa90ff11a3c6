//! Debian's cloud kernels: downloaded once, unpacked into the cache, never installed.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::archive::Archive;
use crate::{cache, packages, progress};

/// A kernel in the cache.
pub(crate) struct Kernel {
    /// Its release, as `uname -r` will say.
    pub(crate) release: String,
    /// The image that QEMU boots.
    pub(crate) image: PathBuf,
    /// The folder of its modules.
    pub(crate) modules: PathBuf,
}

/// The kernels that we know, each with the suite that carries it.
const KNOWN: [(&str, &str); 3] = [
    ("6.1", "bookworm"),
    ("6.12", "trixie"),
    ("7.0", "trixie-backports"),
];

/// The kernel of this version, from the cache or from Debian.
///
/// # Errors
/// When we do not know the version, or Debian's archive cannot give it.
pub(crate) fn get(version: &str) -> Result<Kernel> {
    let Some((_, suite)) = KNOWN.iter().find(|(known, _)| *known == version) else {
        let known = KNOWN.map(|(known, _)| known).join(", ");
        bail!("no kernel {version}: choose of {known}");
    };
    let folder = cache::folder(&format!("kernels/{version}"))?;
    let tree = folder.join("tree");
    if !tree.is_dir() {
        packages::ensure(&["dpkg", "apt"])?;
        progress::step(&format!("fetching Linux {version}"), || {
            fetch(version, suite, &folder, &tree)
        })?;
    }
    find(&tree).with_context(|| format!("remove {} and try again", folder.display()))
}

/// Downloads and unpacks. The tree appears under its name only when it is whole.
fn fetch(version: &str, suite: &str, folder: &Path, tree: &Path) -> Result<()> {
    let (archive, names) = choose(version, suite)?;
    let partial = folder.join("partial");
    if partial.exists() {
        fs::remove_dir_all(&partial)?;
    }
    fs::create_dir_all(&partial)?;
    for name in names {
        archive.unpack(&name, folder, &partial)?;
    }
    Ok(fs::rename(partial, tree)?)
}

/// The archive and the packages in it that make up the kernel: one up to 6.12, and from 7.0 on the
/// image and the modules apart.
fn choose(version: &str, suite: &str) -> Result<(Archive, Vec<String>)> {
    let dotted = version.replace('.', "\\.");
    let whole = format!("^linux-image-{dotted}\\.[^ ]*-cloud-amd64-unsigned$");
    let split = format!("^linux-(binary|modules)-{dotted}\\.[^ ]*-cloud-amd64$");
    let system = Archive::system();
    if let Some(newest) = system.names(&whole)?.pop() {
        return Ok((system, vec![newest]));
    }
    let archive = Archive::private(suite)?;
    if let Some(newest) = archive.names(&whole)?.pop() {
        return Ok((archive, vec![newest]));
    }
    let parts = archive.names(&split)?;
    let newest = |kind: &str| parts.iter().rfind(|name| name.starts_with(kind)).cloned();
    let names: Vec<String> = ["linux-binary-", "linux-modules-"]
        .into_iter()
        .filter_map(newest)
        .collect();
    if names.is_empty() {
        bail!("suite {suite} has no cloud kernel {version} for amd64");
    }
    Ok((archive, names))
}

/// The image and the modules in an unpacked tree.
fn find(tree: &Path) -> Result<Kernel> {
    let boot = tree.join("boot");
    let image = fs::read_dir(&boot)
        .with_context(|| format!("no folder {}", boot.display()))?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("vmlinuz-"))
        })
        .with_context(|| format!("no kernel image in {}", boot.display()))?;
    let name = image.file_name().unwrap_or_default().to_string_lossy();
    let release = name.trim_start_matches("vmlinuz-").to_owned();
    // /lib became /usr/lib in Debian 13.
    let modules = ["lib/modules", "usr/lib/modules"].map(|folder| tree.join(folder).join(&release));
    let modules = modules.into_iter().find(|folder| folder.is_dir());
    let modules =
        modules.with_context(|| format!("no modules of {release} in {}", tree.display()))?;
    Ok(Kernel {
        release,
        image,
        modules,
    })
}
