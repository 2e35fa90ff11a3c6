//! The authority's public keys, as its file has them now, and the gateway's own key for permits.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::identity::{IdentityError, SigningKey, Verifier};

/// What tells one key set from the next without reading it: device, inode, length, and change time
/// in seconds and nanoseconds. The authority replaces the file, so the inode alone nearly does.
type Stat = (u64, u64, u64, i64, i64);

/// The verifier of tokens. It follows the file: the `stat` of each call costs a microsecond, and a
/// call with a token of a key that was made a moment ago must not count as a refusal.
pub(super) struct Keys {
    path: PathBuf,
    profile: TokenProfile,
    current: Mutex<(Option<Stat>, Option<Arc<Verifier>>)>,
}

/// What tokens must say of their origin and their goal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenProfile {
    /// The `iss`: the authority.
    pub issuer: String,
    /// The `aud`: this gateway.
    pub audience: String,
}

impl Keys {
    /// Keys from the JWK set at `path`, which need not exist yet.
    pub(super) fn new(path: PathBuf, profile: TokenProfile) -> Self {
        Self { path, profile, current: Mutex::new((None, None)) }
    }

    /// The verifier with the keys that the file has now. When it cannot be read, or is malformed,
    /// the last good one stays; `None` when there never was one.
    pub(super) fn verifier(&self) -> Option<Arc<Verifier>> {
        // The pair is whole even when a holder of the lock panicked: it is only set.
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let found = fs::metadata(&self.path).ok().map(|meta| {
            let (seconds, nanoseconds) = (meta.ctime(), meta.ctime_nsec());
            (meta.dev(), meta.ino(), meta.len(), seconds, nanoseconds)
        });
        if found.is_some() && found != current.0 {
            // Kept even when reading fails: a broken file is read once, not with each call.
            current.0 = found;
            match self.read() {
                Ok(verifier) => current.1 = Some(Arc::new(verifier)),
                Err(error) => tracing::error!(
                    path = %self.path.display(), %error,
                    "the authority's keys are not read; the last good ones stay"
                ),
            }
        }
        current.1.clone()
    }

    fn read(&self) -> Result<Verifier, IdentityError> {
        let jwks = fs::read_to_string(&self.path)
            .map_err(|error| IdentityError::KeySet(error.to_string()))?;
        Verifier::from_jwks(&jwks, &self.profile.issuer, &self.profile.audience)
    }
}

/// Writes the public half of the permit key to `path`, for the executor; it is there whole or not
/// at all.
///
/// # Errors
/// When the gateway's runtime directory is missing or not its own.
pub(super) fn publish(key: &SigningKey, path: &Path) -> io::Result<()> {
    let fresh = path.with_extension("new");
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o644).open(&fresh)?;
    writeln!(file, "{}", key.public_hex())?;
    file.sync_all()?;
    fs::rename(&fresh, path)
}
