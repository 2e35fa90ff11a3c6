//! Rows for each rule, a real SQLite, hostile depth and random text.

mod aliases;
mod depth;
mod language;
mod random;
mod resources;
mod rows;
mod sqlite;
mod structure;
mod writes;
mod written;

use super::{Dialect, SqlFacts, SqlProfile, SqlRefusal, check};
use crate::gate::corpus::ledger;

const ALL: [Dialect; 4] = [Dialect::Postgres, Dialect::Mysql, Dialect::Sqlite, Dialect::Generic];

/// The ledger's policy for one dialect.
fn ledger_of(dialect: Dialect) -> SqlProfile {
    SqlProfile { dialect, ..ledger() }
}

fn judge(dialect: Dialect, sql: &str) -> Result<SqlFacts, SqlRefusal> {
    check(sql, &ledger_of(dialect))
}
