//! The report: its rows, its totals, and what in it must not be.

use std::collections::BTreeMap;

use serde::Serialize;

use super::table;

/// What became of one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Stopped under ATF, and not stopped without it. Of a promise: kept.
    Closed,
    /// Not even possible here without ATF, so it shows nothing.
    Vacuous,
    /// Not stopped, and `atf doctor` says so beforehand.
    NotCovered,
    /// Not stopped, or a promise not kept.
    Escaped,
}

/// One row.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// Its stable name.
    pub id: String,
    /// What it is, for people.
    pub vector: String,
    /// What happened without ATF; `null` where there is nothing to compare with.
    pub without: Option<String>,
    /// What happened under ATF; `null` when it was not tried.
    pub with: Option<String>,
    /// Layer and hook, or step and reason.
    pub stopped_by: Option<String>,
    /// Microseconds of what was denied; `null` where it does not apply or times mean nothing.
    pub us: Option<f64>,
    /// What happened under each layer alone, where that was tried.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub layers: BTreeMap<char, String>,
    /// What happened inside the other sandbox, where that was tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beside: Option<String>,
    /// Of random calls: how many of each kind ended how.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub calls: BTreeMap<String, BTreeMap<String, u64>>,
    /// What became of it; `null` when only the control was run.
    pub verdict: Option<Verdict>,
    /// Why the verdict is a bad one, or the control not possible: for people.
    #[serde(skip)]
    pub note: Option<String>,
}

/// How many rows had which verdict.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// All rows.
    pub attempts: usize,
    /// See [`Verdict::Closed`].
    pub closed: usize,
    /// See [`Verdict::Vacuous`].
    pub vacuous: usize,
    /// See [`Verdict::NotCovered`].
    pub not_covered: usize,
    /// See [`Verdict::Escaped`].
    pub escaped: usize,
}

/// The report as it is published.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The kernel's release.
    pub kernel: String,
    /// The posture; `null` when only the controls were run.
    pub posture: Option<String>,
    /// The rows.
    pub rows: Vec<Row>,
    /// Their totals.
    pub totals: Totals,
}

/// What is handed to the caller: the report, the same as a table, and everything in it that must
/// not be. No complaint is the only success.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Shown {
    /// The report.
    pub report: Report,
    /// For people.
    pub table: String,
    /// For the exit status.
    pub complaints: Vec<String>,
}

impl Row {
    /// A row of which only the name is known.
    pub(super) fn new(id: &str, vector: &str) -> Self {
        Self {
            id: id.to_owned(),
            vector: vector.to_owned(),
            without: None,
            with: None,
            stopped_by: None,
            us: None,
            layers: BTreeMap::new(),
            beside: None,
            calls: BTreeMap::new(),
            verdict: None,
            note: None,
        }
    }

    /// The row, or, when it could not even be tried, a promise that was not kept: one part that fails
    /// shall not hide what the others show.
    pub(super) fn or_failed(id: &str, vector: &str, tried: anyhow::Result<Self>) -> Self {
        tried.unwrap_or_else(|error| Self::new(id, vector).promise(false, format!("{error:#}")))
    }

    /// A promise that was kept or not; `note` says what was seen.
    pub(super) fn promise(mut self, kept: bool, note: impl Into<String>) -> Self {
        self.verdict = Some(if kept { Verdict::Closed } else { Verdict::Escaped });
        if !kept {
            self.note = Some(note.into());
        }
        self
    }
}

impl Shown {
    /// Counts, and complains of everything that escaped and of every difference between the rows
    /// that are not covered and `promised`, what `atf doctor` lists.
    pub(super) fn new(
        kernel: String,
        posture: Option<String>,
        mut rows: Vec<Row>,
        promised: Vec<String>,
        timed: bool,
    ) -> Self {
        if !timed {
            rows.iter_mut().for_each(|row| row.us = None);
        }
        let complaints = complaints(&rows, &promised);
        let totals = totals(&rows);
        let report = Report { kernel, posture, rows, totals };
        Self { table: table::render(&report), report, complaints }
    }
}

/// The release of the running kernel.
pub(super) fn kernel() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}

fn totals(rows: &[Row]) -> Totals {
    let count = |verdict| rows.iter().filter(|row| row.verdict == Some(verdict)).count();
    Totals {
        attempts: rows.len(),
        closed: count(Verdict::Closed),
        vacuous: count(Verdict::Vacuous),
        not_covered: count(Verdict::NotCovered),
        escaped: count(Verdict::Escaped),
    }
}

fn complaints(rows: &[Row], promised: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for row in rows {
        let note = row.note.as_deref().unwrap_or("no more is known");
        let open = row.verdict == Some(Verdict::NotCovered);
        if row.verdict == Some(Verdict::Escaped) {
            found.push(format!("{}: escaped: {note}", row.id));
        } else if !open && promised.contains(&row.id) {
            found.push(format!(
                "{}: atf doctor lists it as not covered, and it is not open",
                row.id
            ));
        }
    }
    let known = |id: &&String| !rows.iter().any(|row| row.id == **id);
    let unknown = promised.iter().filter(known);
    found.extend(unknown.map(|id| format!("{id}: atf doctor lists it, and nothing tries it")));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: &str, verdict: Verdict) -> Row {
        Row { verdict: Some(verdict), ..Row::new(id, "") }
    }

    #[test]
    fn only_what_the_doctor_lists_may_be_open() {
        for (verdict, promised, complaints_expected) in [
            (Verdict::Closed, &[][..], 0),
            (Verdict::Vacuous, &[], 0),
            (Verdict::NotCovered, &["x"], 0),
            (Verdict::Escaped, &[], 1),
            (Verdict::Escaped, &["x"], 1),
            (Verdict::Closed, &["x"], 1),
            (Verdict::Closed, &["y"], 1),
        ] {
            let promised: Vec<String> = promised.iter().map(|id| (*id).to_owned()).collect();
            let found = complaints(&[row("x", verdict)], &promised);
            assert_eq!(found.len(), complaints_expected, "{verdict:?} {promised:?}: {found:?}");
        }
    }

    #[test]
    fn no_time_is_reported_under_emulation() {
        let timed = Row { us: Some(1.0), ..row("x", Verdict::Closed) };
        for (measured, us) in [(true, Some(1.0)), (false, None)] {
            let shown = Shown::new("6.1".into(), None, vec![timed.clone()], Vec::new(), measured);
            assert_eq!(shown.report.rows[0].us, us);
        }
    }
}
