//! Judges a file of labelled statements, so that the gate can be measured on cases that it has not
//! seen. Pure: the caller opens and decompresses the file.
//!
//! One JSON object a line: `id`, `dialect` (postgres, mysql, sqlite, generic), `sql`, `expect`
//! (allow, deny, ambiguous). Rows with `"policy_choice": true` or `"expect": "ambiguous"` are
//! skipped; other fields are not read.

use serde::{Deserialize, Serialize};

use super::{Dialect, SqlProfile, check};

/// What the gate made of a corpus.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CorpusReport {
    /// Rows, the skipped ones included.
    pub cases: usize,
    /// Rows judged as they are labelled.
    pub right: usize,
    /// Ids of rows that the gate should have refused.
    pub false_allow: Vec<String>,
    /// Ids of rows that the gate should have allowed.
    pub false_deny: Vec<String>,
    /// Rows that have no label to judge by.
    pub skipped: usize,
}

/// A corpus that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CorpusError {
    /// A line is not a case.
    #[error("line {line} is not a case: {error}; expected an object with id, dialect, sql, expect")]
    Line {
        /// The line, counted from 1.
        line: usize,
        /// What the reader found.
        error: serde_json::Error,
    },
}

#[derive(Deserialize)]
struct Case {
    id: String,
    dialect: Dialect,
    sql: String,
    expect: Label,
    #[serde(default)]
    policy_choice: bool,
}

#[derive(Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Label {
    Allow,
    Deny,
    Ambiguous,
}

/// Judges each line under the profile, with the row's dialect in place of the profile's.
///
/// # Errors
/// [`CorpusError::Line`] at the first line that is not a case.
pub fn run(
    lines: impl Iterator<Item = String>,
    profile: &SqlProfile,
) -> Result<CorpusReport, CorpusError> {
    let mut profile = profile.clone();
    let mut report = CorpusReport::default();
    for (place, line) in lines.enumerate() {
        let case: Case = serde_json::from_str(&line)
            .map_err(|error| CorpusError::Line { line: place + 1, error })?;
        report.cases += 1;
        if case.policy_choice || case.expect == Label::Ambiguous {
            report.skipped += 1;
            continue;
        }
        profile.dialect = case.dialect;
        match (check(&case.sql, &profile).is_ok(), case.expect == Label::Allow) {
            (true, true) | (false, false) => report.right += 1,
            (true, false) => report.false_allow.push(case.id),
            (false, true) => report.false_deny.push(case.id),
        }
    }
    Ok(report)
}

/// The policy that the labels of the ledger corpora assume: two tables, eight functions, a LIMIT of
/// 1,000 at most.
pub fn ledger() -> SqlProfile {
    let columns = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    SqlProfile {
        dialect: Dialect::Generic,
        tables: [
            (
                "ledger_entries".to_owned(),
                columns(&["id", "merchant_id", "amount_cents", "status", "created_at"]),
            ),
            ("merchants".to_owned(), columns(&["id", "name"])),
        ]
        .into(),
        functions: [
            "count",
            "sum",
            "avg",
            "min",
            "max",
            "lower",
            "upper",
            "date_trunc",
            "coalesce",
        ]
        .map(str::to_owned)
        .into(),
        ..SqlProfile::empty()
    }
}
