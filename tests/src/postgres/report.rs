//! What came of it: a table for people, JSON for programs.

use std::fmt;

use serde::Serialize;
use serde_json::{Value, json};

/// What the server made of a statement that the gate allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It runs, and its plan is of listed tables.
    Runs,
    /// It fails for a reason that the gate does not judge.
    FailsAsListed,
    /// It fails otherwise, as for a missing right: the gate should have refused it.
    Fails,
    /// Its plan is of something else.
    Foreign,
}

/// One allowed statement.
#[derive(Debug, Serialize)]
pub struct Row {
    /// Its name in the corpus.
    pub id: String,
    /// What became of it.
    pub verdict: Verdict,
    /// Why, where it did not just run.
    pub why: Option<String>,
}

/// All of them.
#[derive(Debug)]
pub struct Report {
    /// The server's version.
    pub server: String,
    /// The allowed statements.
    pub rows: Vec<Row>,
    /// Refused statements that were explained as a role that may read everything.
    pub controls: usize,
    /// Of these, those whose plan is of something that is not listed.
    pub seen: usize,
}

impl Report {
    /// Whether each allowed statement keeps within the policy, and the judge can see one that does not.
    pub fn holds(&self) -> bool {
        let ran = self.count(Verdict::Runs);
        self.count(Verdict::Fails) + self.count(Verdict::Foreign) == 0 && ran > 0 && self.seen > 0
    }

    /// The report for programs.
    pub fn json(&self) -> Value {
        json!({
            "server": self.server,
            "rows": self.rows,
            "totals": {
                "allowed": self.rows.len(),
                "runs": self.count(Verdict::Runs),
                "fails_as_listed": self.count(Verdict::FailsAsListed),
                "fails": self.count(Verdict::Fails),
                "foreign": self.count(Verdict::Foreign),
                "controls": self.controls,
                "controls_foreign": self.seen,
            },
        })
    }

    fn count(&self, verdict: Verdict) -> usize {
        self.rows.iter().filter(|row| row.verdict == verdict).count()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for row in self.rows.iter().filter(|row| row.verdict != Verdict::Runs) {
            let why = row.why.as_deref().unwrap_or_default();
            writeln!(f, "{:<24} {:<16} {why}", row.id, format!("{:?}", row.verdict))?;
        }
        writeln!(
            f,
            "PostgreSQL {}: {} statements that the gate allows; {} run on listed tables alone, {} fail \
             for a listed reason, {} otherwise, {} touch something else",
            self.server,
            self.rows.len(),
            self.count(Verdict::Runs),
            self.count(Verdict::FailsAsListed),
            self.count(Verdict::Fails),
            self.count(Verdict::Foreign)
        )?;
        write!(
            f,
            "control: {} of {} refused statements would touch something else",
            self.seen, self.controls
        )
    }
}
