//! Who may make which call once more: what the policy wants a person asked about, on the disk before anybody is
//! told, so that no kill makes one approval two. All times are of the boot clock, which nobody sets; of
//! another boot nothing is left, for no run outlives it.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::counts::Boot;
use crate::call::{Approvable, Approval, Approver, DecisionId, Digest, RunId, Standing};

/// Milliseconds for which a person may take to answer, and for which an answer holds: long enough to be
/// looked at, short enough that what was looked at is still so.
const PENDING_MS: u64 = 15 * 60_000;
const ANSWERED_MS: u64 = 10 * 60_000;

/// Approvals of one run, and of all: more than anybody reads. A run that asks for more has to wait.
const OF_RUN_MAX: u64 = 16;
const ALL_MAX: u64 = 256;

const VERSION: i64 = 1;

const SCHEMA: &str = "
    CREATE TABLE approvals (
        decision        TEXT PRIMARY KEY,
        call            TEXT NOT NULL,
        policy          TEXT NOT NULL,
        run             TEXT NOT NULL,
        approvable      TEXT NOT NULL,
        standing        TEXT NOT NULL,
        approver        TEXT,
        expires_boot_ms INTEGER NOT NULL,
        UNIQUE (call, policy)
    ) STRICT;
    CREATE TABLE boot (id TEXT NOT NULL) STRICT;
    PRAGMA user_version = 1;
";

/// The approvals of the live runs.
#[derive(Clone)]
pub struct Approvals(Arc<Mutex<Connection>>);

/// A person's word that was taken: the row is gone, on the disk. Only [`Approvals::take`] makes one.
#[derive(Debug)]
#[must_use = "it was spent for a call that is not made"]
pub struct Approved {
    decision: DecisionId,
    call: Digest,
    policy: Digest,
}

/// Why an approval cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ApprovalError {
    /// SQLite says no.
    #[error("the approvals failed: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The file cannot be made.
    #[error("cannot make the approvals {path}: {error}; the directory must be the gateway's")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Of another release.
    #[error(
        "the approvals have schema {found}, expected {VERSION}; were they made by a later release?"
    )]
    Version {
        /// What the file says.
        found: i64,
    },
    /// A row is not what was written.
    #[error("the approvals are damaged: {0}")]
    Damaged(String),
    /// More than anybody reads.
    #[error("{found} calls wait for a person's word, at most {most} may")]
    Full {
        /// How many.
        found: u64,
        /// How many may.
        most: u64,
    },
    /// Nothing of this name waits for a word.
    #[error("no call {decision} waits for an approval; it was answered, used, or its time is over")]
    NotPending {
        /// The name.
        decision: DecisionId,
    },
}

