//! The proof that a log is whole, or the first record at which it is not.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::chain::{Chain, Fingerprint, Last};
use super::fault::{Broken, Fault, VerifyError};
use super::head::Head;
use super::mark::Mark;
use super::segments::{LINE_BYTES_MAX, Segment, segments};
use crate::call::Digest;

/// Where a record's attestation is: the only entry of this list.
const ATTESTATIONS: &str = "attestation_list";

/// A log that is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whole {
    /// How many records it has.
    pub records: u64,
    /// How many of them the signed head covers; `None` when it was read without the log key.
    pub signed: Option<u64>,
    /// The last record's fingerprint.
    pub fingerprint: Option<Digest>,
    /// How many files it has.
    pub segments: usize,
}

/// The end of a log, for whoever goes on with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tail {
    /// The last record.
    pub last: Option<Last>,
    /// The segment to go on with, and its length in bytes up to the last whole line.
    pub segment: Option<(Segment, u64)>,
    /// A last line that was not finished.
    pub torn: Vec<u8>,
}

/// What checks a signature of the log key: the bytes, and the signature in hexadecimal.
pub type Signed<'a> = &'a dyn Fn(&[u8], &str) -> bool;

/// Reads the whole log in `dir` and compares it with its head, whose signature `signed` checks
/// (bytes, hexadecimal signature). Without `signed` the head is compared and not believed. With a `mark` the log has
/// to have that record too. Nothing at all is no log: it proves nothing, and who deletes a log leaves that.
///
/// # Errors
/// [`VerifyError::Broken`] with the first record at which the log is not whole.
pub fn verify(
    dir: &Path,
    signed: Option<Signed<'_>>,
    mark: Option<Mark>,
) -> Result<Whole, VerifyError> {
    let all = match segments(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        all => all.map_err(|error| cannot_read(dir, error))?,
    };
    let mut walk = Walk::new(Head::read(dir)?, None, mark);
    for segment in &all {
        walk.segment(segment)?;
        if let Some(torn) = walk.torn.take() {
            return Err(torn.into());
        }
    }
    walk.end(dir, signed)?;
    if walk.next == 0 {
        let fault = if signed.is_some() { Fault::Gone } else { Fault::NoLog };
        return Err(walk.broken(fault).into());
    }
    Ok(Whole {
        records: walk.next,
        signed: signed.and(walk.head.as_ref()).map(|head| head.seq + 1),
        fingerprint: walk.last.map(|last| last.fingerprint),
        segments: all.len(),
    })
}

/// Reads the last segment of the log in `dir`, and of the one before only the last line: enough to
/// go on with the log. A last line that was not finished is no fault here, and neither is that there is nothing:
/// whoever goes on knows whether there ever was.
///
/// # Errors
/// As [`verify`], for what it reads.
pub fn verify_tail(
    dir: &Path,
    signed: Signed<'_>,
    mark: Option<Mark>,
) -> Result<Tail, VerifyError> {
    let all = segments(dir).map_err(|error| cannot_read(dir, error))?;
    let (before, last) = match all.as_slice() {
        [] => (None, None),
        [only] => (None, Some(only)),
        [.., before, last] => (Some(before), Some(last)),
    };
    let from = match before {
        Some(segment) => Some(last_of(segment)?),
        None => None,
    };
    let mut walk = Walk::new(Head::read(dir)?, from, mark);
    let mut torn = Vec::new();
    if let Some(segment) = last {
        torn = walk.segment(segment)?;
    }
    walk.end(dir, Some(signed))?;
    Ok(Tail { last: walk.last, segment: last.map(|segment| (segment.clone(), walk.offset)), torn })
}

/// A walk over the records in order.
struct Walk {
    head: Option<Head>,
    mark: Option<Mark>,
    last: Option<Last>,
    /// The chain's name, from the first record that was read.
    chain: Option<String>,
    next: u64,
    file: PathBuf,
    offset: u64,
    torn: Option<Broken>,
}

impl Walk {
    fn new(head: Option<Head>, from: Option<Last>, mark: Option<Mark>) -> Self {
        Self {
            head,
            mark,
            next: from.as_ref().map_or(0, |last| last.seq + 1),
            last: from,
            chain: None,
            file: PathBuf::new(),
            offset: 0,
            torn: None,
        }
    }

    /// Reads one segment; gives back the unfinished line at its end.
    fn segment(&mut self, segment: &Segment) -> Result<Vec<u8>, VerifyError> {
        self.file.clone_from(&segment.path);
        self.offset = 0;
        if segment.first != Some(self.next) {
            return Err(self.broken(Fault::Name).into());
        }
        let io = |error| cannot_read(&segment.path, error);
        let mut file = BufReader::new(File::open(&segment.path).map_err(io)?);
        let mut line = Vec::new();
        loop {
            line.clear();
            read_line(&mut file, &mut line).map_err(io)?;
            match line.last() {
                None => return Ok(line),
                Some(b'\n') => self.record(&line)?,
                Some(_) if line.len() > LINE_BYTES_MAX => {
                    return Err(self.broken(Fault::Long).into());
                }
                Some(_) => {
                    let bytes = line.len() as u64;
                    self.torn = Some(self.broken(Fault::Torn { bytes }));
                    return Ok(line);
                }
            }
        }
    }

    fn record(&mut self, line: &[u8]) -> Result<(), Broken> {
        let last = self.check(line).map_err(|fault| self.broken(fault))?;
        let head = self.head.as_ref().filter(|head| head.seq == last.seq);
        if head.is_some_and(|head| head.fingerprint != last.fingerprint) {
            return Err(self.broken(Fault::OtherHead));
        }
        let mark = self.mark.filter(|mark| mark.seq == last.seq);
        if mark.is_some_and(|mark| mark.fingerprint != last.fingerprint) {
            return Err(self.broken(Fault::Other));
        }
        self.next = last.seq + 1;
        self.last = Some(last);
        self.offset += line.len() as u64;
        Ok(())
    }

