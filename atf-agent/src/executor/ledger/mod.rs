//! The built-in tools on the ledger. What the gate let through is held to the same bounds again, by
//! SQLite itself: a read-only connection, an authorizer, a deadline, and bound parameters.

mod adjust;
mod guard;
mod query;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::Connection;

use super::error::{ExecutorError, Mistrust};
use super::outcome::Outcome;
use super::{Settings, answer};

/// Says whether the run may still act; asked once more right before anything leaves or is kept.
pub(super) type Still<'a> = &'a dyn Fn() -> Result<(), Mistrust>;

/// The ledger.
pub(super) struct Ledger {
    path: PathBuf,
    rows_max: usize,
    query_timeout: Duration,
    /// Read-only connections that nobody uses at the moment.
    readers: Mutex<Vec<guard::Reader>>,
    writer: Mutex<Connection>,
}

impl Ledger {
    /// The ledger at `path`, which must be there.
    pub(super) fn open(path: &Path, settings: &Settings) -> Result<Self, ExecutorError> {
        let failed = |error| ExecutorError::Ledger { path: path.to_owned(), error };
        let writer = guard::writer(path).map_err(failed)?;
        let reader = guard::Reader::open(path).map_err(failed)?;
        Ok(Self {
            path: path.to_owned(),
            rows_max: settings.rows_max,
            query_timeout: Duration::from_millis(settings.query_timeout_ms),
            readers: Mutex::new(vec![reader]),
            writer: Mutex::new(writer),
        })
    }
}

/// The connections and the list of readers are whole after a panic: SQLite rolls back what was not
/// committed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
