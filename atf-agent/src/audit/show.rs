//! What the log says, as rows for people and scripts. It proves nothing; `verify` does.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;

use super::segments::segments;
use crate::call::{RunId, Untrusted};

/// Which records to show.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only those of this run.
    pub run: Option<RunId>,
    /// Only refusals, seals, kernel denials and findings.
    pub denied: bool,
    /// Only what the kernel programs would have denied, and let through.
    pub observed: bool,
    /// Only the last so many that pass the others.
    pub last: Option<usize>,
}

/// One record, ready to print: every text in it escapes itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Its number.
    pub seq: u64,
    /// When, in milliseconds since the epoch.
    pub time_unix_ms: u64,
    /// Who told it.
    pub reporter: Untrusted,
    /// What kind of event it is.
    pub event: Untrusted,
    /// The run, when it names one.
    pub run: Option<Untrusted>,
    /// The rest of it: names and values.
    pub fields: Vec<(Untrusted, Untrusted)>,
    /// The whole record, as it is in the log.
    #[serde(skip)]
    pub record: Value,
}

/// What was shown, and how many lines were no records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Shown {
    /// The rows, oldest first.
    pub rows: Vec<Row>,
    /// Lines that could not be read: `verify` says where.
    pub unread: u64,
}

/// Why nothing can be shown.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the log {path}: {error}")]
pub struct ShowError {
    pub(super) path: PathBuf,
    pub(super) error: io::Error,
}

/// The records of the log in `dir` that pass `filter`, oldest first.
///
/// # Errors
/// When the log cannot be read.
pub fn show(dir: &Path, filter: &Filter) -> Result<Shown, ShowError> {
    let error = |path: &Path, error| ShowError { path: path.to_owned(), error };
    let mut rows = VecDeque::new();
    let mut unread = 0;
    // The kernel knows a run by its cgroup alone; the registration says which run that is.
    let mut runs = HashMap::new();
    for segment in segments(dir).map_err(|e| error(dir, e))? {
        let file = File::open(&segment.path).map_err(|e| error(&segment.path, e))?;
        for line in BufReader::new(file).split(b'\n') {
            let line = line.map_err(|e| error(&segment.path, e))?;
            let Some(mut row) = row(&line) else {
                unread += 1;
                continue;
            };
            let cgroup = row.record["atf"]["event"]["cgroup"].as_u64();
            match (&row.run, cgroup) {
                (Some(run), Some(cgroup)) => drop(runs.insert(cgroup, run.clone())),
                (None, Some(cgroup)) => row.run = runs.get(&cgroup).cloned(),
                (_, None) => {}
            }
            if !passes(&row, filter) {
                continue;
            }
            rows.push_back(row);
            if filter.last.is_some_and(|last| rows.len() > last) {
                rows.pop_front();
            }
        }
    }
    Ok(Shown { rows: rows.into(), unread })
}

fn passes(row: &Row, filter: &Filter) -> bool {
    let run = filter.run.map(|run| run.to_string());
    run.is_none_or(|run| row.run.as_ref().is_some_and(|found| found.raw() == run))
        && (!filter.denied || is_denial(row))
        && (!filter.observed || is_observed(row))
}

/// What would have been denied.
fn is_observed(row: &Row) -> bool {
    match row.event.raw() {
        "decided" => row.record["atf"]["event"]["verdict"]["enforced"] == false,
        event => event == "kernel_observed",
    }
}

fn is_denial(row: &Row) -> bool {
    match row.event.raw() {
        "decided" => row.record["atf"]["event"]["verdict"]["verdict"] == "refused",
        event => matches!(event, "sealed" | "kernel_denied" | "finding"),
    }
}

/// The row of one line.
fn row(line: &[u8]) -> Option<Row> {
    let record: Value = serde_json::from_slice(line).ok()?;
    let atf = &record["atf"];
    let event = atf["event"].as_object()?;
    let mut fields = Vec::new();
    for (name, value) in event {
        flatten(name, value, &mut fields);
    }
    let take = |fields: &mut Vec<(Untrusted, Untrusted)>, name: &str| {
        let at = fields.iter().position(|(found, _)| found.raw() == name)?;
        Some(fields.remove(at).1)
    };
    let kind = take(&mut fields, "event")?;
    let run = take(&mut fields, "run").or_else(|| take(&mut fields, "call.run"));
    Some(Row {
        seq: atf["seq"].as_u64()?,
        time_unix_ms: record["time"].as_u64()?,
        reporter: atf["reporter"].as_str()?.into(),
        event: kind,
        run,
        fields,
        record,
    })
}

/// `name` and what is in it as `name.inner` and text; absent values are left out.
fn flatten(name: &str, value: &Value, fields: &mut Vec<(Untrusted, Untrusted)>) {
    let text = match value {
        Value::Null => return,
        Value::Object(inner) => {
            for (inner, value) in inner {
                flatten(&format!("{name}.{inner}"), value, fields);
            }
            return;
        }
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    fields.push((name.into(), text.into()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{Chain, Event, Process, Segment, samples};

    #[test]
    fn rows_are_filtered_by_run_denial_and_number() {
        let dir = tempfile::tempdir().unwrap();
        let mut chain = Chain::new("chain".into(), "host".into(), None);
        let other = RunId::random();
        let released = Event::Released { run: other, uid: 0 };
        let mut log = Vec::new();
        for event in samples::all().iter().chain([&released]) {
            log.extend(chain.append(event, Process::Gateway, 1).unwrap().line);
        }
        log.extend(b"not a record\n");
        std::fs::write(Segment::at(dir.path(), 0).path, log).unwrap();

        let shown = |filter: Filter| show(dir.path(), &filter).unwrap();
        let all = shown(Filter::default());
        assert_eq!((all.rows.len(), all.unread), (samples::all().len() + 1, 1));
        for (filter, count) in [
            (Filter { run: Some(other), ..Filter::default() }, 1),
            (Filter { run: Some(RunId::random()), ..Filter::default() }, 0),
            (Filter { denied: true, ..Filter::default() }, 5),
            (Filter { observed: true, ..Filter::default() }, 1),
            (Filter { denied: true, observed: true, ..Filter::default() }, 0),
            (Filter { last: Some(2), ..Filter::default() }, 2),
        ] {
            assert_eq!(shown(filter.clone()).rows.len(), count, "{filter:?}");
        }
        let refused = shown(Filter { denied: true, ..Filter::default() });
        let printed = refused.rows[0].fields.iter().map(|(n, v)| format!("{n}={v} "));
        let printed: String = printed.collect();
        assert!(printed.contains("verdict.reason=message.invalid"), "{printed}");
        assert!(printed.contains("\\u{1b}[2J") && !printed.contains('\u{1b}'), "{printed}");
    }
}
