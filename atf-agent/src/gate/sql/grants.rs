//! What a profile lets a statement write: by class of statement and by table, and never more than is
//! named. A table that is not there is not written.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// New rows of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InsertGrant {
    /// The columns that may be given a value.
    pub columns: BTreeSet<String>,
    /// Most rows of one statement.
    #[serde(default = "one")]
    pub rows_max: u64,
}

/// Changes of rows that are named by their key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpdateGrant {
    /// The columns that may be changed.
    pub set: BTreeSet<String>,
    /// The columns that together name one row: a primary key, or a unique one without NULLs.
    pub key: BTreeMap<String, KeyKind>,
    /// Most rows of one statement.
    #[serde(default = "one")]
    pub rows_max: u64,
}

/// Removal of rows that are named by their key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeleteGrant {
    /// The columns that together name one row, as for [`UpdateGrant::key`].
    pub key: BTreeMap<String, KeyKind>,
    /// Most rows of one statement.
    #[serde(default = "one")]
    pub rows_max: u64,
}

/// What the values of a key's column are. A literal of another kind is refused: MySQL finds each text
/// that is no number by `name = 0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyKind {
    /// Digits.
    Integer,
    /// A text in single quotes.
    Text,
}

/// One row at a time, unless the operator says otherwise.
fn one() -> u64 {
    1
}

impl InsertGrant {
    /// What is wrong with it, if anything.
    pub(super) fn fault(&self) -> Option<&'static str> {
        fault(self.columns.is_empty(), self.rows_max)
    }
}

impl UpdateGrant {
    /// What is wrong with it, if anything.
    pub(super) fn fault(&self) -> Option<&'static str> {
        fault(self.set.is_empty() || self.key.is_empty(), self.rows_max).or_else(|| {
            let moves =
                self.key.keys().any(|key| self.set.iter().any(|set| set.eq_ignore_ascii_case(key)));
            moves
                .then_some("a column of the key may be set; a row is then found under another name")
        })
    }
}

impl DeleteGrant {
    /// What is wrong with it, if anything.
    pub(super) fn fault(&self) -> Option<&'static str> {
        fault(self.key.is_empty(), self.rows_max)
    }
}

fn fault(names_nothing: bool, rows_max: u64) -> Option<&'static str> {
    if names_nothing {
        return Some("it names no column");
    }
    (rows_max == 0).then_some("rows_max is 0; leave the table out instead")
}
