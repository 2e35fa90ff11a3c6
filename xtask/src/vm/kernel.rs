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

/// The suite that carries a version. What is newer than a release is in its backports, as long as it
/// is the newest there.
fn suite_of(version: &str) -> &'static str {
    match version {
        "6.1" => "bookworm",
        "6.12" => "trixie",
        _ => "trixie-backports",
    }
}

/// The kernel of this version, from the cache or from Debian.
///
/// # Errors
/// When the version is not of the form `6.1`, or Debian's archive cannot give it.
pub(crate) fn get(version: &str) -> Result<Kernel> {
    let numbers: Vec<&str> = version.split('.').collect();
    if numbers.len() != 2 || numbers.iter().any(|number| number.parse::<u16>().is_err()) {
        bail!("expected a kernel version like 6.1, found {version:?}");
    }
    let folder = cache::folder(&format!("kernels/{version}"))?;
    let tree = folder.join("tree");
    if !tree.is_dir() {
        packages::ensure(&["dpkg", "apt"])?;
        progress::step(&format!("fetching Linux {version}"), || fetch(version, &folder, &tree))?;
    }
    find(&tree).with_context(|| format!("remove {} and try again", folder.display()))
}

/// Downloads and unpacks. The tree appears under its name only when it is whole.
fn fetch(version: &str, folder: &Path, tree: &Path) -> Result<()> {
    let suite = suite_of(version);
    let archive = Archive::of(suite)?;
    let names = archive.names("^linux-(image|binary|binary-unsigned|modules)-.*-cloud-amd64")?;
    let Some(packages) = newest(&names, version) else {
        let whole = |release: &&str| packages_of(&names, release).is_some();
        let mut others: Vec<&str> = releases(&names).filter(whole).collect();
        others.dedup();
        let others = others.join(", ");
        bail!("suite {suite} has no whole cloud kernel {version} for amd64; it has: {others}");
    };
    let partial = folder.join("partial");
    if partial.exists() {
        fs::remove_dir_all(&partial)?;
    }
    fs::create_dir_all(&partial)?;
    for package in packages {
        archive.unpack(&package, folder, &partial)?;
    }
    Ok(fs::rename(partial, tree)?)
}

/// The packages of the newest release of a version; `names` are sorted.
fn newest(names: &[String], version: &str) -> Option<Vec<String>> {
    let of_version = |release: &&str| release.starts_with(&format!("{version}."));
    let wanted: Vec<&str> = releases(names).filter(of_version).collect();
    wanted.into_iter().rev().find_map(|release| packages_of(names, release))
}

/// The releases that any of the names is of.
fn releases(names: &[String]) -> impl Iterator<Item = &str> {
    names.iter().filter_map(|name| {
        let name = name.strip_suffix("-unsigned").unwrap_or(name);
        let kinds = ["linux-image-", "linux-modules-"];
        kinds.into_iter().find_map(|kind| name.strip_prefix(kind))
    })
}

/// The packages that make up one release: image and modules apart in newer ones, else one. An old
/// image whose modules have left the archive is of no use.
fn packages_of(names: &[String], release: &str) -> Option<Vec<String>> {
    let has = |name: String| names.contains(&name).then_some(name);
    if let Some(modules) = has(format!("linux-modules-{release}")) {
        let image = has(format!("linux-binary-{release}"))
            .or_else(|| has(format!("linux-binary-unsigned-{release}")));
        return Some(vec![image?, modules]);
    }
    has(format!("linux-image-{release}-unsigned")).map(|whole| vec![whole])
}

/// The image and the modules in an unpacked tree. /lib became /usr/lib in Debian 13, and later the
/// image went from /boot to its modules.
fn find(tree: &Path) -> Result<Kernel> {
    let roots = ["lib/modules", "usr/lib/modules"].map(|folder| tree.join(folder));
    let mut folders = roots.iter().filter_map(|root| fs::read_dir(root).ok()).flatten().flatten();
    let folder = folders.next().with_context(|| format!("no modules in {}", tree.display()))?;
    let (modules, release) = (folder.path(), folder.file_name().to_string_lossy().into_owned());
    let images = [tree.join("boot").join(format!("vmlinuz-{release}")), modules.join("vmlinuz")];
    let image = images.into_iter().find(|image| image.is_file());
    let image = image.with_context(|| format!("no image of {release} in {}", tree.display()))?;
    Ok(Kernel { release, image, modules })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_release_is_taken() {
        let names = [
            "linux-image-6.1.0-9-cloud-amd64-unsigned",
            "linux-image-6.1.0-56-cloud-amd64-unsigned",
            "linux-image-6.12.3+deb13-cloud-amd64-unsigned",
            "linux-binary-7.0.13+deb13-cloud-amd64",
            "linux-image-7.0.13+deb13-cloud-amd64",
            "linux-binary-unsigned-7.2.9+deb13-cloud-amd64",
            "linux-modules-7.2.9+deb13-cloud-amd64",
        ]
        .map(str::to_owned);
        for (version, expected) in [
            ("6.1", Some(&names[1..2])),
            ("6.12", Some(&names[2..3])),
            ("7.0", None),
            ("7.2", Some(&names[5..7])),
            ("5.15", None),
        ] {
            assert_eq!(newest(&names, version).as_deref(), expected, "{version}");
        }
    }
}
