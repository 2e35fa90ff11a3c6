//! Units as their files say it, and the tool that reads them as systemd does.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The folder of what is packaged.
pub(crate) fn packaging() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging")
}

/// One unit: its name, and its settings in their order.
pub(crate) struct Unit {
    pub(crate) path: PathBuf,
    settings: Vec<(String, String)>,
}

impl Unit {
    /// The service `name`.
    pub(crate) fn read(name: &str) -> Self {
        let path = packaging().join("systemd").join(name);
        let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let lines = text.lines().filter(|line| !line.starts_with(['#', '[']));
        let settings = lines.filter_map(|line| line.split_once('='));
        let settings = settings.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        Self { path, settings }
    }

    /// All services.
    pub(crate) fn all() -> Vec<Self> {
        let listed = fs::read_dir(packaging().join("systemd")).expect("the units are packaged");
        let names = listed.map(|entry| entry.expect("readable").file_name());
        let names = names.map(|name| name.into_string().expect("a plain name"));
        let mut names: Vec<String> = names.filter(|name| name.ends_with(".service")).collect();
        names.sort();
        names.iter().map(|name| Self::read(name)).collect()
    }

    /// The file's name.
    pub(crate) fn name(&self) -> &str {
        self.path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
    }

    /// Every word of every line of a setting.
    pub(crate) fn words(&self, key: &str) -> Vec<&str> {
        let lines = self.settings.iter().filter(|(found, _)| found == key);
        lines.flat_map(|(_, value)| value.split_whitespace()).collect()
    }

    /// Whether a setting stands there at all.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.settings.iter().any(|(found, _)| found == key)
    }
}

/// Runs `systemd-analyze`. A host without it has no test, and a test that does not run has failed.
pub(crate) fn systemd_analyze(arguments: &[&str], unit: Option<&Path>) -> Output {
    Command::new("systemd-analyze").args(arguments).args(unit).output().unwrap_or_else(|error| {
        panic!("this test needs systemd-analyze (Debian's package systemd): {error}")
    })
}

/// Its words, on both outputs.
pub(crate) fn said(output: &Output) -> String {
    let both = [&output.stdout, &output.stderr];
    both.map(|bytes| String::from_utf8_lossy(bytes).into_owned()).concat()
}
