//! The authority's registry of runs: an SQLite database of one writer, on the disk before a change is
//! answered. Live runs have no end yet; ended ones stay until their end is in the log and some time
//! has passed.

use std::fs::OpenOptions;
use std::num::NonZeroU64;
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::str::FromStr;

use rusqlite::{Connection, ErrorCode, OptionalExtension as _, Row, Transaction, params};

use super::entry::{Ended, Registered, RegistryError};
use crate::call::{CgroupId, Named, RunId, ToolName, Untrusted};

/// Seconds for which an ended run stays in the registry; the log keeps it for ever.
const ENDED_KEPT_S: u64 = 7 * 24 * 3_600;

/// The version of the schema, in SQLite's `user_version`.
pub(super) const SCHEMA_VERSION: i64 = 6;

const SCHEMA: &str = "
    CREATE TABLE runs (
        number          INTEGER PRIMARY KEY AUTOINCREMENT,
        run             TEXT NOT NULL UNIQUE,
        cgroup          INTEGER NOT NULL,
        uid             INTEGER NOT NULL,
        agent           TEXT NOT NULL,
        user            TEXT NOT NULL,
        task            TEXT NOT NULL,
        prompt          TEXT NOT NULL,
        tools           TEXT NOT NULL,
        narrowing       TEXT NOT NULL DEFAULT '{}',
        reach           TEXT NOT NULL DEFAULT '{}',
        named           TEXT NOT NULL DEFAULT '',
        chain           TEXT NOT NULL DEFAULT '[]',
        parent          TEXT,
        network         INTEGER,
        boot            TEXT NOT NULL,
        end_boot_ms     INTEGER NOT NULL,
        token_boot_ms   INTEGER NOT NULL,
        ended_unix_s    INTEGER,
        how             TEXT,
        kernel          TEXT,
        recorded        INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE UNIQUE INDEX live_uid ON runs (uid) WHERE ended_unix_s IS NULL;
    CREATE UNIQUE INDEX live_cgroup ON runs (cgroup) WHERE ended_unix_s IS NULL;
    CREATE UNIQUE INDEX live_network ON runs (network) WHERE ended_unix_s IS NULL;
    CREATE INDEX children ON runs (parent) WHERE ended_unix_s IS NULL;
    CREATE TABLE minted (one INTEGER PRIMARY KEY CHECK (one = 1), iat_unix_s INTEGER NOT NULL) STRICT;
    INSERT INTO minted VALUES (1, 0);
    PRAGMA user_version = 6;
";

/// What a registry of each version lacks of the next one, from the first on.
const UPGRADES: [&str; 5] = [
    "ALTER TABLE runs ADD COLUMN narrowing TEXT NOT NULL DEFAULT '{}';",
    "ALTER TABLE runs ADD COLUMN reach TEXT NOT NULL DEFAULT '{}';",
    "ALTER TABLE runs ADD COLUMN named TEXT NOT NULL DEFAULT '';",
    "ALTER TABLE runs ADD COLUMN chain TEXT NOT NULL DEFAULT '[]';
     ALTER TABLE runs ADD COLUMN parent TEXT;
     CREATE INDEX children ON runs (parent) WHERE ended_unix_s IS NULL;",
    "ALTER TABLE runs ADD COLUMN network INTEGER;
     CREATE UNIQUE INDEX live_network ON runs (network) WHERE ended_unix_s IS NULL;",
];

/// All that a [`Registered`] has: what a run's task names is long, and read by itself.
const COLUMNS: &str =
    "run, cgroup, uid, agent, user, task, prompt, tools, narrowing, reach, chain, network, boot,
    end_boot_ms, token_boot_ms";

/// The registry.
pub struct Registry(Connection);

impl Registry {
    /// Opens the registry at `path`, or makes it, readable by this process alone.
    ///
    /// # Errors
    /// When it cannot be opened or is of another release.
    pub fn open(path: &Path) -> Result<Self, RegistryError> {
        OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)
            .map_err(|error| RegistryError::Io { path: path.to_owned(), error })?;
        let db = Connection::open(path)?;
        db.pragma_update(None, "journal_mode", "WAL")?;
        db.pragma_update(None, "synchronous", "FULL")?;
        let found: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        match found {
            0 => db.execute_batch(&format!("BEGIN IMMEDIATE; {SCHEMA} COMMIT;"))?,
            SCHEMA_VERSION => {}
            older @ 1..SCHEMA_VERSION => upgrade(&db, older)?,
            found => return Err(RegistryError::Version { found }),
        }
        Ok(Self(db))
    }

    /// Adds a live run, notes when its token was signed, and what its task and prompt name, which is
    /// forgotten when it ends; all at once.
    ///
    /// # Errors
    /// [`RegistryError::Taken`], or when the disk fails.
    pub fn add(
        &mut self,
        entry: &Registered,
        named: &Named,
        iat_unix_s: u64,
    ) -> Result<(), RegistryError> {
        let tools: Vec<&str> = entry.tools.iter().map(ToolName::as_str).collect();
        let change = self.0.transaction()?;
        let added = change.execute(
            "INSERT INTO runs (run, cgroup, uid, agent, user, task, prompt, tools, boot,
                end_boot_ms, token_boot_ms, narrowing, reach, named, chain, parent, network)
             VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17)",
            params![
                entry.run.to_string(),
                entry.cgroup.0.cast_signed(),
                entry.uid,
                entry.agent.as_str(),
                entry.user.raw(),
                entry.task.raw(),
                entry.prompt.to_string(),
                tools.join(" "),
                entry.boot,
                entry.end_boot_ms.cast_signed(),
                entry.token_boot_ms.cast_signed(),
                serde_json::to_string(&entry.narrowing).unwrap_or_default(),
                serde_json::to_string(&entry.reach).unwrap_or_default(),
                String::from(named.clone()),
                serde_json::to_string(&entry.chain).unwrap_or_default(),
                entry.chain.parent().map(|parent| parent.to_string()),
                entry.network.map(|network| network.get().cast_signed()),
            ],
        );
        match added {
            Ok(_) => {
                signed(&change, iat_unix_s)?;
                Ok(change.commit()?)
            }
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
                Err(RegistryError::Taken { run: entry.run })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Takes back what [`Registry::add`] did.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn remove(&self, run: RunId) -> Result<(), RegistryError> {
        self.0.execute("DELETE FROM runs WHERE run = ?1", [run.to_string()])?;
        Ok(())
    }

    /// All live runs in the order of their registration.
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub fn live(&self) -> Result<Vec<Registered>, RegistryError> {
        self.all_live("?1 IS NULL", None)
    }

    /// The live runs to which `run` itself handed its task on.
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub fn children(&self, run: RunId) -> Result<Vec<Registered>, RegistryError> {
        self.all_live("parent = ?1", Some(run.to_string()))
    }

    fn all_live(
        &self,
        condition: &str,
        value: Option<String>,
    ) -> Result<Vec<Registered>, RegistryError> {
        let mut rows = self.0.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM runs WHERE ended_unix_s IS NULL AND {condition} ORDER BY number"
        ))?;
        let mut rows = rows.query([value])?;
        let mut live = Vec::new();
        while let Some(row) = rows.next()? {
            live.push(registered(row)?);
        }
        Ok(live)
    }

    /// The live run of this id.
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub fn get(&self, run: RunId) -> Result<Option<Registered>, RegistryError> {
        let one = format!("SELECT {COLUMNS} FROM runs WHERE run = ?1 AND ended_unix_s IS NULL");
        let mut rows = self.0.prepare_cached(&one)?;
        let mut rows = rows.query([run.to_string()])?;
        rows.next()?.map(registered).transpose()
    }

    /// What the task and prompt of a run name. A run of a release that did not keep it, one that has ended
    /// and one that is not known name nothing.
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub fn named(&self, run: RunId) -> Result<Named, RegistryError> {
        let mut rows = self.0.prepare_cached("SELECT named FROM runs WHERE run = ?1")?;
        let found: Option<String> =
            rows.query_row([run.to_string()], |row| row.get(0)).optional()?;
        match found.filter(|found| !found.is_empty()) {
            None => Ok(Named::nothing()),
            Some(found) => Named::try_from(found).map_err(|error| RegistryError::Damaged {
                what: "named",
                found: error.to_string(),
            }),
        }
    }

    /// A uid of `pool_size` from `pool_first` that no live run has, the least recently given out:
    /// what a run left behind should not meet the next one.
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub fn free_uid(&self, pool_first: u32, pool_size: u32) -> Result<Option<u32>, RegistryError> {
        let mut newest =
            self.0.prepare_cached("SELECT uid FROM runs ORDER BY number DESC LIMIT 1")?;
        let newest: Option<u32> = newest.query_row([], |row| row.get(0)).optional()?;
        let pool = pool_first..pool_first.saturating_add(pool_size);
        let after = newest.filter(|uid| pool.contains(uid)).map_or(pool.start, |uid| uid + 1);
        match self.first_free(after..pool.end)? {
            Some(uid) => Ok(Some(uid)),
            None => self.first_free(pool.start..after),
        }
    }

    /// The least uid of `uids` that no live run has. Reads no further than to the first gap.
    fn first_free(&self, uids: Range<u32>) -> Result<Option<u32>, RegistryError> {
        let mut taken = self.0.prepare_cached(
            "SELECT uid FROM runs WHERE ended_unix_s IS NULL AND uid >= ?1 ORDER BY uid",
        )?;
        let mut taken = taken.query([uids.start])?;
        for uid in uids {
            let next = taken.next()?.map(|row| row.get::<_, u32>(0)).transpose()?;
            if next != Some(uid) {
                return Ok(Some(uid));
            }
        }
        Ok(None)
    }

    /// Notes the renewed token of a run and when it was signed, at once.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn renewed(
        &mut self,
        run: RunId,
        token_boot_ms: u64,
        iat_unix_s: u64,
    ) -> Result<(), RegistryError> {
        let change = self.0.transaction()?;
        change.execute(
            "UPDATE runs SET token_boot_ms = ?2 WHERE run = ?1",
            params![run.to_string(), token_boot_ms.cast_signed()],
        )?;
        signed(&change, iat_unix_s)?;
        Ok(change.commit()?)
    }

    /// When the last token was signed, seconds since the epoch.
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub fn last_iat_unix_s(&self) -> Result<u64, RegistryError> {
        let iat: i64 = self.0.query_row("SELECT iat_unix_s FROM minted", [], |row| row.get(0))?;
        Ok(iat.cast_unsigned())
    }

    /// Has the last token be one that was signed then, although a later one is known.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn set_back(&self, iat_unix_s: u64) -> Result<(), RegistryError> {
        self.0.execute("UPDATE minted SET iat_unix_s = ?1", [iat_unix_s.cast_signed()])?;
        Ok(())
    }

    /// Ends a live run. False when it is none.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn end(&self, ended: &Ended, now_unix_s: u64) -> Result<bool, RegistryError> {
        let kernel = serde_json::to_string(&ended.kernel).unwrap_or_default();
        let changed = self.0.execute(
            "UPDATE runs SET ended_unix_s = ?2, how = ?3, kernel = ?4, named = ''
             WHERE run = ?1 AND ended_unix_s IS NULL",
            params![ended.run.to_string(), now_unix_s.cast_signed(), ended.how.raw(), kernel],
        )?;
        Ok(changed == 1)
    }

    /// The ended runs whose end is not in the log.
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub fn unrecorded(&self) -> Result<Vec<Ended>, RegistryError> {
        let mut rows = self.0.prepare_cached(
            "SELECT run, how, kernel FROM runs
             WHERE ended_unix_s IS NOT NULL AND recorded = 0 ORDER BY number",
        )?;
        let mut rows = rows.query([])?;
        let mut ended = Vec::new();
        while let Some(row) = rows.next()? {
            let kernel: String = row.get("kernel")?;
            ended.push(Ended {
                run: parsed(row, "run")?,
                how: Untrusted::new(row.get::<_, String>("how")?),
                kernel: serde_json::from_str(&kernel)
                    .map_err(|_| RegistryError::Damaged { what: "kernel", found: kernel })?,
            });
        }
        Ok(ended)
    }

    /// Notes that the end of a run is in the log, and forgets what ended long ago.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn recorded(&self, run: RunId, now_unix_s: u64) -> Result<(), RegistryError> {
        self.0.execute("UPDATE runs SET recorded = 1 WHERE run = ?1", [run.to_string()])?;
        self.0.execute(
            "DELETE FROM runs WHERE recorded = 1 AND ended_unix_s < ?1",
            [now_unix_s.saturating_sub(ENDED_KEPT_S).cast_signed()],
        )?;
        Ok(())
    }
}

