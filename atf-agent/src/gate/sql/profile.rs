//! What a tool's pinned schema says about its SQL argument: its `x-atf-sql` object.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::grants::{DeleteGrant, InsertGrant, UpdateGrant};
use super::second;

/// Which database will read the statement. Fixed by the operator, never guessed (R1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    /// PostgreSQL, with `standard_conforming_strings` on (its default).
    Postgres,
    /// MySQL and MariaDB.
    Mysql,
    /// SQLite.
    Sqlite,
    /// Not known: only what all three read alike.
    Generic,
}

/// The one reader of a pass; [`Dialect::Generic`] makes three passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Engine {
    Postgres,
    Mysql,
    Sqlite,
}

/// What a statement may name and how much it may ask for. What is not named is refused.
///
/// Names are written as the database stores them: lower case in PostgreSQL unless they were created
/// in quotes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SqlProfile {
    /// The database that reads the statement.
    pub dialect: Dialect,
    /// The tables, each with its readable columns.
    pub tables: BTreeMap<String, Vec<String>>,
    /// Whether a SELECT is allowed at all.
    #[serde(default = "yes")]
    pub select: bool,
    /// The tables into which rows may be inserted.
    #[serde(default)]
    pub insert: BTreeMap<String, InsertGrant>,
    /// The tables of which rows may be changed.
    #[serde(default)]
    pub update: BTreeMap<String, UpdateGrant>,
    /// The tables of which rows may be removed.
    #[serde(default)]
    pub delete: BTreeMap<String, DeleteGrant>,
    /// The functions, by their plain name.
    #[serde(default)]
    pub functions: BTreeSet<String>,
    /// Whether the outermost query must have a LIMIT.
    #[serde(default = "yes")]
    pub limit_required: bool,
    /// Greatest LIMIT, in rows.
    #[serde(default = "limit_max")]
    pub limit_max: u64,
    /// Greatest OFFSET, in rows: skipped rows cost as much as returned ones.
    #[serde(default = "offset_max")]
    pub offset_max: u64,
    /// Joins in the whole statement, those by comma included.
    #[serde(default = "joins_max")]
    pub joins_max: u32,
    /// Of these, joins without a condition: each multiplies the rows.
    #[serde(default = "cross_joins_max")]
    pub cross_joins_max: u32,
    /// Queries within queries, counting the outermost as one.
    #[serde(default = "query_depth_max")]
    pub query_depth_max: u32,
    /// SELECTs in the whole statement: set operation branches, sub-queries, CTEs.
    #[serde(default = "selects_max")]
    pub selects_max: u32,
    /// Entries of one list: IN, select list, function arguments.
    #[serde(default = "list_max")]
    pub list_max: usize,
    /// Whether the grammar of PostgreSQL has to read the same in what is allowed (R14). For the dialect
    /// `postgres`, by a build with the feature `second-parser`.
    #[serde(default)]
    pub second_parser: bool,
    /// What is sent in the place of the text that came (R13); nothing is unless it is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rewrite: Option<Rewrite>,
}

/// What is sent instead of the text that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rewrite {
    /// The print of the judged tree: one spelling of words, white space and literals.
    Canonical,
}

impl SqlProfile {
    /// Whether what it lets a statement write can be held, and what it asks for can be done.
    ///
    /// # Errors
    /// Which grant or wish cannot, and why.
    pub fn check(&self) -> Result<(), String> {
        if self.second_parser && self.dialect != Dialect::Postgres {
            return Err("second_parser: there is one for the dialect postgres alone".to_owned());
        }
        if self.second_parser && !second::IS_BUILT {
            let message = "second_parser: this atf was built without it (feature second-parser)";
            return Err(message.to_owned());
        }
        let inserts = self.insert.iter().map(|(table, grant)| ("insert", table, grant.fault()));
        let updates = self.update.iter().map(|(table, grant)| ("update", table, grant.fault()));
        let deletes = self.delete.iter().map(|(table, grant)| ("delete", table, grant.fault()));
        for (class, table, fault) in inserts.chain(updates).chain(deletes) {
            if let Some(fault) = fault {
                return Err(format!("{class}.{table}: {fault}"));
            }
        }
        Ok(())
    }

    /// A profile that lists nothing, for the generic dialect, with the default caps.
    pub fn empty() -> Self {
        Self {
            dialect: Dialect::Generic,
            tables: BTreeMap::new(),
            select: yes(),
            insert: BTreeMap::new(),
            update: BTreeMap::new(),
            delete: BTreeMap::new(),
            functions: BTreeSet::new(),
            limit_required: yes(),
            limit_max: limit_max(),
            offset_max: offset_max(),
            joins_max: joins_max(),
            cross_joins_max: cross_joins_max(),
            query_depth_max: query_depth_max(),
            selects_max: selects_max(),
            list_max: list_max(),
            second_parser: false,
            rewrite: None,
        }
    }
}

fn yes() -> bool {
    true
}

/// A page of rows that a model can still read.
fn limit_max() -> u64 {
    1_000
}

/// A hundred pages of the greatest LIMIT.
fn offset_max() -> u64 {
    100_000
}

/// Reports join four to six relations; beyond that planners slow down.
fn joins_max() -> u32 {
    8
}

/// One to pair two relations by a WHERE, one for a lookup of a single row.
fn cross_joins_max() -> u32 {
    2
}

/// A CTE with a derived table with a correlated sub-query, and one to spare.
fn query_depth_max() -> u32 {
    5
}

/// Sixteen branches or sub-queries; honest statements of the measured sets have at most five.
fn selects_max() -> u32 {
    16
}

/// Values that a model copies from an earlier page.
fn list_max() -> usize {
    500
}