impl Approvals {
    /// Opens the file at `path`, or makes it, readable by this process alone. What another boot left goes.
    ///
    /// # Errors
    /// When it cannot be opened, or is of another release.
    pub fn open(path: &Path, boot: &Boot) -> Result<Self, ApprovalError> {
        OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)
            .map_err(|error| ApprovalError::Io { path: path.to_owned(), error })?;
        let db = Connection::open(path)?;
        db.pragma_update(None, "journal_mode", "WAL")?;
        db.pragma_update(None, "synchronous", "FULL")?;
        match db.query_row("PRAGMA user_version", [], |row| row.get(0))? {
            0 => db.execute_batch(&format!("BEGIN; {SCHEMA} COMMIT;"))?,
            VERSION => {}
            found => return Err(ApprovalError::Version { found }),
        }
        let change = db.unchecked_transaction()?;
        let same = change.execute("DELETE FROM boot WHERE id = ?1", [&boot.id])? > 0;
        if !same {
            change.execute("DELETE FROM approvals", [])?;
        }
        change.execute("DELETE FROM boot", [])?;
        change.execute("INSERT INTO boot VALUES (?1)", [&boot.id])?;
        change.commit()?;
        Ok(Self(Arc::new(Mutex::new(db))))
    }

    /// How the call stands; one that nobody has asked about is asked about from now on, as `decision`.
    /// Gives also the decision by which it is known.
    ///
    /// # Errors
    /// When too many wait already, or it cannot be kept.
    pub fn ask(
        &self,
        of: &Approvable,
        decision: DecisionId,
        now_boot_ms: u64,
    ) -> Result<(DecisionId, Standing), ApprovalError> {
        let db = self.db();
        let change = db.unchecked_transaction()?;
        expire(&change, now_boot_ms)?;
        let (call, policy) = (of.call.to_string(), of.policy.to_string());
        let known = change
            .query_row(
                "SELECT decision, standing FROM approvals WHERE call = ?1 AND policy = ?2",
                [&call, &policy],
                |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)),
            )
            .optional()?;
        if let Some((decision, standing)) = known {
            change.commit()?;
            return Ok((parsed(&decision)?, read(&standing)?));
        }
        let count = |sql: &str, run: &str| {
            change.query_row(sql, [run], |row| row.get::<_, i64>(0)).map(i64::cast_unsigned)
        };
        let of_run = count("SELECT count(*) FROM approvals WHERE run = ?1", &of.run.to_string())?;
        let all = count("SELECT count(*) FROM approvals WHERE ?1 = ?1", "")?;
        for (found, most) in [(of_run, OF_RUN_MAX), (all, ALL_MAX)] {
            if found >= most {
                return Err(ApprovalError::Full { found, most });
            }
        }
        change.execute(
            "INSERT INTO approvals VALUES (?1, ?2, ?3, ?4, ?5, ?6, NULL, ?7)",
            params![
                decision.to_string(),
                call,
                policy,
                of.run.to_string(),
                written(of)?,
                written(&Standing::Pending)?,
                now_boot_ms.saturating_add(PENDING_MS).cast_signed(),
            ],
        )?;
        change.commit()?;
        Ok((decision, Standing::Pending))
    }

    /// Takes the leave to make this call, if there is one: nobody can take it again.
    ///
    /// # Errors
    /// When that it is gone cannot be kept; it must not be used then.
    pub fn take(
        &self,
        call: Digest,
        policy: Digest,
        now_boot_ms: u64,
    ) -> Result<Option<Approved>, ApprovalError> {
        let db = self.db();
        let taken: Option<String> = db
            .query_row(
                "DELETE FROM approvals WHERE call = ?1 AND policy = ?2 AND standing = ?3
                 AND expires_boot_ms > ?4 RETURNING decision",
                params![
                    call.to_string(),
                    policy.to_string(),
                    written(&Standing::Granted)?,
                    now_boot_ms.cast_signed()
                ],
                |row| row.get(0),
            )
            .optional()?;
        let Some(decision) = taken else {
            return Ok(None);
        };
        Ok(Some(Approved { decision: parsed(&decision)?, call, policy }))
    }

    /// Writes down a person's word on a call that waits for it.
    ///
    /// # Errors
    /// When it does not wait, or the word cannot be kept.
    pub fn answer(
        &self,
        decision: DecisionId,
        granted: bool,
        approver: &Approver,
        now_boot_ms: u64,
    ) -> Result<(), ApprovalError> {
        let standing = if granted { Standing::Granted } else { Standing::Denied };
        let changed = self.db().execute(
            "UPDATE approvals SET standing = ?2, approver = ?3, expires_boot_ms = ?4
             WHERE decision = ?1 AND standing = ?5 AND expires_boot_ms > ?6",
            params![
                decision.to_string(),
                written(&standing)?,
                written(approver)?,
                now_boot_ms.saturating_add(ANSWERED_MS).cast_signed(),
                written(&Standing::Pending)?,
                now_boot_ms.cast_signed(),
            ],
        )?;
        match changed {
            0 => Err(ApprovalError::NotPending { decision }),
            _ => Ok(()),
        }
    }

    /// All that stand, in the order of their ends.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn all(&self, now_boot_ms: u64) -> Result<Vec<Approval>, ApprovalError> {
        let db = self.db();
        let mut rows = db.prepare(
            "SELECT decision, approvable, standing, approver, expires_boot_ms FROM approvals
             WHERE expires_boot_ms > ?1 ORDER BY expires_boot_ms, decision",
        )?;
        let found =
            rows.query_map([now_boot_ms.cast_signed()], |row| Ok(approval(row, now_boot_ms)))?;
        found.map(|row| row?).collect()
    }

    /// Forgets those of a run that has ended.
    ///
    /// # Errors
    /// When that cannot be kept.
    pub fn forget(&self, run: RunId) -> Result<(), ApprovalError> {
        self.db().execute("DELETE FROM approvals WHERE run = ?1", [run.to_string()])?;
        Ok(())
    }

    /// A transaction that a holder did not commit is rolled back with it.
    fn db(&self) -> MutexGuard<'_, Connection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Approved {
    /// Whether it is for this call under this policy.
    pub fn is_of(&self, call: Digest, policy: Digest) -> bool {
        (self.call, self.policy) == (call, policy)
    }

    /// The decision that asked for it.
    pub fn decision(&self) -> DecisionId {
        self.decision
    }
}

fn expire(db: &Connection, now_boot_ms: u64) -> Result<(), ApprovalError> {
    db.execute("DELETE FROM approvals WHERE expires_boot_ms <= ?1", [now_boot_ms.cast_signed()])?;
    Ok(())
}

fn approval(row: &Row<'_>, now_boot_ms: u64) -> Result<Approval, ApprovalError> {
    let approver: Option<String> = row.get(3)?;
    let expires: i64 = row.get(4)?;
    Ok(Approval {
        decision: parsed(&row.get::<_, String>(0)?)?,
        of: read(&row.get::<_, String>(1)?)?,
        standing: read(&row.get::<_, String>(2)?)?,
        approver: approver.map(|text| read(&text)).transpose()?,
        left_ms: expires.cast_unsigned().saturating_sub(now_boot_ms),
    })
}

fn parsed(text: &str) -> Result<DecisionId, ApprovalError> {
    text.parse().map_err(|_| ApprovalError::Damaged(format!("a decision is {text:?}")))
}

fn read<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, ApprovalError> {
    serde_json::from_str(text).map_err(|error| ApprovalError::Damaged(error.to_string()))
}

fn written(value: &impl serde::Serialize) -> Result<String, ApprovalError> {
    serde_json::to_string(value).map_err(|error| ApprovalError::Damaged(error.to_string()))
}
