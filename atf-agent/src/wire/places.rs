//! Where things are: the directories, and the sockets and public keys in them.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::call::RunId;

/// The directories of one installation. Everything else is derived from them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Places {
    /// Sockets, public keys and the runs' directories; gone after a reboot.
    pub run_dir: PathBuf,
    /// Keys, registry, ledger and log; one directory for each process, readable by it alone.
    pub state_dir: PathBuf,
    /// The policy: `*.rego`, `data.json` and the tools' pins in `tools/`.
    pub policy_dir: PathBuf,
    /// The agents' manifests, one `NAME.toml` each.
    pub agents_dir: PathBuf,
    /// The tool servers behind the executor, one `NAME.toml` each. They hold credentials.
    pub servers_dir: PathBuf,
    /// Where the kernel objects are pinned: a directory of a bpf file system.
    pub pin_dir: PathBuf,
}

impl Default for Places {
    fn default() -> Self {
        Self {
            run_dir: "/run/atf".into(),
            state_dir: "/var/lib/atf".into(),
            policy_dir: "/etc/atf/policies".into(),
            agents_dir: "/etc/atf/agents".into(),
            servers_dir: "/etc/atf/servers".into(),
            pin_dir: "/sys/fs/bpf/atf".into(),
        }
    }
}

impl Places {
    /// A process's own runtime directory, which it alone writes and all of ATF may enter.
    pub fn runtime(&self, process: &str) -> PathBuf {
        self.run_dir.join(process)
    }

    /// A process's own state directory, which it alone may enter.
    pub fn state(&self, process: &str) -> PathBuf {
        self.state_dir.join(process)
    }

    /// The authority's socket.
    pub fn authority_socket(&self) -> PathBuf {
        self.runtime("authority").join("authority.sock")
    }

    /// The authority's public keys, a JWK set (RFC 7517).
    pub fn jwks(&self) -> PathBuf {
        self.runtime("authority").join("jwks.json")
    }

    /// The recorder's socket.
    pub fn recorder_socket(&self) -> PathBuf {
        self.runtime("recorder").join("recorder.sock")
    }

    /// The recorder's public log key: 64 hexadecimal digits of Ed25519.
    pub fn log_key(&self) -> PathBuf {
        self.runtime("recorder").join("log.pub")
    }

    /// The recorder's public key of this life for receipts: 64 hexadecimal digits of X25519.
    pub fn receipt_key(&self) -> PathBuf {
        self.runtime("recorder").join("receipt.pub")
    }

    /// The log: segments of JSON lines.
    pub fn log_dir(&self) -> PathBuf {
        self.state("recorder").join("log")
    }

    /// The executor's socket.
    pub fn executor_socket(&self) -> PathBuf {
        self.runtime("executor").join("executor.sock")
    }

    /// The gateway's public key of this life for permits: 64 hexadecimal digits of X25519.
    pub fn permit_key(&self) -> PathBuf {
        self.runtime("gateway").join("permit.pub")
    }

    /// What the gateway's policy was told and answered. The arguments of calls are in it, so that root and
    /// the gateway alone may read it.
    pub fn hearings(&self) -> PathBuf {
        self.state("gateway").join("hearings")
    }

    /// A run's directory. Root owns it; the gateway may only enter it.
    pub fn run(&self, run: RunId) -> PathBuf {
        self.run_dir.join("runs").join(run.to_string())
    }

    /// The part of a run's directory that the gateway owns and that the run sees.
    pub fn run_gateway(&self, run: RunId) -> PathBuf {
        self.run(run).join("gateway")
    }

    /// The run's gateway socket, as the host sees it.
    pub fn run_socket(&self, run: RunId) -> PathBuf {
        self.run_gateway(run).join("mcp.sock")
    }

    /// The same for newline-delimited JSON.
    pub fn run_lines(&self, run: RunId) -> PathBuf {
        self.run_gateway(run).join("lines.sock")
    }

    /// The part of a run's directory that root owns and that the run may read: its token.
    pub fn run_identity(&self, run: RunId) -> PathBuf {
        self.run(run).join("identity")
    }
}
