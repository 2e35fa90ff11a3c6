//! `atf policy replay` and `diff`: what a draft would change, in decisions and in words.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use super::super::args::{Output, ReplayArguments};
use super::super::audit::time;
use super::super::output;
use super::super::{EXIT_NO, EXIT_OK};
use super::recorded::{Past, Unknown};
use crate::audit::Decided;
use crate::call::{Digest, Untrusted};
use crate::config::Config;
use crate::gate::{self, Answer, Change, Difference, Pins, Policy};

/// The answer of `replay`.
#[derive(Debug, Serialize)]
pub(super) struct Replayed {
    /// The draft's revision.
    draft: Digest,
    /// Decisions of the log that were looked at.
    pub(super) decisions: u64,
    /// Of these, the draft was told what the policy was told.
    pub(super) replayed: u64,
    /// Of these, it answered the same.
    pub(super) same: u64,
    /// Decided before any policy was asked; pins and tokens decide those.
    pub(super) not_asked: u64,
    /// Where the draft answers otherwise.
    pub(super) changed: Vec<Changed>,
    /// Of which it cannot be said what the draft would answer.
    pub(super) unknown: Vec<NotReplayed>,
}

#[derive(Debug, Serialize)]
pub(super) struct Changed {
    pub(super) seq: u64,
    time_unix_ms: u64,
    decision: String,
    run: String,
    target: Option<Untrusted>,
    pub(super) change: Change,
    was: Answer,
    now: Answer,
}

#[derive(Debug, Serialize)]
pub(super) struct NotReplayed {
    pub(super) seq: u64,
    decision: String,
    why: String,
}

pub(super) fn of(config: &Config, wanted: &ReplayArguments) -> anyhow::Result<u8> {
    let past = Past::of(config, wanted.log.as_deref());
    let found = replayed(&past, &Policy::read(&wanted.dir)?, wanted.last)?;
    match wanted.output {
        Output::Json => output::json(&found)?,
        Output::Text => show(&found)?,
    }
    Ok(if found.changed.is_empty() && found.unknown.is_empty() { EXIT_OK } else { EXIT_NO })
}

/// Asks `draft` again what the policy was asked at the last so many decisions.
pub(super) fn replayed(
    past: &Past,
    draft: &Policy,
    last: Option<usize>,
) -> anyhow::Result<Replayed> {
    let decisions = past.last(last)?;
    let mut found = Replayed {
        draft: draft.revision(),
        decisions: decisions.len() as u64,
        replayed: 0,
        same: 0,
        not_asked: 0,
        changed: Vec::new(),
        unknown: Vec::new(),
    };
    let heard = past.heard(&decisions)?;
    for (decided, heard) in decisions.into_iter().zip(heard) {
        match heard {
            Ok(heard) => {
                found.replayed += 1;
                match gate::replay(draft, &heard) {
                    (_, None) => found.same += 1,
                    (now, Some(change)) => {
                        found.changed.push(changed(decided, change, heard.answer(), now));
                    }
                }
            }
            Err(Unknown::NotAsked) => found.not_asked += 1,
            Err(unknown) => found.unknown.push(NotReplayed {
                seq: decided.seq,
                decision: decided.decision.to_string(),
                why: unknown.to_string(),
            }),
        }
    }
    Ok(found)
}

fn changed(decided: Decided, change: Change, was: Answer, now: Answer) -> Changed {
    Changed {
        seq: decided.seq,
        time_unix_ms: decided.time_unix_ms,
        decision: decided.decision.to_string(),
        run: decided.run.to_string(),
        target: decided.target,
        change,
        was,
        now,
    }
}

fn show(found: &Replayed) -> anyhow::Result<()> {
    let rows: Vec<[String; 5]> = found
        .changed
        .iter()
        .map(|changed| {
            [
                changed.seq.to_string(),
                time(changed.time_unix_ms),
                changed.target.as_ref().map(ToString::to_string).unwrap_or_default(),
                said(&changed.was),
                said(&changed.now),
            ]
        })
        .collect();
    if !rows.is_empty() {
        output::table(["SEQ", "UTC", "WHAT", "WAS", "WOULD BE"], &rows)?;
    }
    for unknown in &found.unknown {
        output::line(&format!("record {}: not replayed: {}", unknown.seq, unknown.why))?;
    }
    output::line(&format!(
        "{} decisions: {} replayed ({} the same, {} changed), {} not the policy's, {} unknown",
        found.decisions,
        found.replayed,
        found.same,
        found.changed.len(),
        found.not_asked,
        found.unknown.len()
    ))
}

fn said(answer: &Answer) -> String {
    let text = match (&answer.error, answer.allow) {
        (Some(error), _) => format!("error: {error}"),
        (None, true) => format!("allow {}", answer.obligations),
        (None, false) => answer.reasons.join(", "),
    };
    Untrusted::from(text).to_string()
}

/// What differs between the policies and the pins in two directories.
pub(super) fn diff(first: &Path, second: &Path, form: Output) -> anyhow::Result<u8> {
    let mut all = gate::differences(first, second)?;
    let (before, after) = (pins(first)?, pins(second)?);
    let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
    names.sort();
    names.dedup();
    for name in names {
        let (before, after) = (before.get(name).cloned(), after.get(name).cloned());
        if before != after {
            let file = format!("tools/{name}.json");
            all.push(Difference { file, what: "pin".to_owned(), before, after });
        }
    }
    match form {
        Output::Json => output::json(&all)?,
        Output::Text => {
            for Difference { file, what, before, after } in &all {
                let name = Untrusted::from(format!("{file} {what}"));
                for (sign, text) in [("-", before), ("+", after)] {
                    if let Some(text) = text {
                        output::line(&format!(
                            "{sign} {name}: {}",
                            Untrusted::from(text.as_str())
                        ))?;
                    }
                }
            }
            output::line(&format!("{} differences", all.len()))?;
        }
    }
    Ok(if all.is_empty() { EXIT_OK } else { EXIT_NO })
}

/// The pins of the policy in `dir`: what they allow is in their files, what counts is whether they are the
/// same.
fn pins(dir: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let tools = dir.join("tools");
    if !tools.exists() {
        return Ok(BTreeMap::new());
    }
    let pins = Pins::read(&tools)?;
    Ok(pins.iter().map(|pin| (pin.name().to_string(), pin.digest().to_string())).collect())
}
