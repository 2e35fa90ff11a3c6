//! What the recorder is asked and answers.

use serde::{Deserialize, Serialize};

use crate::audit::Event;
use crate::call::{Digest, Untrusted};

/// What the recorder is asked. Any of ATF's processes may ask.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case", deny_unknown_fields)]
pub enum RecorderRequest {
    /// Append one record. Answered when it is durable, or, with `durable` false, when it is queued.
    Append {
        /// What happened. Boxed: an event is large beside the other variants.
        event: Box<Event>,
        /// Wait for the disk.
        durable: bool,
        /// The JSON of the [`PermitBody`] that the event allows, byte for byte as it will be signed,
        /// for a receipt that stands for it. The recorder holds it against the event.
        permit: Option<String>,
    },
}

/// What the recorder answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case", deny_unknown_fields)]
pub enum RecorderReply {
    /// It is in the log.
    Recorded {
        /// Proof for the executor; only a record with a permit has one.
        receipt: Option<Receipt>,
    },
    /// It is not, and why: the disk is full, the log is broken.
    Refused {
        /// What stood in the way.
        why: Untrusted,
    },
}

/// The recorder's proof that the record of a permit is in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// The record's number, from zero, without gaps.
    pub seq: u64,
    /// The record's fingerprint.
    pub fingerprint: Digest,
    /// The digest of the permit that the record names.
    pub permit: Digest,
    /// True when the record was on the disk before the receipt was signed, false when it was only
    /// queued. Signed too, so that the one cannot pass for the other.
    pub durable: bool,
    /// Ed25519 signature (RFC 8032) by the log key over [`Receipt::signed_bytes`], in hexadecimal.
    pub signature: String,
}

impl Receipt {
    /// The bytes that the log key signs: a domain word, the number, the fingerprint, the permit,
    /// and whether it was on the disk.
    pub fn signed_bytes(&self) -> Vec<u8> {
        format!(
            "atf-receipt-v1\n{}\n{}\n{}\n{}\n",
            self.seq,
            self.fingerprint,
            self.permit,
            if self.durable { "durable" } else { "queued" }
        )
        .into_bytes()
    }
}
