//! What is known of the log beside it: whose key signs its head, and the record that was its last when the recorder
//! last started. Who can write the log's directory alone cannot change either.

use std::io;
use std::path::PathBuf;

use super::RecorderError;
use crate::audit::{Last, Mark};
use crate::identity::{SigningKey, VerifyingKey};
use crate::state::files;
use crate::wire::Places;

/// The public log key: the published one, or that of the secret one where none is published, as after a reboot.
/// `None` when there is no log key at all.
///
/// # Errors
/// When there is one that cannot be read or is none.
pub fn public_log_key(places: &Places) -> Result<Option<VerifyingKey>, RecorderError> {
    let path = places.log_key();
    if let Some(text) = files::read_public(&path)? {
        let text = String::from_utf8_lossy(&text);
        let key = VerifyingKey::from_hex(text.trim());
        return key.map(Some).map_err(|error| RecorderError::Key { path, error });
    }
    let path = secret(places);
    // Root reads it here, and nothing but its public half goes further.
    match files::read_public(&path)? {
        Some(pkcs8) => SigningKey::from_pkcs8(&pkcs8)
            .map(|key| Some(key.verifying_key()))
            .map_err(|error| RecorderError::Key { path, error }),
        None => Ok(None),
    }
}

/// The record that was the last when the recorder last started; `None` when it never has, or was of a release that
/// kept none.
///
/// # Errors
/// When it cannot be read.
pub fn mark(places: &Places) -> Result<Option<Mark>, RecorderError> {
    let path = kept(places);
    let Some(text) = files::read_public(&path)? else { return Ok(None) };
    let read = String::from_utf8_lossy(&text).parse().map(Some);
    read.map_err(|error| RecorderError::Io {
        what: "read the mark of the log in",
        path,
        error: io::Error::new(io::ErrorKind::InvalidData, error),
    })
}

/// Keeps the last record as the mark. It is on the disk already: a mark that is ahead of the log would have it refused.
pub(super) fn keep(places: &Places, last: &Last) {
    let mark = Mark { seq: last.seq, fingerprint: last.fingerprint };
    if let Err(error) = files::keep_secret(&kept(places), format!("{mark}\n").as_bytes()) {
        // The old mark stands, and covers less of the log.
        tracing::error!(%error, "the mark of the log cannot be kept");
    }
}

/// Where the log key is.
pub(super) fn secret(places: &Places) -> PathBuf {
    places.state("recorder").join("log.key")
}

/// Where the mark is.
fn kept(places: &Places) -> PathBuf {
    places.state("recorder").join("log.mark")
}
