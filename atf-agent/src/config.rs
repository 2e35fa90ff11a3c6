//! The configuration file: it nests the rooms' settings, reads them strictly, and hands each room
//! its own. Unknown keys are refused; every key has a default; `packaging/atf.toml` spells them out.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::identity::TOKEN_TTL_S_MAX;
use crate::kernel::Posture;
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
        match config.wrong() {
            None => Ok(config),
            Some(what) => Err(ConfigError::Invalid { path: path.to_owned(), what }),
        }
    }

    /// The first value that contradicts another one or a limit.
    fn wrong(&self) -> Option<String> {
        let ids = &self.ids;
        let daemons = [ids.authority, ids.gateway, ids.recorder, ids.executor];
        let distinct: BTreeSet<u32> = daemons.into_iter().chain([ids.group]).collect();
        let ttl_s = self.authority.token_ttl_s;
        if distinct.len() != daemons.len() + 1 || distinct.contains(&0) {
            return Some("[ids] needs five different numbers, none of them 0".to_owned());
        }
        if ids.pool_first == 0 || ids.pool_size == 0 || distinct.iter().any(|id| ids.is_pool(*id)) {
            return Some(
                "[ids] pool_first and pool_size must name a pool without 0 and without the daemons"
                    .to_owned(),
            );
        }
        if !(1..=TOKEN_TTL_S_MAX).contains(&ttl_s) {
            return Some(format!(
                "authority.token_ttl_s is {ttl_s}, expected 1 to {TOKEN_TTL_S_MAX}"
            ));
        }
        if (1..crate::run::BRIDGE_PORT_MIN).contains(&self.run.bridge_port) {
            let (found, least) = (self.run.bridge_port, crate::run::BRIDGE_PORT_MIN);
            return Some(format!(
                "run.bridge_port is {found}, expected 0 or a port from {least} on"
            ));
        }
        if self.cage.posture < Posture::Core {
            let found = self.cage.posture.name();
            return Some(format!("cage.posture is {found}, expected FULL or CORE"));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHIPPED: &str = include_str!("../../packaging/atf.toml");

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
        for (text, fine) in [
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
