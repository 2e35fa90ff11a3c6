//! The user ids of ATF's processes and of its runs. Each process has its own, and a group of the
//! same number; each live run has one of the pool.

use serde::{Deserialize, Serialize};

/// The ids. The defaults lie in the range that systemd leaves free (1879048192 to 2147483647, see
/// <https://systemd.io/UIDS-GIDS/>), so that no user of the host has one of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ids {
    /// The group that all of ATF's processes share: it opens the runtime and pin directories.
    pub group: u32,
    /// The authority.
    pub authority: u32,
    /// The gateway.
    pub gateway: u32,
    /// The recorder.
    pub recorder: u32,
    /// The executor.
    pub executor: u32,
    /// The first uid of the pool from which each run gets its own.
    pub pool_first: u32,
    /// How many uids the pool has.
    pub pool_size: u32,
}

impl Default for Ids {
    fn default() -> Self {
        Self {
            group: 1_900_000_000,
            authority: 1_900_000_001,
            gateway: 1_900_000_002,
            recorder: 1_900_000_003,
            executor: 1_900_000_004,
            pool_first: 1_900_100_000,
            pool_size: 65_536,
        }
    }
}

impl Ids {
    /// Whether `uid` is one of the pool's.
    pub fn is_pool(&self, uid: u32) -> bool {
        uid.checked_sub(self.pool_first).is_some_and(|offset| offset < self.pool_size)
    }
}
