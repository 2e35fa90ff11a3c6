//! Rows for each rule, a real SQLite, hostile depth and random text.

mod aliases;
mod depth;
mod honest;
mod keyed;
mod language;
mod random;
mod reports;
mod resources;
mod rewrite;
mod rows;
mod second;
mod sqlite;
mod structure;
mod wildcards;
mod words;
mod writes;
mod written;

use super::{Dialect, SqlFacts, SqlProfile, SqlRefusal, check};
use crate::gate::corpus::ledger;

const ALL: [Dialect; 4] = [Dialect::Postgres, Dialect::Mysql, Dialect::Sqlite, Dialect::Generic];

/// The ledger's policy for one dialect. A build that has the second parser asks it of every row, so that it
/// is seen to refuse nothing that the rules allow.
fn ledger_of(dialect: Dialect) -> SqlProfile {
    let second_parser = dialect == Dialect::Postgres && cfg!(feature = "second-parser");
    SqlProfile { dialect, second_parser, ..ledger() }
}

fn judge(dialect: Dialect, sql: &str) -> Result<SqlFacts, SqlRefusal> {
    rewrite::both(sql, &ledger_of(dialect))
}
