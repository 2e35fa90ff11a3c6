//! The file behind the caps: an SQLite database of one writer with a row for each live run that spent
//! something or was refused. It adds nothing up; what is written is a whole total.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, params};

use crate::call::RunId;

/// The version of the schema, in SQLite's `user_version`.
const SCHEMA_VERSION: i64 = 1;

const SCHEMA: &str = "
    CREATE TABLE counts (
        run         TEXT PRIMARY KEY,
        spent_cents INTEGER NOT NULL,
        refusals    INTEGER NOT NULL
    ) STRICT;
    PRAGMA user_version = 1;
";

/// Why the counts of the runs cannot be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum CountsError {
    /// SQLite says no.
    #[error("the runs' counts failed: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The file cannot be made.
    #[error("cannot make the runs' counts {path}: {error}; the directory must be the gateway's")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Of another release.
    #[error(
        "the runs' counts have schema {found}, expected {SCHEMA_VERSION}; were they made by a later release?"
    )]
    Version {
        /// What the file says.
        found: i64,
    },
    /// A row is not what was written.
    #[error("the runs' counts are damaged: a run is {found:?}")]
    Damaged {
        /// What it holds.
        found: String,
    },
}

/// The counts of the live runs.
#[derive(Debug)]
pub(super) struct Counts(Connection);

impl Counts {
    /// Opens the file at `path`, or makes it, readable by this process alone.
    pub(super) fn open(path: &Path) -> Result<Self, CountsError> {
        OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)
            .map_err(|error| CountsError::Io { path: path.to_owned(), error })?;
        let db = Connection::open(path)?;
        db.pragma_update(None, "journal_mode", "WAL")?;
        // Each commit waits for the disk: what is counted outlives a power cut too.
        db.pragma_update(None, "synchronous", "FULL")?;
        let found: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        match found {
            0 => db.execute_batch(&format!("BEGIN IMMEDIATE; {SCHEMA} COMMIT;"))?,
            SCHEMA_VERSION => {}
            found => return Err(CountsError::Version { found }),
        }
        Ok(Self(db))
    }

    /// Each run, the cents that it spent or reserved, and its refusals.
    pub(super) fn all(&self) -> Result<Vec<(RunId, u64, u64)>, CountsError> {
        let mut rows = self.0.prepare("SELECT run, spent_cents, refusals FROM counts")?;
        let mut rows = rows.query([])?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            let found: String = row.get(0)?;
            let Ok(run) = found.parse() else {
                return Err(CountsError::Damaged { found });
            };
            let (spent, refusals): (i64, i64) = (row.get(1)?, row.get(2)?);
            all.push((run, spent.cast_unsigned(), refusals.cast_unsigned()));
        }
        Ok(all)
    }

    /// Writes the totals of `run`; on the disk when this returns.
    pub(super) fn write(&self, run: RunId, spent: u64, refusals: u64) -> Result<(), CountsError> {
        let mut write = self.0.prepare_cached(
            "INSERT INTO counts (run, spent_cents, refusals) VALUES (?1, ?2, ?3)
             ON CONFLICT (run) DO UPDATE SET spent_cents = ?2, refusals = ?3",
        )?;
        write.execute(params![run.to_string(), spent.cast_signed(), refusals.cast_signed()])?;
        Ok(())
    }

    /// Removes the row of `run`.
    pub(super) fn remove(&self, run: RunId) -> Result<(), CountsError> {
        self.0.prepare_cached("DELETE FROM counts WHERE run = ?1")?.execute([run.to_string()])?;
        Ok(())
    }
}
