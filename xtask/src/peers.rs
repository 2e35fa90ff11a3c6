//! The deciders of others that `cargo xtask bench gate` measures ATF's beside, as Python packages.

use std::path::PathBuf;

use anyhow::Result;

use crate::{cache, packages, python};

/// Each by the name that the bench has for it, and its package.
const PEERS: [(&str, &str); 3] = [
    ("regopy", "regopy==1.5.2"),
    ("cmcp", "cmcp-runtime==0.7.1"),
    ("agt", "agent-governance-toolkit-core==5.0.0"),
];

/// The folder that has the packages of each peer in a folder of its name.
///
/// # Errors
/// When Python or a package cannot be had.
pub(crate) fn packages() -> Result<PathBuf> {
    packages::ensure(&python::DEBIAN)?;
    let folder = cache::folder("peers")?;
    for (name, package) in PEERS {
        python::packages(&folder, name, &[&[package]])?;
    }
    Ok(folder)
}
