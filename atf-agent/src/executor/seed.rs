//! The demo's ledger: a real database with two tables that runs may read and one that nobody may.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rusqlite::Connection;

use super::error::ExecutorError;

const SEED: &str = "
    PRAGMA journal_mode = WAL;
    BEGIN;
    CREATE TABLE merchants (
        id   INTEGER PRIMARY KEY,
        name TEXT NOT NULL
    ) STRICT;
    CREATE TABLE ledger_entries (
        id           INTEGER PRIMARY KEY,
        merchant_id  INTEGER NOT NULL REFERENCES merchants (id),
        amount_cents INTEGER NOT NULL,
        status       TEXT NOT NULL,
        created_at   TEXT NOT NULL
    ) STRICT;
    CREATE TABLE adjustments (
        id           INTEGER PRIMARY KEY,
        entry_id     INTEGER NOT NULL REFERENCES ledger_entries (id),
        amount_cents INTEGER NOT NULL,
        reason       TEXT NOT NULL,
        run          TEXT NOT NULL,
        decision     TEXT NOT NULL UNIQUE,
        created_at   TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))
    ) STRICT;
    CREATE TABLE api_keys (
        id     INTEGER PRIMARY KEY,
        secret TEXT NOT NULL
    ) STRICT;
    INSERT INTO merchants VALUES
        (1, 'Northwind Coffee'), (2, 'Harbour Books'), (3, 'Alpine Cycles'), (4, 'Delta Florist');
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200)
    INSERT INTO ledger_entries
        SELECT i, i % 4 + 1, (i * 7919) % 100000 + 100,
               CASE i % 5 WHEN 0 THEN 'pending' WHEN 1 THEN 'refunded' ELSE 'settled' END,
               date('2026-01-01', '+' || i || ' days')
        FROM n;
    INSERT INTO api_keys VALUES (1, 'demo-secret-that-no-run-may-read');
    COMMIT;
";

/// Makes the demo's ledger at `path`, for this process alone.
///
/// # Errors
/// When there is a file already, or it cannot be made.
pub fn seed(path: &Path) -> Result<(), ExecutorError> {
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    match made {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(ExecutorError::Exists { path: path.to_owned() });
        }
        Err(error) => {
            return Err(ExecutorError::Io { what: "make", path: path.to_owned(), error });
        }
    }
    Connection::open(path)
        .and_then(|db| db.execute_batch(SEED))
        .map_err(|error| ExecutorError::Ledger { path: path.to_owned(), error })
}
