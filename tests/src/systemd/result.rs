//! The rows, kept over the boots, and the report that they make.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::{output, say};

/// Where the rows wait for the next boot.
const KEPT: &str = "/var/lib/suite.json";

/// One row: something that is promised, and what was seen.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Row {
    /// Its stable name.
    id: String,
    /// What is promised.
    promise: String,
    /// What happens without what the promise rests on: the control. `null` where there is none.
    without: Option<String>,
    /// What was seen.
    with: String,
    /// Whether the promise was kept.
    kept: bool,
}

/// What was seen of one promise.
pub(super) struct Seen {
    /// The control: what happened, and whether it could.
    pub(super) without: Option<(String, bool)>,
    /// What happened, and whether it is what was promised.
    pub(super) with: (String, bool),
}

impl Seen {
    /// A promise without a control.
    pub(super) fn alone(with: impl Into<String>, kept: bool) -> Self {
        Self { without: None, with: (with.into(), kept) }
    }
}

/// All rows so far.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Rows {
    boots: u32,
    rows: Vec<Row>,
}

/// The report as it is published.
#[derive(Serialize)]
struct Report<'a> {
    kernel: String,
    systemd: String,
    rows: &'a [Row],
    kept: usize,
    broken: usize,
}

/// What is handed to the caller.
#[derive(Serialize)]
pub(super) struct Shown<'a> {
    report: Report<'a>,
    table: String,
    complaints: Vec<String>,
}

impl Rows {
    /// Those of the boots before this one.
    pub(super) fn open() -> Result<Self> {
        let mut rows = match Path::new(KEPT).exists() {
            true => serde_json::from_str(&fs::read_to_string(KEPT)?).context(KEPT)?,
            false => Self::default(),
        };
        rows.boots += 1;
        Ok(rows)
    }

    /// Which boot this is, from 1 on.
    pub(super) fn boot(&self) -> u32 {
        self.boots
    }

    /// Keeps them for the next boot.
    pub(super) fn keep(&self) -> Result<()> {
        fs::write(KEPT, serde_json::to_string(self)?)?;
        rustix::fs::sync();
        Ok(())
    }

    /// Adds a row. What could not be tried was not kept, and neither is a promise whose control could
    /// not happen: it shows nothing.
    pub(super) fn check(&mut self, id: &str, promise: &str, tried: impl FnOnce() -> Result<Seen>) {
        say(id);
        let (without, (with, kept)) = match tried() {
            Ok(seen) => (seen.without, seen.with),
            Err(error) => (None, (format!("{error:#}"), false)),
        };
        let possible = without.as_ref().is_none_or(|(_, could)| *could);
        let row = Row {
            id: id.to_owned(),
            promise: promise.to_owned(),
            without: without.map(|(what, _)| what),
            with,
            kept: kept && possible,
        };
        if !row.kept {
            say(&format!("{id}: {} | {}", row.without.as_deref().unwrap_or("-"), row.with));
        }
        self.rows.push(row);
    }

    /// The report.
    pub(super) fn shown(&self) -> Shown<'_> {
        let kept = self.rows.iter().filter(|row| row.kept).count();
        let broken = self.rows.len() - kept;
        let version = output(std::process::Command::new("systemctl").arg("--version"));
        let report = Report {
            kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
            systemd: version.unwrap_or_default().split(' ').nth(1).unwrap_or("?").to_owned(),
            rows: &self.rows,
            kept,
            broken,
        };
        let complain = |row: &Row| format!("{}: {}: {}", row.id, row.promise, row.with);
        let complaints = self.rows.iter().filter(|row| !row.kept).map(complain).collect();
        Shown { table: table(&report), report, complaints }
    }
}

fn table(report: &Report<'_>) -> String {
    let mut lines = vec![["row", "without", "with systemd and ATF", "verdict"].map(str::to_owned)];
    for row in report.rows {
        let verdict = if row.kept { "kept" } else { "BROKEN" };
        let without = row.without.clone().unwrap_or_else(|| "-".to_owned());
        lines.push([row.id.clone(), without, row.with.clone(), verdict.to_owned()]);
    }
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max();
    let widths: Vec<usize> = (0..4).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = format!("Linux {}, systemd {}\n\n", report.kernel, report.systemd);
    for line in &lines {
        let padded = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        text.push_str(padded.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    let Report { kept, broken, .. } = report;
    text.push_str(&format!("\n{} promises: {kept} kept, {broken} broken\n", lines.len() - 1));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_promise_whose_control_cannot_happen_is_not_kept() {
        let mut rows = Rows::default();
        for (could, kept) in [(true, true), (false, true), (true, false)] {
            let without = Some(("without".to_owned(), could));
            rows.check("row", "promise", || Ok(Seen { without, with: ("with".into(), kept) }));
        }
        rows.check("row", "promise", || anyhow::bail!("not tried"));
        rows.check("row", "promise", || Ok(Seen::alone("with", true)));
        let kept: Vec<bool> = rows.rows.iter().map(|row| row.kept).collect();
        assert_eq!(kept, [true, false, false, false, true]);
        assert_eq!(rows.shown().complaints.len(), 3);
    }
}
