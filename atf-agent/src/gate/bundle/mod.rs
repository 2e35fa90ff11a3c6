//! A policy as one file that travels: an OPA bundle, a `.tar.gz` of its files, their list signed by who may
//! publish. Everything here goes from bytes to files and back; only the keys are read from the disk.

mod archive;
mod capabilities;
mod hashed;
mod manifest;
mod signed;
mod signers;

#[cfg(test)]
mod attacks;
#[cfg(test)]
pub(crate) mod forge;

use std::path::{Path, PathBuf};

pub use archive::{BUNDLE_BYTES_MAX, pack, unpack};
pub use capabilities::capabilities;
pub use manifest::{Manifest, add_manifest};
pub use signed::sign;
pub use signers::{PolicySettings, Signers};

use crate::identity::IdentityError;
use crate::state::files::FileError;

/// The manifest's name in a bundle.
pub(super) const MANIFEST: &str = ".manifest";

/// The signature's name in a bundle.
const SIGNATURES: &str = ".signatures.json";

/// Why a bundle is not taken, or not made.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The archive itself.
    #[error("no bundle: {0}")]
    Archive(String),
    /// A file in it.
    #[error("{name} in the bundle: {what}")]
    File {
        /// Its name, as it is listed.
        name: String,
        /// What was found, what was expected.
        what: String,
    },
    /// Keys are configured, and nobody signed.
    #[error(
        "it is not signed, and policy.signers demands a signature; sign it with `atf policy bundle --key`"
    )]
    Unsigned,
    /// The signature does not hold.
    #[error("its signature is not taken: {0}")]
    Signature(String),
    /// A key.
    #[error("the key {id:?} of policy.signers: {error}")]
    Key {
        /// Its id.
        id: String,
        /// What is wrong with it.
        error: IdentityError,
    },
    /// A key's file.
    #[error(transparent)]
    KeyFile(#[from] FileError),
    /// No file is there.
    #[error("there is no key {path} for {id:?} of policy.signers")]
    NoKey {
        /// The key's id.
        id: String,
        /// Where it should be.
        path: PathBuf,
    },
}

fn wrong(name: &Path, what: impl std::fmt::Display) -> BundleError {
    BundleError::File { name: name.display().to_string(), what: what.to_string() }
}
