//! Who may publish: the operator's public keys, by their ids. Without one, nothing has to be signed.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{BundleError, signed};
use crate::identity::PublisherKey;
use crate::state::{PolicyFiles, files};

/// The configuration of policies.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PolicySettings {
    /// The files of the public keys, PEM, by key id. When there is one, nothing that is not signed by one of
    /// them is put in force, or served.
    pub signers: BTreeMap<String, PathBuf>,
}

/// The keys, read.
#[derive(Default)]
pub struct Signers(pub(super) BTreeMap<String, PublisherKey>);

impl Signers {
    /// Reads the keys.
    ///
    /// # Errors
    /// When one is not there, or is no public key of RSA or Ed25519.
    pub fn read(settings: &PolicySettings) -> Result<Self, BundleError> {
        let mut keys = BTreeMap::new();
        for (id, path) in &settings.signers {
            let Some(pem) = files::read_public(path)? else {
                return Err(BundleError::NoKey { id: id.clone(), path: path.clone() });
            };
            let key = PublisherKey::from_pem(&pem);
            let key = key.map_err(|error| BundleError::Key { id: id.clone(), error })?;
            keys.insert(id.clone(), key);
        }
        Ok(Self(keys))
    }

    /// Whether a signature is demanded.
    pub fn demand(&self) -> bool {
        !self.0.is_empty()
    }

    /// The id of the key that signed the list of `files`, all of which are on it; `None` when none is demanded.
    ///
    /// # Errors
    /// When there is no signature, it is no key's of these, or the list is not exactly of these files.
    pub fn check(&self, files: &PolicyFiles) -> Result<Option<String>, BundleError> {
        if !self.demand() {
            return Ok(None);
        }
        signed::check(files, self).map(Some)
    }

    /// The key of this id.
    pub(super) fn get(&self, id: &str) -> Option<&PublisherKey> {
        self.0.get(id)
    }
}
