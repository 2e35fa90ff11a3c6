//! What an allowed statement does, for the policy and the log.

use std::collections::BTreeSet;

use serde::Serialize;

/// The class of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// One SELECT that changes nothing.
    Select,
    /// One INSERT of counted rows.
    Insert,
    /// One UPDATE of rows that are named by their key.
    Update,
    /// One DELETE of rows that are named by their key.
    Delete,
}

/// The facts of an allowed statement. Names are the profile's spelling.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SqlFacts {
    /// What kind of statement it is.
    pub class: Class,
    /// The tables that it reads or writes.
    pub tables: BTreeSet<String>,
    /// The columns that it reads, as `table.column`.
    pub columns: BTreeSet<String>,
    /// The columns that it writes, as `table.column`.
    pub written: BTreeSet<String>,
    /// The functions that it calls.
    pub functions: BTreeSet<String>,
    /// The outermost LIMIT, in rows.
    pub limit: Option<u64>,
    /// The outermost OFFSET, in rows.
    pub offset: Option<u64>,
    /// Most rows that it gives or changes; `None` for a SELECT that has no LIMIT.
    pub rows: Option<u64>,
}

impl SqlFacts {
    pub(super) fn of_a_select() -> Self {
        Self {
            class: Class::Select,
            tables: BTreeSet::new(),
            columns: BTreeSet::new(),
            written: BTreeSet::new(),
            functions: BTreeSet::new(),
            limit: None,
            offset: None,
            rows: None,
        }
    }
}
