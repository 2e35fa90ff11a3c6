//! The chain: each record carries its own fingerprint and the one before. A line of the log is the
//! canonical form (JCS, RFC 8785) of its object, so that every byte of it is under the fingerprint. Who verifies
//! does not count on how it is written here, and uses a canonicalizer.

use serde::Serialize;

use super::event::Event;
use super::ocsf::{self, Stamp};
use super::plain::{self, NotPlain};
use super::segments::LINE_BYTES_MAX;
use crate::call::Digest;

/// Room for a line, in bytes: most have less.
const LINE_BYTES: usize = 4 << 10;

/// The end of a chain: what the next record builds on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Last {
    /// The last record's number.
    pub seq: u64,
    /// Its `metadata.uid`.
    pub uid: String,
    /// Its fingerprint.
    pub fingerprint: Digest,
}

/// One chain, at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    uid: String,
    authority: String,
    last: Option<Last>,
}

/// A record that was made for the end of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// What the record after it builds on.
    pub last: Last,
    /// The line, with its newline.
    pub line: Vec<u8>,
}

/// Why an event has no place in the log.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// A line longer than shippers take.
    #[error("a record of {found} bytes is longer than the {LINE_BYTES_MAX} allowed")]
    Long {
        /// Its length.
        found: usize,
    },
    /// It has no canonical form.
    #[error("a record has no canonical JSON: {0}")]
    Plain(#[from] NotPlain),
}

impl Chain {
    /// The chain `uid` of the host `authority`, after `last`, or with no record yet.
    pub fn new(uid: String, authority: String, last: Option<Last>) -> Self {
        Self { uid, authority, last }
    }

    /// The name of the chain of the log key with this public half: so a chain names its key.
    pub fn uid_of_key(public_hex: &str) -> String {
        Digest::of(public_hex.as_bytes()).to_string()[..32].to_owned()
    }

    /// The chain's name.
    pub fn uid(&self) -> &str {
        &self.uid
    }

    /// The last record; `None` before the first.
    pub fn last(&self) -> Option<&Last> {
        self.last.as_ref()
    }

    /// The number of the next record.
    pub fn next_seq(&self) -> u64 {
        self.last.as_ref().map_or(0, |last| last.seq + 1)
    }

    /// Makes the record of `event` for the end of this chain, and moves the end behind it. Clone the
    /// chain before when the record may yet fail to be written.
    ///
    /// # Errors
    /// When the record is too long; the chain is as before.
    pub fn append(
        &mut self,
        event: &Event,
        reporter: super::Process,
        time_unix_ms: u64,
    ) -> Result<Link, LinkError> {
        let seq = self.next_seq();
        let uid = format!("{}/{seq}", self.uid);
        let stamp = Stamp { seq, uid: &uid, time_unix_ms, reporter };
        let attestation = self.attestation();
        let mut line = Vec::with_capacity(LINE_BYTES);
        ocsf::write(event, stamp, &[&attestation], &mut line)?;
        // Over the canonical form of everything but itself, as OCSF wants it.
        let fingerprint = Digest::of(&line);
        attestation.complete(fingerprint, &mut line)?;
        line.push(b'\n');
        if line.len() > LINE_BYTES_MAX {
            return Err(LinkError::Long { found: line.len() });
        }
        let last = Last { seq, uid, fingerprint };
        self.last = Some(last.clone());
        Ok(Link { last, line })
    }

    /// The attestation of the next record, without its fingerprint.
    pub(super) fn attestation(&self) -> Attestation<'_> {
        Attestation {
            authority_uid: &self.authority,
            chain_uid: &self.uid,
            fingerprint: None,
            prev_event: self.last.as_ref().map(|last| Previous {
                fingerprint: Fingerprint::of(last.fingerprint),
                uid: &last.uid,
            }),
        }
    }
}

/// What binds a record to the one before: the only entry of OCSF's `attestation_list`.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Attestation<'a> {
    authority_uid: &'a str,
    chain_uid: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    fingerprint: Option<Fingerprint>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prev_event: Option<Previous<'a>>,
}

#[derive(Debug, Clone, Serialize)]
struct Previous<'a> {
    fingerprint: Fingerprint,
    uid: &'a str,
}

impl Attestation<'_> {
    /// Puts the fingerprint in, in the record `line` that has this attestation without it.
    fn complete(mut self, fingerprint: Digest, line: &mut Vec<u8>) -> Result<(), NotPlain> {
        let (mut without, mut with) = (Vec::new(), Vec::new());
        plain::write(&self, &mut without)?;
        self.fingerprint = Some(Fingerprint::of(fingerprint));
        plain::write(&self, &mut with)?;
        // Its quotes are not escaped, so that it is no part of a text.
        let at = memchr::memmem::find(line, &without);
        let at = at.ok_or(NotPlain::Kind("another attestation"))?;
        line.splice(at..at + without.len(), with);
        Ok(())
    }
}

/// OCSF `fingerprint`: SHA-256 (3), hexadecimal (1), over the canonical JSON (JCS, 2).
#[derive(Debug, Clone, Serialize)]
pub(super) struct Fingerprint {
    algorithm: &'static str,
    algorithm_id: u32,
    encoding_id: u32,
    serialization: &'static str,
    serialization_id: u32,
    value: Digest,
}

impl Fingerprint {
    pub(super) fn of(value: Digest) -> Self {
        Self {
            algorithm: "SHA-256",
            algorithm_id: 3,
            encoding_id: 1,
            serialization: "JCS",
            serialization_id: 2,
            value,
        }
    }
}
