//! What the recorder does before it listens: the log key, the end of the log, and what was torn.

use std::fs::File;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::FlockOperation;

use super::disk::Disk;
use super::heads::Heads;
use super::receipts::Receipts;
use super::writer::{Job, Log};
use super::{RecorderError, Settings};
use crate::audit::{self, Chain, Event, Process};
use crate::call::Digest;
use crate::identity::{SigningKey, VerifyingKey};
use crate::state::files;
use crate::wire::Places;

/// Opens the log, to be written behind its end.
pub(super) fn open(places: &Places, settings: &Settings) -> Result<Log, RecorderError> {
    let dir = places.log_dir();
    for dir in [&dir, &places.runtime("recorder")] {
        make(dir)?;
    }
    let alone = lock(&dir)?;
    let key = log_key(places)?;
    let public = VerifyingKey::from_hex(&key.public_hex())
        .map_err(|error| RecorderError::Key { path: places.log_key(), error })?;
    let receipts = Receipts::start().map_err(RecorderError::Receipts)?;
    for (path, key) in
        [(places.log_key(), key.public_hex()), (places.receipt_key(), receipts.public().hex())]
    {
        files::publish(&path, format!("{key}\n").as_bytes())?;
    }
    let tail =
        audit::verify_tail(&dir, &|bytes, signature| public.verify(bytes, signature).is_ok())?;
    let disk = Disk::open(&dir, &tail, settings.segment_bytes_max).map_err(|error| {
        RecorderError::Io { what: "go on with the log in", path: dir.clone(), error }
    })?;
    let chain = Chain::new(Chain::uid_of_key(&key.public_hex()), host(), tail.last.clone());
    Ok(Log {
        first: first_events(&chain, &key, &tail.torn),
        much: None,
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
    pub(super) fn begin(&mut self) {
        let event = |event| Job { event, reporter: Process::Recorder, permit: None, durable: true };
        let first = std::mem::take(&mut self.first).into_iter().map(event).collect();
        self.commit(first);
    }
}

fn first_events(chain: &Chain, key: &SigningKey, torn: &[u8]) -> Vec<Event> {
    let mut events = vec![Event::Started {
        facts: vec![
            ("version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
            ("chain".to_owned(), chain.uid().to_owned()),
            ("log_key".to_owned(), key.public_hex()),
        ],
    }];
    if !torn.is_empty() {
        tracing::warn!(bytes = torn.len(), "the last record was torn and is cut off");
        events.push(Event::Finding {
            name: "log.torn".to_owned(),
            run: None,
            detail: format!(
                "{} bytes after the last whole record, sha256 {}",
                torn.len(),
                Digest::of(torn)
            )
            .into(),
        });
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
    let dir = File::open(dir).map_err(failed)?;
    rustix::fs::flock(&dir, FlockOperation::NonBlockingLockExclusive)
        .map_err(|error| failed(error.into()))?;
    Ok(dir)
}

/// The log key: kept for the life of the log, made at the first start.
fn log_key(places: &Places) -> Result<SigningKey, RecorderError> {
    let path = places.state("recorder").join("log.key");
    let bad = |error| RecorderError::Key { path: path.clone(), error };
    if let Some(pkcs8) = files::read_secret(&path)? {
        return SigningKey::from_pkcs8(&pkcs8).map_err(bad);
    }
    let key = SigningKey::generate().map_err(bad)?;
    files::keep_secret(&path, &key.pkcs8())?;
    Ok(key)
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
