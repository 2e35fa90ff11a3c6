//! What the VM has: the three programs, the policies, the modules; nothing else, no shell. Or what
//! brings a VM with a disk to its own init, and the project to the disk.

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::cpio::Cpio;
use super::kernel::Kernel;
use super::modules::{self, Module};
use crate::cargo::{self, Binaries};

/// The mount points that init needs before it can make folders, and the folders of our files.
const FOLDERS: [&str; 9] =
    ["bin", "dev", "etc", "modules", "proc", "run", "sys", "tmp", "new-root"];

/// Writes the initramfs and returns where it is.
///
/// # Errors
/// When a file of it is missing or it cannot be written.
pub(crate) fn write(kernel: &Kernel, binaries: &Binaries) -> Result<PathBuf> {
    let (mut cpio, path) = begin(&format!("initramfs-{}.cpio", kernel.release))?;
    cpio.file("init", 0o755, &read(&binaries.demo)?)?;
    cpio.file("bin/atf", 0o755, &read(&binaries.atf)?)?;
    cpio.file("bin/hijacked", 0o755, &read(&binaries.hijacked)?)?;
    if let Some(tests) = &binaries.kernel_tests {
        cpio.file("bin/kernel-tests", 0o755, &read(tests)?)?;
    }
    add_modules(&mut cpio, &modules::wanted(kernel)?)?;
    cpio.folder("etc/atf")?;
    add_tree(&mut cpio, &cargo::workspace().join("policies"), "etc/atf/policies")?;
    cpio.finish()?;
    Ok(path)
}

/// Writes the initramfs of a VM with a disk: `init` goes on to what is on the disk, and has with it the
/// project as its README finds it after a build, and the attacker.
///
/// # Errors
/// When a file of it is missing or it cannot be written.
pub(crate) fn for_a_disk(
    kernel: &Kernel,
    init: &Path,
    atf: &Path,
    hijacked: &Path,
) -> Result<PathBuf> {
    let (mut cpio, path) = begin(&format!("initramfs-disk-{}.cpio", kernel.release))?;
    cpio.file("init", 0o755, &read(init)?)?;
    cpio.file("bin/hijacked", 0o755, &read(hijacked)?)?;
    add_modules(&mut cpio, &modules::of_a_disk(kernel)?)?;
    for folder in ["project", "project/target", "project/target/release"] {
        cpio.folder(folder)?;
    }
    cpio.file("project/target/release/atf", 0o755, &read(atf)?)?;
    let project = cargo::workspace();
    cpio.file("project/README.md", 0o644, &read(&project.join("README.md"))?)?;
    for folder in ["packaging", "policies"] {
        add_tree(&mut cpio, &project.join(folder), &format!("project/{folder}"))?;
    }
    cpio.finish()?;
    Ok(path)
}

fn begin(name: &str) -> Result<(Cpio<BufWriter<File>>, PathBuf)> {
    let path = cargo::scratch("vm")?.join(name);
    let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    let mut cpio = Cpio::new(BufWriter::new(file));
    for folder in FOLDERS {
        cpio.folder(folder)?;
    }
    Ok((cpio, path))
}

/// Their names begin with the number of their turn.
fn add_modules<W: std::io::Write>(cpio: &mut Cpio<W>, modules: &[Module]) -> Result<()> {
    for (number, module) in modules.iter().enumerate() {
        cpio.file(&format!("modules/{number:02}-{}.ko", module.name), 0o644, &module.object)?;
    }
    Ok(())
}

fn add_tree<W: std::io::Write>(cpio: &mut Cpio<W>, folder: &Path, to: &str) -> Result<()> {
    cpio.folder(to)?;
    let entries =
        fs::read_dir(folder).with_context(|| format!("no folder {}", folder.display()))?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    // The same sources give the same archive.
    paths.sort();
    for path in paths {
        let name = format!("{to}/{}", path.file_name().unwrap_or_default().to_string_lossy());
        if path.is_dir() {
            add_tree(cpio, &path, &name)?;
        } else {
            cpio.file(&name, 0o644, &read(&path)?)?;
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}
