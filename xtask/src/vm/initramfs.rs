//! What the VM has: the three programs, the policies, the modules; nothing else, no shell.

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::cpio::Cpio;
use super::kernel::Kernel;
use super::modules;
use crate::cargo::{self, Binaries};

/// The mount points that init needs before it can make folders, and the folders of our files.
const FOLDERS: [&str; 9] =
    ["bin", "dev", "etc", "modules", "proc", "run", "sys", "tmp", "new-root"];

/// Writes the initramfs and returns where it is.
///
/// # Errors
/// When a file of it is missing or it cannot be written.
pub(crate) fn write(kernel: &Kernel, binaries: &Binaries) -> Result<PathBuf> {
    let path = cargo::scratch("vm")?.join(format!("initramfs-{}.cpio", kernel.release));
    let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    let mut cpio = Cpio::new(BufWriter::new(file));
    for folder in FOLDERS {
        cpio.folder(folder)?;
    }
    cpio.file("init", 0o755, &read(&binaries.demo)?)?;
    cpio.file("bin/atf", 0o755, &read(&binaries.atf)?)?;
    cpio.file("bin/hijacked", 0o755, &read(&binaries.hijacked)?)?;
    if let Some(tests) = &binaries.kernel_tests {
        cpio.file("bin/kernel-tests", 0o755, &read(tests)?)?;
    }
    for (number, module) in modules::wanted(kernel)?.iter().enumerate() {
        cpio.file(&format!("modules/{number:02}-{}.ko", module.name), 0o644, &module.object)?;
    }
    cpio.folder("etc/atf")?;
    add_tree(&mut cpio, &cargo::workspace().join("policies"), "etc/atf/policies")?;
    cpio.finish()?;
    Ok(path)
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