/// Brings a registry of the version `older` up to this one, as a whole or not at all.
fn upgrade(db: &Connection, older: i64) -> rusqlite::Result<()> {
    let done = usize::try_from(older - 1).unwrap_or_default();
    let lacking = UPGRADES.get(done..).unwrap_or_default().concat();
    db.execute_batch(&format!(
        "BEGIN IMMEDIATE; {lacking} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
    ))
}

/// Notes when a token was signed; never an earlier time than is known.
fn signed(change: &Transaction<'_>, iat_unix_s: u64) -> rusqlite::Result<()> {
    let mut later =
        change.prepare_cached("UPDATE minted SET iat_unix_s = ?1 WHERE iat_unix_s < ?1")?;
    later.execute([iat_unix_s.cast_signed()]).map(drop)
}

fn registered(row: &Row<'_>) -> Result<Registered, RegistryError> {
    let tools: String = row.get("tools")?;
    let narrowing: String = row.get("narrowing")?;
    let reach: String = row.get("reach")?;
    let chain: String = row.get("chain")?;
    let network: Option<i64> = row.get("network")?;
    let tool = |name: &str| {
        name.parse().map_err(|_| RegistryError::Damaged { what: "tools", found: name.to_owned() })
    };
    Ok(Registered {
        run: parsed(row, "run")?,
        cgroup: CgroupId(row.get::<_, i64>("cgroup")?.cast_unsigned()),
        uid: row.get("uid")?,
        agent: parsed(row, "agent")?,
        user: Untrusted::new(row.get::<_, String>("user")?),
        task: Untrusted::new(row.get::<_, String>("task")?),
        prompt: parsed(row, "prompt")?,
        tools: tools.split_whitespace().map(tool).collect::<Result<_, _>>()?,
        narrowing: serde_json::from_str(&narrowing)
            .map_err(|_| RegistryError::Damaged { what: "narrowing", found: narrowing })?,
        reach: serde_json::from_str(&reach)
            .map_err(|_| RegistryError::Damaged { what: "reach", found: reach })?,
        chain: serde_json::from_str(&chain)
            .map_err(|_| RegistryError::Damaged { what: "chain", found: chain })?,
        network: network.map(network_of).transpose()?,
        boot: row.get("boot")?,
        end_boot_ms: row.get::<_, i64>("end_boot_ms")?.cast_unsigned(),
        token_boot_ms: row.get::<_, i64>("token_boot_ms")?.cast_unsigned(),
    })
}

fn network_of(cookie: i64) -> Result<NonZeroU64, RegistryError> {
    let network = NonZeroU64::new(cookie.cast_unsigned());
    network.ok_or_else(|| RegistryError::Damaged { what: "network", found: cookie.to_string() })
}

fn parsed<T: FromStr>(row: &Row<'_>, what: &'static str) -> Result<T, RegistryError> {
    let found: String = row.get(what)?;
    found.parse().map_err(|_| RegistryError::Damaged { what, found })
}

#[cfg(test)]
#[path = "registry_tests.rs"]
mod tests;
