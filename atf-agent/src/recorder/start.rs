//! What the recorder does before it listens: the log key, the end of the log, and what was torn.

use std::fs::File;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use super::disk::Disk;
use super::heads::Heads;
use super::known;
use super::receipts::Receipts;
use super::writer::{Job, Log};
use super::{RecorderError, Settings};
use crate::audit::{self, Chain, Event, Mark, Process, Tail};
use crate::call::Digest;
use crate::identity::{SigningKey, VerifyingKey};
use crate::state::files;
use crate::wire::{Places, RecorderReply};

/// Opens the log, to be written behind its end.
pub(super) fn open(places: &Places, settings: &Settings) -> Result<Log, RecorderError> {
    let dir = places.log_dir();
    for dir in [&dir, &places.runtime("recorder")] {
        make(dir)?;
    }
    let alone = lock(&dir)?;
    let (key, made_now) = log_key(places)?;
    let public = VerifyingKey::from_hex(&key.public_hex())
        .map_err(|error| RecorderError::Key { path: places.log_key(), error })?;
    let receipts = Receipts::start().map_err(RecorderError::Receipts)?;
    for (path, key) in
        [(places.log_key(), key.public_hex()), (places.receipt_key(), receipts.public().hex())]
    {
        files::publish(&path, format!("{key}\n").as_bytes())?;
    }
    // A key that is made now has had no log.
    let mark = if made_now { None } else { known::mark(places)? };
    let signed = |bytes: &[u8], signature: &str| public.verify(bytes, signature).is_ok();
    let tail = audit::verify_tail(&dir, &signed, mark)?;
    let disk = Disk::open(&dir, &tail, settings.segment_bytes_max).map_err(|error| {
        RecorderError::Io { what: "go on with the log in", path: dir.clone(), error }
    })?;
    let chain = Chain::new(Chain::uid_of_key(&key.public_hex()), host(), tail.last.clone());
    Ok(Log {
        first: first_events(&chain, &key, &tail, (!made_now).then_some(mark)),
        whole: true,
        heads: Heads::start(dir, key),
        receipts,
        _alone: alone,
        chain,
        disk,
    })
}

impl Log {
    /// Writes what this start has to say.
    pub(super) fn begin(&mut self, places: &Places) {
        let event = |event| Job { event, reporter: Process::Recorder, permit: None, durable: true };
        let first = std::mem::take(&mut self.first).into_iter().map(event).collect();
        let replies = self.commit(first);
        let recorded = replies.iter().all(|r| matches!(r, RecorderReply::Recorded { .. }));
        if let Some(last) = self.chain.last().filter(|_| recorded) {
            known::keep(places, last);
        }
    }
}

/// What this start found. With a log key of an earlier start comes the mark of it, if there is one.
fn first_events(
    chain: &Chain,
    key: &SigningKey,
    tail: &Tail,
    earlier: Option<Option<Mark>>,
) -> Vec<Event> {
    let mut events = vec![Event::Started {
        facts: vec![
            ("version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
            ("chain".to_owned(), chain.uid().to_owned()),
            ("log_key".to_owned(), key.public_hex()),
        ],
    }];
    let mut find = |name: &str, detail: String| {
        let (name, detail) = (name.to_owned(), detail.into());
        events.push(Event::Finding { name, run: None, detail });
    };
    if let (None, Some(mark)) = (&tail.last, earlier) {
        let had = match mark {
            Some(mark) => format!("at the last start it had record {}", mark.seq),
            None => "or the first start ended before its first record".to_owned(),
        };
        tracing::error!("the log is gone, though its key is here; {had}");
        find("log.gone", format!("no record here, though the log key was; {had}"));
    }
    let torn = &tail.torn;
    if !torn.is_empty() {
        tracing::warn!(bytes = torn.len(), "the last record was torn and is cut off");
        let (bytes, digest) = (torn.len(), Digest::of(torn));
        find("log.torn", format!("{bytes} bytes after the last whole record, sha256 {digest}"));
    }
    events
}

/// Two recorders would write two chains into one log. Held until the log is closed.
fn lock(dir: &Path) -> Result<File, RecorderError> {
    let failed = |error| RecorderError::Io {
        what: "lock (does another recorder run?)",
        path: dir.to_owned(),
        error,
    };
    files::alone(dir).map_err(failed)
}

/// The log key, and whether it is made now: kept for the life of the log, made at the first start.
fn log_key(places: &Places) -> Result<(SigningKey, bool), RecorderError> {
    let path = known::secret(places);
    let bad = |error| RecorderError::Key { path: path.clone(), error };
    if let Some(pkcs8) = files::read_secret(&path)? {
        return SigningKey::from_pkcs8(&pkcs8).map(|key| (key, false)).map_err(bad);
    }
    let key = SigningKey::generate().map_err(bad)?;
    files::keep_secret(&path, &key.pkcs8())?;
    Ok((key, true))
}

fn make(dir: &Path) -> Result<(), RecorderError> {
    std::fs::create_dir_all(dir).map_err(|error| RecorderError::Io {
        what: "make the directory",
        path: dir.to_owned(),
        error,
    })
}

/// The host's name, as the authority of its records.
fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Milliseconds since the epoch; 0 when the clock stands before it.
pub(super) fn now_unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
