//! The authority's public keys, as its file has them now, and the gateway's own key for permits.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use crate::identity::{AgreementPublic, IdentityError, Verifier};
use crate::state::files;

/// What tells one key set from the next without reading it: device, inode, length, and change time
/// in seconds and nanoseconds. The authority replaces the file, so the inode alone nearly does.
type Stat = (u64, u64, u64, i64, i64);

/// The verifier of tokens. It follows the file: the `stat` of each call costs a microsecond, and a
/// call with a token of a key that was made a moment ago must not count as a refusal.
pub(super) struct Keys {
    path: PathBuf,
    profile: TokenProfile,
    current: RwLock<(Option<Stat>, Option<Arc<Verifier>>)>,
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
        Self { path, profile, current: RwLock::new((None, None)) }
    }

    /// The authority's name.
    pub(super) fn issuer(&self) -> &str {
        &self.profile.issuer
    }

    /// The verifier with the keys that the file has now. When it cannot be read, or is malformed,
    /// the last good one stays; `None` when there never was one.
    pub(super) fn verifier(&self) -> Option<Arc<Verifier>> {
        let found = fs::metadata(&self.path).ok().map(|meta| {
            let (seconds, nanoseconds) = (meta.ctime(), meta.ctime_nsec());
            (meta.dev(), meta.ino(), meta.len(), seconds, nanoseconds)
        });
        // The pair is whole even when a holder of the lock panicked: it is only set.
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        if found.is_none() || found == current.0 {
            return current.1.clone();
        }
        drop(current);
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if found != current.0 {
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
        let unread = |error: &dyn std::fmt::Display| IdentityError::KeySet(error.to_string());
        let jwks = files::read_public(&self.path).map_err(|error| unread(&error))?;
        let jwks = jwks.ok_or_else(|| unread(&"it is gone"))?;
        let jwks = String::from_utf8(jwks).map_err(|error| unread(&error))?;
        Verifier::from_jwks(&jwks, &self.profile.issuer, &self.profile.audience)
    }
}

/// Writes the public half of the permit key to `path`, for the executor; it is there whole or not
/// at all.
///
/// # Errors
/// When the gateway's runtime directory is missing or not its own.
pub(super) fn publish(key: AgreementPublic, path: &Path) -> io::Result<()> {
    let fresh = path.with_extension("new");
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o644).open(&fresh)?;
    writeln!(file, "{}", key.hex())?;
    file.sync_all()?;
    fs::rename(&fresh, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The attack: the authority's uid puts a FIFO in the key set's place, and each call waits. The
    /// control is every row of the line: it reads a key set.
    #[test]
    fn a_fifo_in_the_key_sets_place_keeps_no_call_waiting() {
        use rustix::fs::{CWD, FileType, Mode, mknodat};
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("jwks.json");
        mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        let profile = TokenProfile { issuer: "a".to_owned(), audience: "g".to_owned() };
        let keys = Keys::new(path, profile);
        let why = keys.read().map(|_| ()).unwrap_err().to_string();
        assert!(why.contains("no regular file"), "{why}");
        assert!(keys.verifier().is_none());
    }
}
