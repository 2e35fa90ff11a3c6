//! The decisions in a log, for who wants to know why or what if. It proves nothing; `verify` does.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use serde::Deserialize;

use super::event::Verdict;
use super::segments::segments;
use super::show::ShowError;
use crate::call::{DecisionId, Digest, RunId, Untrusted};

/// One decision, as far as the log says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// The record's number.
    pub seq: u64,
    /// When, in milliseconds since the epoch.
    pub time_unix_ms: u64,
    /// The log's chain.
    pub chain: String,
    /// The decision.
    pub decision: DecisionId,
    /// The run.
    pub run: RunId,
    /// The tool, the prompt, the resource, or else the method.
    pub target: Option<Untrusted>,
    /// The revision of the policy that judged, or would have.
    pub policy: Option<Digest>,
    /// The digest of what the policy was told and answered; absent when it was not asked, or that is not kept.
    pub hearing: Option<Digest>,
    /// What was decided.
    pub verdict: Verdict,
    /// Nanoseconds from the first byte judged to the decision.
    pub gate_ns: u64,
}

#[derive(Deserialize)]
struct Line {
    time: u64,
    metadata: Metadata,
    atf: Atf,
}

/// Names the record by its chain, a slash and its number.
#[derive(Deserialize)]
struct Metadata {
    uid: String,
}

#[derive(Deserialize)]
struct Atf {
    seq: u64,
    event: Told,
}

#[derive(Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Told {
    Decided {
        call: Box<Call>,
        verdict: Verdict,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Call {
    decision: DecisionId,
    run: RunId,
    method: Option<Untrusted>,
    tool: Option<Untrusted>,
    target: Option<Untrusted>,
    policy: Option<Digest>,
    hearing: Option<Digest>,
    #[serde(default)]
    gate_ns: u64,
}

/// Gives each decision of the log in `dir` to `each`, oldest first. Lines that are no records are passed
/// over: `verify` says where they are.
///
/// # Errors
/// When the log cannot be read.
pub fn decided(dir: &Path, mut each: impl FnMut(Decided)) -> Result<(), ShowError> {
    let error = |path: &Path, error| ShowError { path: path.to_owned(), error };
    for segment in segments(dir).map_err(|e| error(dir, e))? {
        let file = File::open(&segment.path).map_err(|e| error(&segment.path, e))?;
        for line in BufReader::new(file).split(b'\n') {
            let line = line.map_err(|e| error(&segment.path, e))?;
            let Ok(Line { time, metadata, atf: Atf { seq, event } }) =
                serde_json::from_slice(&line)
            else {
                continue;
            };
            let chain = metadata.uid.split('/').next().unwrap_or_default().to_owned();
            match event {
                Told::Decided { call, verdict } => each(Decided {
                    seq,
                    time_unix_ms: time,
                    chain,
                    decision: call.decision,
                    run: call.run,
                    target: call.tool.or(call.target).or(call.method),
                    policy: call.policy,
                    hearing: call.hearing,
                    verdict,
                    gate_ns: call.gate_ns,
                }),
                Told::Other => {}
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{Chain, Event, Process, Segment, samples};

    #[test]
    fn every_decision_is_found_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let mut chain = Chain::new("chain".into(), "host".into(), None);
        let mut log = b"not a record\n".to_vec();
        let mut expected = Vec::new();
        for event in samples::all() {
            log.extend(chain.append(&event, Process::Gateway, 1).unwrap().line);
            if let Event::Decided { call, verdict } = event {
                expected.push((call.decision, call.hearing, verdict.clone()));
            }
        }
        std::fs::write(Segment::at(dir.path(), 0).path, log).unwrap();
        let mut found = Vec::new();
        decided(dir.path(), |d| found.push((d.decision, d.hearing, d.verdict))).unwrap();
        assert!(expected.len() >= 2 && expected.iter().any(|(_, hearing, _)| hearing.is_some()));
        assert_eq!(found, expected);
    }
}
