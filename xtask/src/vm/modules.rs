//! The kernel modules that the lab needs, in the order in which they can be loaded. An unpacked
//! package has no `modules.dep`, so the dependencies are read from the modules themselves.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::kernel::Kernel;
use crate::packages;

/// Links between the lab's namespaces, and a VSOCK peer within the VM. (IPv6 and packet sockets are
/// built into Debian's kernels.)
const WANTED: [&str; 3] = ["veth", "vsock", "vsock_loopback"];

/// QEMU's disk. (ext4 is built into Debian's kernels.)
const DISK: [&str; 2] = ["virtio_pci", "virtio_blk"];

/// Odd families and protocols, as far as a kernel has them: without its module an attempt shows
/// nothing, and says so.
const WELCOME: [&str; 10] = [
    "sctp",
    "dccp_ipv4",
    "af_alg",
    "tipc",
    "rds",
    "smc",
    "kcm",
    "nfnetlink",
    "xfrm_user",
    "inet_diag",
];

/// A module: its name and its bytes, uncompressed.
pub(crate) struct Module {
    /// The name.
    pub(crate) name: String,
    /// The ELF object.
    pub(crate) object: Vec<u8>,
}

/// The wanted modules, those that are welcome, and what they depend on, each after its dependencies.
///
/// # Errors
/// When a module is neither in the package nor built in.
pub(crate) fn wanted(kernel: &Kernel) -> Result<Vec<Module>> {
    ordered(kernel, &WANTED, &WELCOME)
}

/// What a root file system on a disk needs, each after its dependencies.
///
/// # Errors
/// When a module is neither in the package nor built in.
pub(crate) fn of_a_disk(kernel: &Kernel) -> Result<Vec<Module>> {
    ordered(kernel, &DISK, &[])
}

fn ordered(kernel: &Kernel, wanted: &[&str], welcome: &[&str]) -> Result<Vec<Module>> {
    let mut files = BTreeMap::new();
    collect(&kernel.modules, &mut files)?;
    // Without the list, what is built in is not known, and a wanted module must be a file.
    let builtin = fs::read_to_string(kernel.modules.join("modules.builtin")).unwrap_or_default();
    let builtin: Vec<String> = builtin.lines().map(|line| name_of(Path::new(line))).collect();
    let mut ordered = Vec::new();
    for name in wanted {
        add(name, &files, &builtin, &mut ordered)?;
    }
    for name in welcome {
        let loaded = ordered.len();
        if add(name, &files, &builtin, &mut ordered).is_err() {
            ordered.truncate(loaded);
        }
    }
    Ok(ordered)
}

fn add(
    name: &str,
    files: &BTreeMap<String, PathBuf>,
    builtin: &[String],
    ordered: &mut Vec<Module>,
) -> Result<()> {
    if builtin.iter().any(|known| known == name) || ordered.iter().any(|module| module.name == name)
    {
        return Ok(());
    }
    let Some(file) = files.get(name) else {
        bail!("this kernel has no module {name}, which the lab needs");
    };
    let object = read(file)?;
    for dependency in dependencies(&object) {
        add(&dependency, files, builtin, ordered)?;
    }
    ordered.push(Module { name: name.to_owned(), object });
    Ok(())
}

fn collect(folder: &Path, files: &mut BTreeMap<String, PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            collect(&path, files)?;
        } else if path.to_string_lossy().contains(".ko") {
            files.insert(name_of(&path), path);
        }
    }
    Ok(())
}

/// A module's name is its file's, up to the first dot, with `_` for `-`.
fn name_of(path: &Path) -> String {
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    file.split('.').next().unwrap_or_default().replace('-', "_")
}

fn read(file: &Path) -> Result<Vec<u8>> {
    if file.extension().is_some_and(|extension| extension == "xz") {
        packages::ensure(&["xz-utils"])?;
        let mut xz = Command::new("xz");
        let output = xz.args(["--decompress", "--stdout"]).arg(file).output()?;
        if !output.status.success() {
            bail!("cannot unpack {}", file.display());
        }
        return Ok(output.stdout);
    }
    fs::read(file).with_context(|| format!("cannot read {}", file.display()))
}

/// The names in the `depends=` entry of the object's `.modinfo`: strings that end with a zero byte.
fn dependencies(object: &[u8]) -> Vec<String> {
    let key = b"\0depends=";
    let Some(at) = object.windows(key.len()).position(|window| window == key) else {
        return Vec::new();
    };
    let value = &object[at + key.len()..];
    let value = &value[..value.iter().position(|byte| *byte == 0).unwrap_or(0)];
    let names = String::from_utf8_lossy(value);
    names.split(',').filter(|name| !name.is_empty()).map(|name| name.replace('-', "_")).collect()
}
