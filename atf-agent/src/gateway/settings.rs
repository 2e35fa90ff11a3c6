//! Settings of the gateway.

use std::num::{NonZeroU32, NonZeroU64};

use serde::{Deserialize, Serialize};

/// More runs than misbehave by themselves in a minute, and few enough that a person still looks.
const SEALS_PER_MINUTE_MAX: NonZeroU32 = NonZeroU32::new(10).unwrap();

/// An hour: what takes longer is no call of an agent's task.
const TASK_TTL_MS_MAX: NonZeroU64 = NonZeroU64::new(3_600_000).unwrap();

/// Limits of what a run may send and what it gets back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Longest request body in bytes.
    pub body_bytes_max: usize,
    /// Longest result in bytes that is passed on.
    pub result_bytes_max: usize,
    /// Connections that one run may have open.
    pub connections_per_run_max: usize,
    /// Calls that one run may have under way.
    pub calls_per_run_max: usize,
    /// Calls of one run that may be deferred at once (tasks of MCP).
    pub tasks_per_run_max: usize,
    /// Milliseconds for which a deferred call is kept at most, from its begin on.
    pub task_ttl_ms_max: NonZeroU64,
    /// Bytes that are kept of one run's answers for clients that lost their connection in the middle of a call; 0
    /// keeps nothing, and then none comes back.
    pub kept_bytes_per_run_max: usize,
    /// Milliseconds for which an answer is kept so.
    pub kept_for_ms: u64,
    /// Milliseconds that the executor has for one call.
    pub execute_timeout_ms: u64,
    /// Runs that may be sealed in a minute by their own refusals. What this holds back is a finding,
    /// and `atf runs` shows it; the calls are refused as ever.
    pub seals_per_minute_max: NonZeroU32,
    /// Bytes that are kept on the disk of what the policy was told and answered, the newest; 0 keeps
    /// nothing. `atf policy explain` and `replay` need it, and the calls' arguments are in it.
    pub hearings_bytes_max: u64,
    /// Whether a call waits until the record of its decision is on the disk. `false` needs the
    /// executor's `require_durable = false` too.
    pub audit_durable: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            body_bytes_max: 256 << 10,
            result_bytes_max: 1 << 20,
            connections_per_run_max: 64,
            calls_per_run_max: 16,
            tasks_per_run_max: 16,
            task_ttl_ms_max: TASK_TTL_MS_MAX,
            // One answer of the greatest length, and what was told before it, with room for others.
            kept_bytes_per_run_max: 2 << 20,
            // SDKs come back within seconds, some tries included.
            kept_for_ms: 60_000,
            execute_timeout_ms: 30_000,
            seals_per_minute_max: SEALS_PER_MINUTE_MAX,
            hearings_bytes_max: 64 << 20,
            audit_durable: true,
        }
    }
}
