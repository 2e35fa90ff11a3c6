//! The clients and servers by their names: what they are, and where they are when they could be installed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// The list and what of it is there.
pub(super) struct Have {
    packages: BTreeMap<String, Package>,
    folders: BTreeMap<String, PathBuf>,
}

/// One entry of the list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Package {
    registry: Registry,
    install: Vec<String>,
}

/// Where a package is from, which says how it is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Registry {
    /// By Python.
    Pypi,
    /// By Node.
    Npm,
}

impl Have {
    /// Reads the list; `folders` are those of what could be installed.
    pub(super) fn read(list: &Path, folders: &[(String, PathBuf)]) -> Result<Self> {
        let text = std::fs::read(list).with_context(|| format!("no {}", list.display()))?;
        let packages = serde_json::from_slice(&text)
            .with_context(|| format!("{} is not valid", list.display()))?;
        Ok(Self { packages, folders: folders.iter().cloned().collect() })
    }

    /// Where a package is; `None` when it could not be installed.
    pub(super) fn folder(&self, name: &str) -> Option<&Path> {
        self.folders.get(name).map(PathBuf::as_path)
    }

    /// Where a package is from.
    pub(super) fn registry(&self, name: &str) -> Result<Registry> {
        Ok(self.package(name)?.registry)
    }

    /// The name and version of a package, and those that were asked for with it.
    pub(super) fn spelling(&self, name: &str) -> Result<Spelling> {
        let install = &self.package(name)?.install;
        let (first, rest) = install.split_first().context("nothing is installed")?;
        let (package, version) = parted(first).with_context(|| format!("no version: {first}"))?;
        let beside = rest.iter().filter(|beside| !beside.starts_with("undici@"));
        Ok(Spelling {
            package: package.to_owned(),
            version: version.to_owned(),
            beside: beside.map(|beside| beside.replace("==", " ")).collect(),
        })
    }

    fn package(&self, name: &str) -> Result<&Package> {
        self.packages.get(name).with_context(|| format!("the list has no {name}"))
    }
}

/// What a package is called in the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Spelling {
    /// Its name.
    pub(super) package: String,
    /// Its version.
    pub(super) version: String,
    /// What is held at a version besides.
    pub(super) beside: Vec<String>,
}

/// Name and version of `name==1` and `@scope/name@1`.
fn parted(wanted: &str) -> Option<(&str, &str)> {
    wanted.split_once("==").or_else(|| wanted.rsplit_once('@'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_from_versions() {
        assert_eq!(parted("mcp==1.30.0"), Some(("mcp", "1.30.0")));
        assert_eq!(parted("autogen-ext[mcp]==0.7.5"), Some(("autogen-ext[mcp]", "0.7.5")));
        assert_eq!(parted("@scope/name@1.2.3"), Some(("@scope/name", "1.2.3")));
        assert_eq!(parted("name"), None);
    }

    #[test]
    fn every_package_of_the_list_has_a_version() {
        let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("compatibility/packages.json");
        let have = Have::read(&list, &[]).expect("the list");
        assert!(have.packages.len() > 10);
        for name in have.packages.keys() {
            have.spelling(name).expect("a version");
            assert!(have.folder(name).is_none());
        }
    }
}
