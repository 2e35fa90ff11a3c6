//! The file behind the caps: an SQLite database of one writer with a row for each live run that spent
//! something or was refused, for each total and for each turn. It adds nothing up; what is written is a
//! whole row.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, params};

use super::counts_schema;
use super::shared::{Party, Spent, Total, is_kept};
use super::turns::{Key, Turn, UNHEARD_HELD_MS, WITH_THE_CALL};
use crate::call::RunId;

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
        "the runs' counts have schema {found}, expected {}; were they made by a later release?",
        counts_schema::VERSION
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

/// The boot of the host, by whose clock turns are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Boot {
    /// `/proc/sys/kernel/random/boot_id`.
    pub id: String,
    /// Now, milliseconds of the boot clock.
    pub now_ms: u64,
}

/// What is to be written: whole rows, `None` where there is none any more.
#[derive(Debug)]
pub(super) struct Change {
    /// The run.
    pub(super) run: RunId,
    /// What it spent, and its refusals. `None` removes all that is its own.
    pub(super) counts: Option<(u64, u64)>,
    /// Totals that changed.
    pub(super) totals: Vec<(Total, Option<Spent>)>,
    /// The call whose turns changed.
    pub(super) call: u64,
    /// Its turns, each with whether it is still held.
    pub(super) turns: Vec<(Turn, bool)>,
    /// Now, milliseconds of the boot clock: turns that ended are removed.
    pub(super) now_boot_ms: u64,
    /// Whether it has to outlive a power cut too, as money and refusals. The rest outlives a kill.
    pub(super) through_power_cut: bool,
}

/// The counts of the live runs.
#[derive(Debug)]
pub(super) struct Counts {
    db: Connection,
    /// Whether a commit waits for the disk.
    waits: Cell<bool>,
}

