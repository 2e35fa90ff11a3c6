//! Settings of the executor.

use serde::{Deserialize, Serialize};

/// The built-in tools.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The SQLite database of `ledger.query` and `ledger.adjust`; relative to the executor's state
    /// directory.
    pub ledger: std::path::PathBuf,
    /// Accept only permits whose record is on the disk. `false` trades the proof after a power cut
    /// for one disk write less a call.
    pub require_durable: bool,
    /// Most rows that a query returns.
    pub rows_max: usize,
    /// Milliseconds after which a query is interrupted.
    pub query_timeout_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            ledger: "ledger.db".into(),
            require_durable: true,
            rows_max: 1_000,
            query_timeout_ms: 2_000,
        }
    }
}
