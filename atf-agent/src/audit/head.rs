//! The signed head of a log: how far it had certainly come. A log that is shorter was cut.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::call::Digest;

/// The name of the head in the directory of the log.
pub const HEAD_FILE: &str = "head.json";

/// The last durable record at some moment, signed by the log key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// The chain.
    pub chain: String,
    /// The record's number.
    pub seq: u64,
    /// Its fingerprint.
    pub fingerprint: Digest,
    /// When, in milliseconds since the epoch.
    pub time_unix_ms: u64,
    /// Ed25519 signature (RFC 8032) by the log key over [`Head::signed_bytes`], in hexadecimal.
    pub signature: String,
}

/// Why a head cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum HeadError {
    /// The file system says no.
    #[error("cannot read the head of the log {path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// It is not a head.
    #[error("{path} is not the head of a log: {error}")]
    Json {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: serde_json::Error,
    },
}

impl Head {
    /// The bytes that the log key signs: a domain word and the fields, one a line.
    pub fn signed_bytes(&self) -> Vec<u8> {
        format!(
            "atf-head-v1\n{}\n{}\n{}\n{}\n",
            self.chain, self.seq, self.fingerprint, self.time_unix_ms
        )
        .into_bytes()
    }

    /// The head of the log in `dir`; `None` when it has none.
    ///
    /// # Errors
    /// When it has one that cannot be read.
    pub fn read(dir: &Path) -> Result<Option<Self>, HeadError> {
        let path = dir.join(HEAD_FILE);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(HeadError::Io { path, error }),
        };
        match serde_json::from_slice(&text) {
            Ok(head) => Ok(Some(head)),
            Err(error) => Err(HeadError::Json { path, error }),
        }
    }
}
