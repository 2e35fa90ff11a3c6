//! The record that was the log's last when its recorder last started. It is kept beside the log's key and not with the
//! log: an older copy of the log, put back with the head that was signed then, does not have it.

use std::fmt;
use std::str::FromStr;

use crate::call::Digest;

/// A record that the log has for certain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Its number.
    pub seq: u64,
    /// Its fingerprint.
    pub fingerprint: Digest,
}

/// The text is no mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected the number of a record and its fingerprint")]
pub struct NoMark;

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.seq, self.fingerprint)
    }
}

impl FromStr for Mark {
    type Err = NoMark;

    fn from_str(text: &str) -> Result<Self, NoMark> {
        let (seq, fingerprint) = text.trim_end().split_once(' ').ok_or(NoMark)?;
        Ok(Self {
            seq: seq.parse().map_err(|_| NoMark)?,
            fingerprint: fingerprint.parse().map_err(|_| NoMark)?,
        })
    }
}
