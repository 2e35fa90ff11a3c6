//! The connections, and what SQLite itself refuses on them.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags, Result};

/// What a query may read: tables and their columns. An empty column is a row that is only counted.
const READABLE: &[(&str, &[&str])] = &[
    ("ledger_entries", &["", "id", "merchant_id", "amount_cents", "status", "created_at"]),
    ("merchants", &["", "id", "name"]),
];

/// The functions that a query may call: none of them reads a file, sleeps or makes large values.
const CALLABLE: &[&str] = &[
    "abs", "avg", "coalesce", "count", "ifnull", "length", "like", "lower", "max", "min", "nullif",
    "round", "substr", "sum", "total", "upper",
];

/// SQLite's own limits, lower than its defaults: what no honest query of a ledger needs.
const LIMITS: &[(Limit, i32)] = &[
    (Limit::SQLITE_LIMIT_LENGTH, 1 << 20),
    (Limit::SQLITE_LIMIT_SQL_LENGTH, 16 << 10),
    (Limit::SQLITE_LIMIT_COLUMN, 100),
    (Limit::SQLITE_LIMIT_EXPR_DEPTH, 100),
    (Limit::SQLITE_LIMIT_COMPOUND_SELECT, 10),
    (Limit::SQLITE_LIMIT_ATTACHED, 0),
    (Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 200),
];

/// Instructions of SQLite's machine between two looks at the clock: some tens of microseconds.
const STEPS: i32 = 1_000;

/// How long a statement waits for another connection's lock.
const BUSY: Duration = Duration::from_secs(2);

/// A connection on which nothing but a plain query works, and that only until a deadline.
pub(super) struct Reader {
    pub(super) db: Connection,
    /// Nanoseconds after `since` at which a query is interrupted.
    deadline_ns: Arc<AtomicU64>,
    since: Instant,
}

impl Reader {
    /// A new one.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut db = Connection::open_with_flags(path, flags)?;
        defend(&db)?;
        db.pragma_update(None, "query_only", true)?;
        for (limit, most) in LIMITS {
            db.set_limit(*limit, *most)?;
        }
        let deadline_ns = Arc::new(AtomicU64::new(0));
        let since = Instant::now();
        let until = Arc::clone(&deadline_ns);
        db.progress_handler(
            STEPS,
            Some(move || nanoseconds(since) >= until.load(Ordering::Relaxed)),
        )?;
        // Last: from here on this connection cannot even set a pragma.
        db.authorizer(Some(authorize))?;
        Ok(Self { db, deadline_ns, since })
    }

    /// Gives the next query `timeout` from now.
    pub(super) fn arm(&self, timeout: Duration) {
        let timeout = u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
        let deadline = nanoseconds(self.since).saturating_add(timeout);
        self.deadline_ns.store(deadline, Ordering::Relaxed);
    }
}

/// The one connection that writes. Its statements are this process's own.
pub(super) fn writer(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    defend(&db)?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "foreign_keys", true)?;
    Ok(db)
}

fn defend(db: &Connection) -> Result<()> {
    db.busy_timeout(BUSY)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    Ok(())
}

/// SQLite asks this while it compiles a statement (<https://sqlite.org/c3ref/set_authorizer.html>).
fn authorize(asked: AuthContext<'_>) -> Authorization {
    let allowed = match asked.action {
        AuthAction::Select => true,
        AuthAction::Read { table_name, column_name } => READABLE.iter().any(|(table, columns)| {
            table_name.eq_ignore_ascii_case(table)
                && columns.iter().any(|c| column_name.eq_ignore_ascii_case(c))
        }),
        AuthAction::Function { function_name } => {
            CALLABLE.iter().any(|name| function_name.eq_ignore_ascii_case(name))
        }
        _ => false,
    };
    if allowed { Authorization::Allow } else { Authorization::Deny }
}

fn nanoseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX)
}
