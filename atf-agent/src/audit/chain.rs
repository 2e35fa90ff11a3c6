//! The chain: each record carries its own fingerprint and the one before. A line of the log is the
//! canonical form (JCS, RFC 8785) of its object, so that every byte of it is under the fingerprint.

use serde_json::{Map, Value, json};

use super::event::Event;
use super::ocsf::{self, Stamp};
use super::segments::LINE_BYTES_MAX;
use crate::call::Digest;

/// Where a record's attestation is: the only entry of OCSF's `attestation_list`.
const ATTESTATIONS: &str = "attestation_list";

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
    Json(#[from] serde_json::Error),
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
        let stamp = Stamp { seq, time_unix_ms, reporter };
        let mut object = ocsf::object(event, stamp);
        let uid = format!("{}/{seq}", self.uid);
        object["metadata"]["uid"] = json!(uid);
        object.insert(ATTESTATIONS.to_owned(), json!([self.attestation()]));
        let fingerprint = seal(&mut object, plain_form)?;
        let mut line = plain_form(&object)?;
        line.push(b'\n');
        if line.len() > LINE_BYTES_MAX {
            return Err(LinkError::Long { found: line.len() });
        }
        let last = Last { seq, uid, fingerprint };
        self.last = Some(last.clone());
        Ok(Link { last, line })
    }

    /// The attestation of the next record, without its fingerprint.
    pub(super) fn attestation(&self) -> Value {
        let mut attestation = json!({
            "authority_uid": self.authority,
            "chain_uid": self.uid,
        });
        if let Some(last) = &self.last {
            attestation["prev_event"] = json!({
                "uid": last.uid,
                "fingerprint": fingerprint_object(last.fingerprint),
            });
        }
        attestation
    }
}

/// The canonical form of a record of ours. A map of `serde_json` is in the order of its keys, which are
/// ASCII here, and texts and the integers that a record may have are written as JCS wants them: in a
/// seventh of a canonicalizer's time. Who verifies does not count on that, and uses one.
fn plain_form(object: &Map<String, Value>) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(object)
}

/// What makes the canonical form of an object.
type Form = fn(&Map<String, Value>) -> Result<Vec<u8>, serde_json::Error>;

/// Computes the fingerprint of `object`, whose attestation has none yet, and puts it in. It is over
/// the canonical form of everything but itself, as OCSF wants it.
pub(super) fn seal(
    object: &mut Map<String, Value>,
    canonical: Form,
) -> Result<Digest, serde_json::Error> {
    let fingerprint = Digest::of(&canonical(object)?);
    object[ATTESTATIONS][0]["fingerprint"] = fingerprint_object(fingerprint);
    Ok(fingerprint)
}

/// Takes the attestation out of a record: its object, and what the fingerprint says.
pub(super) fn unseal(object: &mut Map<String, Value>) -> Option<(Value, Digest)> {
    let attestations = object.get_mut(ATTESTATIONS)?.as_array_mut()?;
    let [Value::Object(attestation)] = attestations.as_mut_slice() else {
        return None;
    };
    let fingerprint = attestation.remove("fingerprint")?;
    let digest = fingerprint.get("value")?.as_str()?.parse().ok()?;
    Some((Value::Object(attestation.clone()), digest))
}

/// OCSF `fingerprint`: SHA-256 (3), hexadecimal (1), over the canonical JSON (JCS, 2).
fn fingerprint_object(digest: Digest) -> Value {
    json!({
        "algorithm_id": 3,
        "algorithm": "SHA-256",
        "encoding_id": 1,
        "serialization_id": 2,
        "serialization": "JCS",
        "value": digest,
    })
}
