//! Settings of the launcher.

use serde::{Deserialize, Serialize};

/// What a run sees and how much it may use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Host directories that a run sees, read-only, without devices and set-id bits, and without
    /// what is mounted below them.
    pub read_only: Vec<std::path::PathBuf>,
    /// Most processes and threads of a run.
    pub pids_max: u32,
    /// Most memory of a run in bytes.
    pub memory_bytes_max: u64,
    /// Bytes of the run's private `/tmp` and home together.
    pub scratch_bytes_max: u64,
    /// Most open descriptors of one process.
    pub files_max: u64,
    /// The port on the run's own loopback at which every run finds its gateway; 0 for no loopback, unless
    /// the run is started with one.
    pub bridge_port: u16,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            read_only: ["/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc/ssl", "/etc/alternatives"]
                .map(Into::into)
                .to_vec(),
            pids_max: 256,
            memory_bytes_max: 2 << 30,
            scratch_bytes_max: 256 << 20,
            files_max: 1_024,
            bridge_port: 0,
        }
    }
}
