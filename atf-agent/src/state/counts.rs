//! The file behind the caps: an SQLite database of one writer with a row for each live run that spent
//! something or was refused. It adds nothing up; what is written is a whole total.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, params};

use super::shared::{Party, Spent, Total, is_kept};
use crate::call::RunId;

/// The version of the schema, in SQLite's `user_version`.
const SCHEMA_VERSION: i64 = 2;

const SCHEMA: &str = "
    CREATE TABLE counts (
        run         TEXT PRIMARY KEY,
        spent_cents INTEGER NOT NULL,
        refusals    INTEGER NOT NULL
    ) STRICT;
";

/// What the version before lacks.
const FROM_1: &str = "
    CREATE TABLE totals (
        party       TEXT NOT NULL,
        name        TEXT NOT NULL,
        day         INTEGER NOT NULL,
        spent_cents INTEGER NOT NULL,
        last_day    INTEGER NOT NULL,
        PRIMARY KEY (party, name, day)
    ) STRICT;
    PRAGMA user_version = 2;
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
    #[error("the runs' counts are damaged: a row has {found:?}")]
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
            0 => db.execute_batch(&format!("BEGIN IMMEDIATE; {SCHEMA} {FROM_1} COMMIT;"))?,
            1 => db.execute_batch(&format!("BEGIN IMMEDIATE; {FROM_1} COMMIT;"))?,
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

    /// What each party spent. Those that nobody can draw on any more are removed.
    pub(super) fn totals(&self) -> Result<HashMap<Total, Spent>, CountsError> {
        let mut rows =
            self.0.prepare("SELECT party, name, day, spent_cents, last_day FROM totals")?;
        let mut rows = rows.query([])?;
        let mut all = HashMap::new();
        while let Some(row) = rows.next()? {
            let (party, name): (String, String) = (row.get(0)?, row.get(1)?);
            let known = Party::ALL.into_iter().find(|known| known.word() == party);
            let (Some(party), Ok(name)) = (known, name.parse()) else {
                return Err(CountsError::Damaged { found: format!("{party} {name}") });
            };
            let cents: i64 = row.get(3)?;
            let spent = Spent { cents: cents.cast_unsigned(), day: row.get(4)? };
            all.insert(Total { party, name, day: row.get(2)? }, spent);
        }
        let newest = all.values().map(|spent| spent.day).max().unwrap_or(0);
        let old: Vec<Total> = all
            .iter()
            .filter(|(total, spent)| !is_kept(**total, **spent, newest))
            .map(|(total, _)| *total)
            .collect();
        for total in old {
            all.remove(&total);
            self.write_total(&total, None)?;
        }
        Ok(all)
    }

    /// Writes what `run` spent and how often it was refused, or removes its row, and what these
    /// parties spent; all of it or nothing, and on the disk when this returns.
    pub(super) fn write(
        &self,
        run: RunId,
        now: Option<(u64, u64)>,
        totals: &[(Total, Option<Spent>)],
    ) -> Result<(), CountsError> {
        let change = self.0.unchecked_transaction()?;
        match now {
            Some((spent, refusals)) => {
                let mut write = change.prepare_cached(
                    "INSERT INTO counts (run, spent_cents, refusals) VALUES (?1, ?2, ?3)
                     ON CONFLICT (run) DO UPDATE SET spent_cents = ?2, refusals = ?3",
                )?;
                let (spent, refusals) = (spent.cast_signed(), refusals.cast_signed());
                write.execute(params![run.to_string(), spent, refusals])?;
            }
            None => {
                let mut remove = change.prepare_cached("DELETE FROM counts WHERE run = ?1")?;
                remove.execute([run.to_string()])?;
            }
        }
        for (total, spent) in totals {
            self.write_total(total, *spent)?;
        }
        change.commit()?;
        Ok(())
    }

    fn write_total(&self, total: &Total, spent: Option<Spent>) -> Result<(), CountsError> {
        let (party, name, day) = (total.party.word(), total.name.to_string(), total.day);
        match spent {
            Some(spent) => {
                let mut write = self.0.prepare_cached(
                    "INSERT INTO totals (party, name, day, spent_cents, last_day)
                     VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (party, name, day)
                     DO UPDATE SET spent_cents = ?4, last_day = ?5",
                )?;
                write.execute(params![party, name, day, spent.cents.cast_signed(), spent.day])?;
            }
            None => {
                let mut remove = self.0.prepare_cached(
                    "DELETE FROM totals WHERE party = ?1 AND name = ?2 AND day = ?3",
                )?;
                remove.execute(params![party, name, day])?;
            }
        }
        Ok(())
    }
}
