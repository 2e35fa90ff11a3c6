//! The configuration file: it nests the rooms' settings, reads them strictly, and hands each room
//! its own. Unknown keys are refused; every key has a default; `packaging/atf.toml` spells them out.

mod values;

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::wire::{Ids, Places};

/// Where the configuration is when nothing else is said.
pub const DEFAULT_PATH: &str = "/etc/atf/atf.toml";

/// The whole configuration.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where things are.
    pub places: Places,
    /// The uids.
    pub ids: Ids,
    /// The cage.
    pub cage: crate::kernel::Settings,
    /// The authority.
    pub authority: crate::authority::Settings,
    /// The policy.
    pub policy: crate::gate::PolicySettings,
    /// The gateway.
    pub gateway: crate::gateway::Settings,
    /// The recorder.
    pub recorder: crate::recorder::Settings,
    /// The executor.
    pub executor: crate::executor::Settings,
    /// The launcher.
    pub run: crate::run::Settings,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {path}: {error}; name another with --config")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// It is not the TOML that it should be.
    #[error("the configuration {path} is not valid:\n{error}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and what.
        error: Box<toml::de::Error>,
    },
    /// Its values contradict each other or a limit.
    #[error("the configuration {path} is not valid: {what}")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Which value, what was expected.
        what: String,
    },
}

impl Config {
    /// Reads the file at `path`, or the one at [`DEFAULT_PATH`] when `path` is `None`. Only the
    /// default file may be missing: then the defaults hold.
    ///
    /// # Errors
    /// When the file cannot be read, has an unknown key or a value of the wrong kind.
    pub fn read(path: Option<&Path>) -> Result<Self, ConfigError> {
        let (path, may_be_missing) = match path {
            Some(path) => (path, false),
            None => (Path::new(DEFAULT_PATH), true),
        };
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if may_be_missing && error.kind() == io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(error) => {
                return Err(ConfigError::Read { path: path.to_owned(), error });
            }
        };
        let config: Self = toml::from_str(&text).map_err(|error| ConfigError::Parse {
            path: path.to_owned(),
            error: Box::new(error),
        })?;
        match values::wrong(&config) {
            None => Ok(config),
            Some(what) => Err(ConfigError::Invalid { path: path.to_owned(), what }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHIPPED: &str = include_str!("../../../packaging/atf.toml");

    #[test]
    fn the_shipped_example_equals_the_defaults() {
        let shipped: Config = toml::from_str(SHIPPED).unwrap();
        assert_eq!(shipped, Config::default());
    }

    #[test]
    fn the_shipped_example_spells_out_every_key() {
        let shipped: toml::Table = SHIPPED.parse().unwrap();
        let every = toml::Table::try_from(Config::default()).unwrap();
        for (room, keys) in &every {
            for key in keys.as_table().unwrap().keys() {
                assert!(shipped[room].get(key).is_some(), "packaging/atf.toml lacks {room}.{key}");
            }
        }
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for (text, fine) in [
            ("", true),
            ("[gateway]\nbody_bytes_max = 1024", true),
            ("[gateway]\nbody_byte_max = 1024", false),
            ("[gatway]", false),
            ("[gateway]\nbody_bytes_max = \"1024\"", false),
            ("[gateway]\nbody_bytes_max = -1", false),
            ("[cage]\nposture = \"FULL\"", true),
            ("[cage]\nposture = \"whatever\"", false),
            ("[cage]\nmode = \"enforce\"", true),
            ("[cage]\nmode = \"observe\"", true),
            ("[cage]\nmode = \"Observe\"", false),
            ("[cage]\nmode = \"off\"", false),
            ("[cage]\nmode = true", false),
        ] {
            assert_eq!(toml::from_str::<Config>(text).is_ok(), fine, "{text}");
        }
    }

    #[test]
    fn values_that_contradict_each_other_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("atf.toml");
        let run_dir = |bytes: usize| format!("[places]\nrun_dir = \"/{}\"", "r".repeat(bytes - 1));
        for (text, fine) in [
            (run_dir(50).as_str(), true),
            (run_dir(51).as_str(), false),
            ("[places]\nrun_dir = \"/srv/atf\"\nstate_dir = \"/srv/atf/state\"", true),
            ("[places]\nrun_dir = \"/srv/atf\"\nstate_dir = \"/srv/atf/\"", false),
            ("[ids]\nexecutor = 1900000009", true),
            ("[ids]\nexecutor = 1900000003", false),
            ("[ids]\nexecutor = 0", false),
            ("[ids]\npool_first = 0", false),
            ("[ids]\npool_first = 1899999999", false),
            ("[authority]\ntoken_ttl_s = 60", true),
            ("[authority]\ntoken_ttl_s = 3000", false),
            ("[authority]\ntoken_ttl_s = 0", false),
            ("[run]\nbridge_port = 8283", true),
            ("[run]\nbridge_port = 1023", false),
            ("[run]\nbridge_port = 65536", false),
            ("[cage]\nposture = \"CORE\"", true),
            ("[cage]\nposture = \"REFUSE\"", false),
            ("[cage]\nposture = \"OBSERVE\"", false),
            ("[places]\nrun_dir = \"/srv/atf/run\"", true),
            ("[places]\nrun_dir = \"rel/run\"", false),
            ("[places]\npolicy_dir = \"/srv/../policies\"", false),
            ("[cage]\ncgroup = \"fleet/agents\"", true),
            ("[cage]\ncgroup = \"\"", false),
            ("[cage]\ncgroup = \"/atf/agents\"", false),
            ("[cage]\ncgroup = \"../x\"", false),
            ("[executor]\nledger = \"books/ledger.db\"", true),
            ("[executor]\nledger = \"\"", false),
            ("[executor]\nledger = \"/ledger.db\"", false),
            ("[authority]\nissuer = \"\"", false),
            ("[authority]\naudience = \" \"", false),
            ("[authority]\nrun_max_s = 1", true),
            ("[authority]\nrun_max_s = 0", false),
            ("[policy]\nsigners = { ci = \"/k.pem\" }", true),
            ("[policy]\nsigners = { ci = \"k.pem\" }", false),
            ("[gateway]\nbody_bytes_max = 0", false),
            ("[gateway]\nresult_bytes_max = 0", false),
            ("[gateway]\nconnections_per_run_max = 0", false),
            ("[gateway]\ncalls_per_run_max = 0", false),
            ("[gateway]\ntasks_per_run_max = 0", true),
            ("[gateway]\nkept_bytes_per_run_max = 0", true),
            ("[gateway]\nhearings_bytes_max = 0", true),
            ("[gateway]\nexecute_timeout_ms = 0", false),
            ("[recorder]\nsegment_bytes_max = 0", false),
            ("[recorder]\ngroup_records_max = 0", false),
            ("[executor]\nrows_max = 0", false),
            ("[executor]\nquery_timeout_ms = 0", false),
            ("[run]\nread_only = []", true),
            ("[run]\nread_only = [\"/opt/agent\"]", true),
            ("[run]\nread_only = [\"relative\"]", false),
            ("[run]\npids_max = 0", false),
            ("[run]\nmemory_bytes_max = 0", false),
            ("[run]\nscratch_bytes_max = 0", false),
            ("[run]\nfiles_max = 0", false),
        ] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(Config::read(Some(&path)).is_ok(), fine, "{text}");
        }
    }

    #[test]
    fn only_the_default_file_may_be_missing() {
        let dir = tempfile::tempdir().unwrap();
        let error = Config::read(Some(&dir.path().join("none.toml"))).unwrap_err();
        assert!(error.to_string().contains("none.toml"), "{error}");
    }
}
