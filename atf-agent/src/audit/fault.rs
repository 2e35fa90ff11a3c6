//! What can be wrong with a log.

use std::io;
use std::path::PathBuf;

use super::head::HeadError;
use super::segments::LINE_BYTES_MAX;
use crate::call::Digest;

/// The first record at which a log is not whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("record {seq} at byte {offset} of {}: {fault}", file.display())]
pub struct Broken {
    /// The number that the record has, or should have.
    pub seq: u64,
    /// The file.
    pub file: PathBuf,
    /// The byte at which the record's line begins.
    pub offset: u64,
    /// What is wrong.
    pub fault: Fault,
}

/// What is wrong with a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The line is not a JSON object.
    #[error("the line is not a JSON object")]
    NotJson,
    /// The file ends in the middle of a line.
    #[error("the file ends in the middle of the line, after {bytes} bytes")]
    Torn {
        /// How much of it is there.
        bytes: u64,
    },
    /// The line is longer than a record can be.
    #[error("the line is longer than the {LINE_BYTES_MAX} bytes allowed")]
    Long,
    /// No attestation, or none of our shape.
    #[error("the record has no attestation of ours")]
    NoAttestation,
    /// The object is not what was recorded.
    #[error("the record's fingerprint is {found}, its content has {expected}")]
    Fingerprint {
        /// What the content has.
        expected: Digest,
        /// What the record says.
        found: Digest,
    },
    /// The bytes are not the canonical form.
    #[error("the line is not the canonical form of its object")]
    NotCanonical,
    /// The record does not follow on the one before: a line is missing, doubled or moved.
    #[error("the record does not follow on the one before it: it has number {found}")]
    NotNext {
        /// The number that it has.
        found: String,
    },
    /// The file's name is not the number of its first record.
    #[error("the file's name is not the number of the record that comes next")]
    Name,
    /// The log ends before the record that its head names.
    #[error("the log was cut: its head names record {head}")]
    Cut {
        /// The number of the record that the head names.
        head: u64,
    },
    /// The head names another record of this number.
    #[error("the head names another record of this number")]
    OtherHead,
    /// The log has records and no head.
    #[error("the log has no head")]
    NoHead,
    /// There is neither a record nor a head.
    #[error("there is no log here")]
    NoLog,
    /// The same, and the log's key is there: the recorder makes both at its first start.
    #[error("there is no log here, though its key exists")]
    Gone,
    /// The log ends before a record that it had when its recorder last started.
    #[error("an older log is in its place: when the recorder last started it had record {seq}")]
    Older {
        /// The number of that record.
        seq: u64,
    },
    /// Another record had this number when the recorder last started.
    #[error(
        "another log is in its place: when the recorder last started this number was another record's"
    )]
    Other,
    /// The head's signature is not the log key's.
    #[error("the signature of the head is not the log key's")]
    HeadSignature,
}

/// Why a log cannot be called whole.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// It is not.
    #[error(transparent)]
    Broken(#[from] Broken),
    /// It cannot be read.
    #[error("cannot read {path}: {error}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Its head cannot be read.
    #[error(transparent)]
    Head(#[from] HeadError),
}
