//! Refuses to build the agent around an eBPF object that is older than its sources.

use std::path::Path;

use aws_lc_rs::digest::{SHA256, digest};

#[path = "../atf-ebpf/sources.rs"]
mod sources;

fn main() {
    // Asked when it runs: checkouts that share a target folder share the compiled script, too.
    let agent = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default();
    let agent = Path::new(&agent);
    let workspace = agent.parent().unwrap_or(agent);
    for path in ["atf-ebpf", "atf-common/src", "atf-common/Cargo.toml", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={}", workspace.join(path).display());
    }
    if let Err(why) = fresh(workspace) {
        println!("cargo::error={why}; run `cargo xtask ebpf`");
    }
}

/// Whether the object is the lock file's, and the lock file's sources are these.
fn fresh(workspace: &Path) -> Result<(), String> {
    let cannot_read = |what: &str, error| format!("cannot read {what}: {error}");
    let lock = std::fs::read_to_string(workspace.join(sources::LOCK))
        .map_err(|error| cannot_read(sources::LOCK, error))?;
    let object = std::fs::read(workspace.join(sources::OBJECT))
        .map_err(|error| cannot_read(sources::OBJECT, error))?;
    let sources = sources::bytes(workspace)
        .map_err(|error| cannot_read("the sources of the eBPF object", error))?;
    for (key, bytes, what) in [
        ("sources", sources, "the eBPF object is older than its sources"),
        ("object", object, "the eBPF object is not the one of its lock file"),
    ] {
        let found = hex::encode(digest(&SHA256, &bytes));
        if sources::locked(&lock, key) != Some(&found) {
            return Err(what.to_owned());
        }
    }
    Ok(())
}
