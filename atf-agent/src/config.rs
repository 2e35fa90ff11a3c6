//! The configuration file: it nests the rooms' settings, reads them strictly, and hands each room
//! its own. Unknown keys are refused; every key has a default; `packaging/atf.toml` spells them out.

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
        toml::from_str(&text)
            .map_err(|error| ConfigError::Parse { path: path.to_owned(), error: Box::new(error) })
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
        ] {
            assert_eq!(toml::from_str::<Config>(text).is_ok(), fine, "{text}");
        }
    }

    #[test]
    fn only_the_default_file_may_be_missing() {
        let dir = tempfile::tempdir().unwrap();
        let error = Config::read(Some(&dir.path().join("none.toml"))).unwrap_err();
        assert!(error.to_string().contains("none.toml"), "{error}");
    }
}