impl Counts {
    /// Opens the file at `path`, or makes it, readable by this process alone.
    pub(super) fn open(path: &Path, boot: &Boot) -> Result<Self, CountsError> {
        OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)
            .map_err(|error| CountsError::Io { path: path.to_owned(), error })?;
        let db = Connection::open(path)?;
        db.pragma_update(None, "journal_mode", "WAL")?;
        db.pragma_update(None, "synchronous", "FULL")?;
        counts_schema::bring_up(&db)?;
        let counts = Self { db, waits: Cell::new(true) };
        counts.carry_over(boot)?;
        Ok(counts)
    }

    /// Turns of another boot began before this one did, and calls that were under way are not heard of
    /// any more.
    fn carry_over(&self, boot: &Boot) -> Result<(), CountsError> {
        let change = self.db.unchecked_transaction()?;
        let now = boot.now_ms.cast_signed();
        let same: bool =
            change.query_row("SELECT count(*) > 0 FROM boot WHERE id = ?1", [&boot.id], |row| {
                row.get(0)
            })?;
        if !same {
            change.execute(
                "UPDATE turns SET began_boot_ms = 0, ends_boot_ms = ends_boot_ms - began_boot_ms
                 WHERE ends_boot_ms <> ?1",
                [WITH_THE_CALL.cast_signed()],
            )?;
            change.execute("DELETE FROM boot", [])?;
            change.execute("INSERT INTO boot (id) VALUES (?1)", [&boot.id])?;
        }
        change.execute(
            "UPDATE turns SET began_boot_ms = ?1, ends_boot_ms = ?1 + ?2 WHERE ends_boot_ms = ?3",
            params![now, UNHEARD_HELD_MS.cast_signed(), WITH_THE_CALL.cast_signed()],
        )?;
        change.execute("DELETE FROM turns WHERE ends_boot_ms <= ?1", [now])?;
        change.commit()?;
        Ok(())
    }

    /// Each run, the cents that it spent or reserved, and its refusals.
    pub(super) fn all(&self) -> Result<Vec<(RunId, u64, u64)>, CountsError> {
        let mut rows = self.db.prepare("SELECT run, spent_cents, refusals FROM counts")?;
        let mut rows = rows.query([])?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            let (spent, refusals): (i64, i64) = (row.get(1)?, row.get(2)?);
            all.push((parsed(row.get(0)?)?, spent.cast_unsigned(), refusals.cast_unsigned()));
        }
        Ok(all)
    }

    /// What each party spent. Those that nobody can draw on any more are removed.
    pub(super) fn totals(&self) -> Result<BTreeMap<Total, Spent>, CountsError> {
        let mut rows =
            self.db.prepare("SELECT run, party, name, day, spent, last_day FROM totals")?;
        let mut rows = rows.query([])?;
        let mut all = BTreeMap::new();
        while let Some(row) = rows.next()? {
            let party: String = row.get(1)?;
            let known = Party::ALL.into_iter().find(|known| known.word() == party);
            let party = known.ok_or(CountsError::Damaged { found: party })?;
            let (run, name) = (run_of(row.get(0)?)?, parsed(row.get(2)?)?);
            let amount: i64 = row.get(4)?;
            let spent = Spent { amount: amount.cast_unsigned(), day: row.get(5)? };
            all.insert(Total { run, party, name, day: row.get(3)? }, spent);
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

    /// Each turn, with the call that holds it.
    pub(super) fn turns(&self) -> Result<Vec<(u64, Turn)>, CountsError> {
        let mut rows =
            self.db.prepare("SELECT call, run, name, began_boot_ms, ends_boot_ms FROM turns")?;
        let mut rows = rows.query([])?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            let [call, began, ends] =
                [row.get::<_, i64>(0)?, row.get(3)?, row.get(4)?].map(i64::cast_unsigned);
            let key = Key { run: run_of(row.get(1)?)?, name: parsed(row.get(2)?)? };
            all.push((call, Turn { key, began_boot_ms: began, ends_boot_ms: ends }));
        }
        Ok(all)
    }

    /// Writes a change, all of it or nothing. When this returns, it outlives a kill.
    pub(super) fn write(&self, change: &Change) -> Result<(), CountsError> {
        if self.waits.replace(change.through_power_cut) != change.through_power_cut {
            let word = if change.through_power_cut { "FULL" } else { "NORMAL" };
            self.db.pragma_update(None, "synchronous", word)?;
        }
        let written = self.db.unchecked_transaction()?;
        match change.counts {
            Some((spent, refusals)) => {
                let mut write = written.prepare_cached(
                    "INSERT INTO counts (run, spent_cents, refusals) VALUES (?1, ?2, ?3)
                     ON CONFLICT (run) DO UPDATE SET spent_cents = ?2, refusals = ?3",
                )?;
                let (spent, refusals) = (spent.cast_signed(), refusals.cast_signed());
                write.execute(params![change.run.to_string(), spent, refusals])?;
            }
            None => {
                for table in ["counts", "totals", "turns"] {
                    let remove = format!("DELETE FROM {table} WHERE run = ?1");
                    written.prepare_cached(&remove)?.execute([change.run.to_string()])?;
                }
            }
        }
        for (total, spent) in &change.totals {
            self.write_total(total, *spent)?;
        }
        for (turn, is_held) in &change.turns {
            self.write_turn(change.call, turn, *is_held)?;
        }
        if !change.turns.is_empty() {
            let mut remove =
                written.prepare_cached("DELETE FROM turns WHERE ends_boot_ms <= ?1")?;
            remove.execute([change.now_boot_ms.cast_signed()])?;
        }
        written.commit()?;
        Ok(())
    }

    fn write_total(&self, total: &Total, spent: Option<Spent>) -> Result<(), CountsError> {
        let (run, name) = (column(total.run), total.name.to_string());
        let (party, day) = (total.party.word(), total.day);
        match spent {
            Some(spent) => {
                let mut write = self.db.prepare_cached(
                    "INSERT INTO totals (run, party, name, day, spent, last_day)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (run, party, name, day)
                     DO UPDATE SET spent = ?5, last_day = ?6",
                )?;
                let amount = spent.amount.cast_signed();
                write.execute(params![run, party, name, day, amount, spent.day])?;
            }
            None => {
                let mut remove = self.db.prepare_cached(
                    "DELETE FROM totals WHERE run = ?1 AND party = ?2 AND name = ?3 AND day = ?4",
                )?;
                remove.execute(params![run, party, name, day])?;
            }
        }
        Ok(())
    }

    fn write_turn(&self, call: u64, turn: &Turn, is_held: bool) -> Result<(), CountsError> {
        let (run, name, call) =
            (column(turn.key.run), turn.key.name.to_string(), call.cast_signed());
        if is_held {
            let mut write = self.db.prepare_cached(
                "INSERT INTO turns (run, name, call, began_boot_ms, ends_boot_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (run, name, call)
                 DO UPDATE SET ends_boot_ms = ?5",
            )?;
            let [began, ends] = [turn.began_boot_ms, turn.ends_boot_ms].map(u64::cast_signed);
            write.execute(params![run, name, call, began, ends])?;
        } else {
            let mut remove = self
                .db
                .prepare_cached("DELETE FROM turns WHERE run = ?1 AND name = ?2 AND call = ?3")?;
            remove.execute(params![run, name, call])?;
        }
        Ok(())
    }
}

/// The column of a run, empty where there is none.
fn column(run: Option<RunId>) -> String {
    run.map(|run| run.to_string()).unwrap_or_default()
}

fn run_of(found: String) -> Result<Option<RunId>, CountsError> {
    if found.is_empty() { Ok(None) } else { parsed(found).map(Some) }
}

fn parsed<T: std::str::FromStr>(found: String) -> Result<T, CountsError> {
    found.parse().map_err(|_| CountsError::Damaged { found })
}
