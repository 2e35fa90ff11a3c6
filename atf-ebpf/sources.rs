//! What the committed object was built from, in bytes to be hashed. Shared by `cargo xtask ebpf`,
//! which writes the hash into `atf.bpf.lock`, and by the agent's build script, which refuses an
//! object whose sources have changed since.

use std::io;
use std::path::{Path, PathBuf};

/// The committed object, under the workspace.
pub(crate) const OBJECT: &str = "atf-ebpf/atf.bpf.o";

/// Its lock file, under the workspace.
pub(crate) const LOCK: &str = "atf-ebpf/atf.bpf.lock";

/// The crates whose sources are compiled into the object.
const CRATES: [&str; 2] = ["atf-common", "atf-ebpf"];

/// Every source, each with its name and length, and the versions of the crates of the registry that
/// go into the object.
pub(crate) fn bytes(workspace: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for file in files(workspace)? {
        let name = file.strip_prefix(workspace).unwrap_or(&file);
        let text = std::fs::read(&file)?;
        bytes.extend_from_slice(format!("{} {}\n", name.display(), text.len()).as_bytes());
        bytes.extend_from_slice(&text);
    }
    bytes.extend_from_slice(locked_versions(workspace)?.as_bytes());
    Ok(bytes)
}

/// The value of `key` in the text of a lock file.
pub(crate) fn locked<'a>(lock: &'a str, key: &str) -> Option<&'a str> {
    lock.lines().find_map(|line| {
        let (found, value) = line.split_once(" = ")?;
        (found == key).then(|| value.trim_matches('"'))
    })
}

fn files(workspace: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for name in CRATES {
        let folder = workspace.join(name);
        files.push(folder.join("Cargo.toml"));
        walk(&folder.join("src"), &mut files)?;
    }
    files.sort();
    Ok(files)
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            walk(&path, files)?;
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

/// Where a build with the programs' own lines goes, under the target folder. Never committed.
#[allow(dead_code, reason = "the agent's build script has no use for it")]
pub(crate) const LINES_OBJECT: &str = "ebpf/atf.lines.bpf.o";

/// `NAME VERSION` of each `aya-ebpf*` package in the workspace's lock file.
fn locked_versions(workspace: &Path) -> io::Result<String> {
    let lock = std::fs::read_to_string(workspace.join("Cargo.lock"))?;
    let mut versions = String::new();
    let mut lines = lock.lines();
    while let Some(line) = lines.next() {
        let Some(name) = locked(line, "name").filter(|name| name.starts_with("aya-ebpf")) else {
            continue;
        };
        let version = lines.next().and_then(|line| locked(line, "version"));
        versions.push_str(&format!("{name} {}\n", version.unwrap_or("unknown")));
    }
    Ok(versions)
}
