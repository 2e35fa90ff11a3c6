//! A database that somebody else writes, for tests: who wants to write it waits.

use std::path::Path;

use rusqlite::Connection;

/// Holds the database until it is dropped.
pub(crate) struct Busy(Connection);

impl Busy {
    /// Begins to write the database at `path`.
    pub(crate) fn hold(path: &Path) -> Self {
        let held = Connection::open(path).unwrap();
        held.execute_batch("BEGIN IMMEDIATE").unwrap();
        Self(held)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.execute_batch("ROLLBACK").unwrap();
    }
}
