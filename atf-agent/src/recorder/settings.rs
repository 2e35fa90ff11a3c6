//! Settings of the recorder.

use serde::{Deserialize, Serialize};

/// The log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Bytes after which a new segment is begun.
    pub segment_bytes_max: u64,
    /// Most records that one write to the disk carries.
    pub group_records_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { segment_bytes_max: 64 << 20, group_records_max: 256 }
    }
}
