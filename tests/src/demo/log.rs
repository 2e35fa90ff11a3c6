//! What the log says. The records are read from its files: what `atf audit` makes of them is the
//! product's, and here the product is on trial.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use atf_common::vector::Vector;
use serde_json::Value;

/// The log of an installation.
pub(crate) struct Log {
    folder: PathBuf,
}

/// How long a record may take from the act to the file: the kernel's events come through a ring.
const LATE_MAX: Duration = Duration::from_secs(5);

impl Log {
    /// The log in this folder.
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Every event, in the order of the log.
    pub(crate) fn events(&self) -> Result<Vec<Value>> {
        let entries = fs::read_dir(&self.folder)
            .with_context(|| format!("no log at {}", self.folder.display()))?;
        let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        files.sort();
        let mut events = Vec::new();
        for file in files.iter().filter(|file| file.is_file()) {
            let bytes = fs::read(file)?;
            let lines = bytes.split(|byte| *byte == b'\n');
            let records = lines.filter_map(|line| serde_json::from_slice::<Value>(line).ok());
            events.extend(records.filter_map(event));
        }
        Ok(events)
    }

    /// The first event that `wanted` says yes to, waiting a little for it.
    pub(crate) fn first(&self, wanted: impl Fn(&Value) -> bool) -> Result<Option<Value>> {
        let began = Instant::now();
        loop {
            if let Some(found) = self.events()?.into_iter().find(&wanted) {
                return Ok(Some(found));
            }
            if began.elapsed() > LATE_MAX {
                return Ok(None);
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Layer and name of the vector at which a kernel program first denied something to this run.
    pub(crate) fn first_denial(&self, run: &str) -> Result<Option<(char, String)>> {
        let registered = |event: &Value| is(event, "run_registered") && event["run"] == run;
        let registered = self.first(registered)?.context("the run is not in the log")?;
        let denied = |event: &Value| {
            is(event, "kernel_denied")
                && event["cgroup"] == registered["cgroup"]
                && event["vector"].as_str().is_some_and(|vector| !vector.starts_with(LAYER_C))
        };
        // The run's own counters say whether there is an event to wait for.
        let ended = self.first(|event| is(event, "run_ended") && event["run"] == run)?;
        let found = if ended.is_some_and(|event| denials(&event) > 0) {
            self.first(denied)?
        } else {
            self.events()?.into_iter().find(denied)
        };
        let vector = found.and_then(|event| Some(event["vector"].as_str()?.to_owned()));
        Ok(vector.map(|name| (layer_of(&name), name)))
    }
}

/// Whether an event is of this kind.
pub(crate) fn is(event: &Value, kind: &str) -> bool {
    event["event"] == kind
}

/// A number of the log, which writes those beyond 2^53 as text (RFC 8785, ECMAScript numbers).
pub(crate) fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// ATF's own words in an OCSF record.
fn event(mut record: Value) -> Option<Value> {
    let event = record.get_mut("atf")?.get_mut("event")?.take();
    event.is_object().then_some(event)
}

/// The system call filter of a run among its vectors, and how the single calls' vectors begin.
const LAYER_C: &str = "seccomp";

/// What the kernel programs counted as denied: the second of each vector's six numbers.
fn denials(ended: &Value) -> u64 {
    let vectors = ended["kernel"].as_array().map(Vec::as_slice).unwrap_or_default();
    let of_a_program = |vector: &&Value| vector[0] != LAYER_C;
    vectors.iter().filter(of_a_program).filter_map(|vector| number(&vector[1][1])).sum()
}

/// The layer of a vector.
pub(crate) fn layer_of(vector: &str) -> char {
    let known = Vector::ALL.iter().find(|known| known.name() == vector);
    known.map_or('?', |known| known.layer())
}