    /// The record of `line`, when it is the next of this chain.
    fn check(&mut self, line: &[u8]) -> Result<Last, Fault> {
        let text = &line[..line.len() - 1];
        let mut object: Map<String, Value> =
            serde_json::from_slice(text).map_err(|_| Fault::NotJson)?;
        let (attestation, found) = unseal(&mut object).ok_or(Fault::NoAttestation)?;
        let expected = seal(&mut object).map_err(|_| Fault::NotJson)?;
        if found != expected {
            return Err(Fault::Fingerprint { expected, found });
        }
        if canonical(&object).map_err(|_| Fault::NotJson)? != text {
            return Err(Fault::NotCanonical);
        }
        let object = Value::Object(object);
        let text_of = |name: &str| attestation[name].as_str().unwrap_or_default().to_owned();
        // All records are of one chain; the name of their host may change.
        let chain = self.chain.get_or_insert_with(|| text_of("chain_uid"));
        let at = Chain::new(chain.clone(), text_of("authority_uid"), self.last.clone());
        let uid = format!("{chain}/{}", self.next);
        if object["atf"]["seq"] != self.next
            || object["metadata"]["uid"] != uid.as_str()
            || attestation != json!(at.attestation())
        {
            let found = object["atf"]["seq"].to_string();
            return Err(Fault::NotNext { found });
        }
        Ok(Last { seq: self.next, uid, fingerprint: found })
    }

    /// Compares the end with the head, and with the mark when there is a record.
    fn end(&mut self, dir: &Path, signed: Option<Signed<'_>>) -> Result<(), Broken> {
        if self.file.as_os_str().is_empty() {
            self.file = dir.to_owned();
        }
        let Some(head) = &self.head else {
            let fault = self.broken(Fault::NoHead);
            let excused = self.next == 0 || signed.is_none();
            return if excused { self.marked() } else { Err(fault) };
        };
        let is_ours = |check: Signed<'_>| {
            check(&head.signed_bytes(), &head.signature)
                && self.chain.as_ref().is_none_or(|chain| *chain == head.chain)
        };
        if signed.is_some_and(|check| !is_ours(check)) {
            return Err(self.broken(Fault::HeadSignature));
        }
        if self.next <= head.seq {
            return Err(self.broken(Fault::Cut { head: head.seq }));
        }
        self.marked()
    }

    /// Whether the log, if there is one, has come as far as the mark.
    fn marked(&self) -> Result<(), Broken> {
        match self.mark {
            Some(mark) if self.next > 0 && self.next <= mark.seq => {
                Err(self.broken(Fault::Older { seq: mark.seq }))
            }
            _ => Ok(()),
        }
    }

    fn broken(&self, fault: Fault) -> Broken {
        Broken { seq: self.next, file: self.file.clone(), offset: self.offset, fault }
    }
}

/// Reads up to a newline, and never more than a record can be long.
fn read_line(file: &mut impl io::BufRead, line: &mut Vec<u8>) -> io::Result<()> {
    let limit = LINE_BYTES_MAX as u64 + 1;
    io::Read::take(file, limit).read_until(b'\n', line)?;
    Ok(())
}

/// The last record of a segment, as it says itself. The record after it proves it.
fn last_of(segment: &Segment) -> Result<Last, VerifyError> {
    let text = std::fs::read(&segment.path).map_err(|error| cannot_read(&segment.path, error))?;
    let lines = text.strip_suffix(b"\n").unwrap_or(&text);
    let start = lines.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
    read_last(&lines[start..]).ok_or_else(|| {
        let broken = Broken {
            seq: segment.first.unwrap_or_default(),
            file: segment.path.clone(),
            offset: start as u64,
            fault: Fault::NoAttestation,
        };
        broken.into()
    })
}

fn read_last(line: &[u8]) -> Option<Last> {
    let mut object: Map<String, Value> = serde_json::from_slice(line).ok()?;
    let (_, fingerprint) = unseal(&mut object)?;
    let object = Value::Object(object);
    Some(Last {
        seq: object["atf"]["seq"].as_u64()?,
        uid: object["metadata"]["uid"].as_str()?.to_owned(),
        fingerprint,
    })
}

/// Computes the fingerprint of `object`, whose attestation has none, and puts it in.
fn seal(object: &mut Map<String, Value>) -> Result<Digest, serde_json::Error> {
    let fingerprint = Digest::of(&canonical(object)?);
    object[ATTESTATIONS][0]["fingerprint"] = json!(Fingerprint::of(fingerprint));
    Ok(fingerprint)
}

/// Takes the fingerprint out of a record: its attestation without it, and what it says.
fn unseal(object: &mut Map<String, Value>) -> Option<(Value, Digest)> {
    let attestations = object.get_mut(ATTESTATIONS)?.as_array_mut()?;
    let [Value::Object(attestation)] = attestations.as_mut_slice() else {
        return None;
    };
    let fingerprint = attestation.remove("fingerprint")?;
    let digest = fingerprint.get("value")?.as_str()?.parse().ok()?;
    Some((Value::Object(attestation.clone()), digest))
}

/// The canonical form (JCS) of what somebody else may have written.
fn canonical(object: &Map<String, Value>) -> Result<Vec<u8>, serde_json::Error> {
    serde_json_canonicalizer::to_vec(object)
}

fn cannot_read(path: &Path, error: io::Error) -> VerifyError {
    VerifyError::Io { path: path.to_owned(), error }
}

#[cfg(test)]
#[path = "verify_tests.rs"]
mod tests;
