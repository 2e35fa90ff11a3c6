//! The tables of the counts, and how a file of an earlier release becomes one of this.

use rusqlite::Connection;

use super::counts::CountsError;

/// The version of the schema, in SQLite's `user_version`.
pub(super) const VERSION: i64 = 3;

const FIRST: &str = "
    CREATE TABLE counts (
        run         TEXT PRIMARY KEY,
        spent_cents INTEGER NOT NULL,
        refusals    INTEGER NOT NULL
    ) STRICT;
";

/// What the first version lacks.
const FROM_1: &str = "
    CREATE TABLE totals (
        party       TEXT NOT NULL,
        name        TEXT NOT NULL,
        day         INTEGER NOT NULL,
        spent_cents INTEGER NOT NULL,
        last_day    INTEGER NOT NULL,
        PRIMARY KEY (party, name, day)
    ) STRICT;
";

/// What the second lacks: totals of one run, and turns. `run` is empty where it is no single run's.
const FROM_2: &str = "
    ALTER TABLE totals RENAME TO totals_2;
    CREATE TABLE totals (
        run      TEXT NOT NULL,
        party    TEXT NOT NULL,
        name     TEXT NOT NULL,
        day      INTEGER NOT NULL,
        spent    INTEGER NOT NULL,
        last_day INTEGER NOT NULL,
        PRIMARY KEY (run, party, name, day)
    ) STRICT;
    INSERT INTO totals SELECT '', party, name, day, spent_cents, last_day FROM totals_2;
    DROP TABLE totals_2;
    CREATE TABLE turns (
        run           TEXT NOT NULL,
        name          TEXT NOT NULL,
        call          INTEGER NOT NULL,
        began_boot_ms INTEGER NOT NULL,
        ends_boot_ms  INTEGER NOT NULL,
        PRIMARY KEY (run, name, call)
    ) STRICT;
    CREATE INDEX turns_by_end ON turns (ends_boot_ms);
    CREATE TABLE boot (id TEXT NOT NULL) STRICT;
    PRAGMA user_version = 3;
";

/// Makes the tables, or those that the release which made the file did not have.
pub(super) fn bring_up(db: &Connection) -> Result<(), CountsError> {
    let found: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let missing: &[&str] = match found {
        0 => &[FIRST, FROM_1, FROM_2],
        1 => &[FROM_1, FROM_2],
        2 => &[FROM_2],
        VERSION => return Ok(()),
        found => return Err(CountsError::Version { found }),
    };
    db.execute_batch(&format!("BEGIN IMMEDIATE; {} COMMIT;", missing.concat()))?;
    Ok(())
}
