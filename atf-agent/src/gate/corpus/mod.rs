//! Judges files of labelled cases by the gate's own steps, so that it can be measured on cases that it
//! has not seen. Pure: the caller opens and decompresses the file. `docs/CORPORA.md` has the formats.

mod jsonrpc;
mod jwt;
mod sql;

#[cfg(test)]
mod labelled;

pub use jsonrpc::jsonrpc;
pub use jwt::jwt;
pub use sql::{ledger, sql};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

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

impl CorpusReport {
    /// Whether rows were judged, and each as it is labelled.
    #[must_use]
    pub fn is_right(&self) -> bool {
        self.right > 0 && self.false_allow.is_empty() && self.false_deny.is_empty()
    }
}

/// A corpus that cannot be judged.
#[derive(Debug, thiserror::Error)]
pub enum CorpusError {
    /// A line is not a case.
    #[error("line {line} is not a case of this corpus: {error}; docs/CORPORA.md has the format")]
    Line {
        /// The line, counted from 1.
        line: usize,
        /// What the reader found.
        error: serde_json::Error,
    },
    /// A case cannot be put to the gate.
    #[error("line {line} cannot be judged: {detail}")]
    Case {
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with the case.
        detail: String,
    },
}

/// One line: the label, and what is judged.
#[derive(Deserialize)]
struct Labelled<C> {
    id: String,
    expect: Label,
    #[serde(default)]
    policy_choice: bool,
    #[serde(flatten)]
    case: C,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Label {
    Allow,
    Deny,
    Ambiguous,
}

/// Puts each line to `allowed`, which says whether the gate lets the case pass, or why it cannot be
/// asked. Rows with `"policy_choice": true` or `"expect": "ambiguous"` are skipped.
fn run<C: DeserializeOwned>(
    lines: impl Iterator<Item = String>,
    mut allowed: impl FnMut(C) -> Result<bool, String>,
) -> Result<CorpusReport, CorpusError> {
    let mut report = CorpusReport::default();
    for (line, text) in (1..).zip(lines) {
        let row: Labelled<C> =
            serde_json::from_str(&text).map_err(|error| CorpusError::Line { line, error })?;
        report.cases += 1;
        let expected = match row.expect {
            Label::Allow if !row.policy_choice => true,
            Label::Deny if !row.policy_choice => false,
            Label::Allow | Label::Deny | Label::Ambiguous => {
                report.skipped += 1;
                continue;
            }
        };
        let found = allowed(row.case).map_err(|detail| CorpusError::Case { line, detail })?;
        match (found, expected) {
            (true, true) | (false, false) => report.right += 1,
            (true, false) => report.false_allow.push(row.id),
            (false, true) => report.false_deny.push(row.id),
        }
    }
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Passes {
        passes: bool,
    }

    fn judge(rows: &[&str]) -> Result<CorpusReport, CorpusError> {
        run(rows.iter().map(|row| (*row).to_owned()), |case: Passes| Ok(case.passes))
    }

    #[test]
    fn each_row_is_counted_once_and_each_mistake_is_named() {
        let report = judge(&[
            r#"{"id":"a","expect":"allow","passes":true}"#,
            r#"{"id":"b","expect":"deny","passes":false,"why":"not read"}"#,
            r#"{"id":"c","expect":"deny","passes":true}"#,
            r#"{"id":"d","expect":"allow","passes":false}"#,
            r#"{"id":"e","expect":"ambiguous","passes":false}"#,
            r#"{"id":"f","expect":"deny","passes":true,"policy_choice":true}"#,
        ])
        .unwrap();
        let expected = CorpusReport {
            cases: 6,
            right: 2,
            false_allow: vec!["c".to_owned()],
            false_deny: vec!["d".to_owned()],
            skipped: 2,
        };
        assert_eq!(report, expected);
        assert!(!report.is_right());
    }

    #[test]
    fn a_file_without_a_judged_row_proves_nothing() {
        assert!(!judge(&[]).unwrap().is_right());
        assert!(!judge(&[r#"{"id":"a","expect":"ambiguous","passes":true}"#]).unwrap().is_right());
        assert!(judge(&[r#"{"id":"a","expect":"allow","passes":true}"#]).unwrap().is_right());
    }

    #[test]
    fn a_line_that_is_no_case_is_named() {
        let good = r#"{"id":"a","expect":"allow","passes":true}"#;
        for bad in [
            "",
            "{",
            r#"{"id":"a","expect":"allow"}"#,
            r#"{"id":"a","expect":"maybe","passes":true}"#,
            r#"{"expect":"allow","passes":true}"#,
            r#"{"id":"a","expect":"allow","passes":true} x"#,
        ] {
            let error = judge(&[good, bad]).unwrap_err();
            assert!(matches!(error, CorpusError::Line { line: 2, .. }), "{bad}: {error}");
        }
    }

    #[test]
    fn a_case_that_cannot_be_asked_is_an_error_and_no_denial() {
        let rows = [r#"{"id":"a","expect":"deny","passes":true}"#.to_owned()];
        let error = run(rows.into_iter(), |_: Passes| Err("no key".to_owned())).unwrap_err();
        assert_eq!(error.to_string(), "line 1 cannot be judged: no key");
    }
}
