//! What systemd is told, and what it says of its units. By its own private socket: there is no D-Bus.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::output;

/// The longest that something may take that systemd was told to do. Under emulation, a key of RSA does.
const SOON: Duration = Duration::from_secs(90);

/// Where an operator's units are.
const UNITS: &str = "/etc/systemd/system";

/// Tells systemd.
pub(super) fn systemctl(words: &[&str]) -> Result<String> {
    output(Command::new("systemctl").arg("--no-pager").args(words))
}

/// A unit's properties.
pub(super) struct Unit {
    name: String,
    properties: BTreeMap<String, String>,
}

impl Unit {
    /// Asks for a unit's properties.
    pub(super) fn show(name: &str) -> Result<Self> {
        let said = systemctl(&["show", name])?;
        let pairs = said.lines().filter_map(|line| line.split_once('='));
        let properties = pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        Ok(Self { name: name.to_owned(), properties })
    }

    /// A property; empty when there is none.
    pub(super) fn get(&self, key: &str) -> &str {
        self.properties.get(key).map(String::as_str).unwrap_or_default()
    }

    /// A number among the properties.
    pub(super) fn number(&self, key: &str) -> Result<u64> {
        let value = self.get(key);
        value.parse().with_context(|| format!("{}: {key}={value}", self.name))
    }

    /// Whether it is up.
    pub(super) fn is_active(&self) -> bool {
        self.get("ActiveState") == "active"
    }

    /// Whether it has come to an end, a good or a bad one.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.get("ActiveState"), "inactive" | "failed") && self.get("Job").is_empty()
    }

    /// When its process was started, in microseconds of the monotonic clock; 0: it never was.
    pub(super) fn started_us(&self) -> Result<u64> {
        self.number("ExecMainStartTimestampMonotonic")
    }
}

/// Waits until a unit is as it is wanted.
pub(super) fn wait(name: &str, what: &str, wanted: impl Fn(&Unit) -> bool) -> Result<Unit> {
    let until = Instant::now() + SOON;
    loop {
        let unit = Unit::show(name)?;
        if wanted(&unit) {
            return Ok(unit);
        }
        if Instant::now() > until {
            let (state, result) = (unit.get("ActiveState"), unit.get("Result"));
            let journal = journal(name).unwrap_or_default();
            let last: Vec<&String> = journal.iter().rev().take(5).collect();
            bail!("{name} is {state} ({result}) and not {what} after {SOON:?}: {last:?}");
        }
        sleep(Duration::from_millis(200));
    }
}

/// What the processes of a unit said since the boot, line by line.
pub(super) fn journal(name: &str) -> Result<Vec<String>> {
    // What was just said may still be on its way.
    output(Command::new("journalctl").arg("--sync"))?;
    let words = ["--no-pager", "--quiet", "--boot", "--output=cat", "--unit", name];
    Ok(output(Command::new("journalctl").args(words))?.lines().map(str::to_owned).collect())
}

/// What the command of a unit said since the boot. journald asks for the cgroup of who speaks, and a run has
/// one of its own: it is found by the name that its unit gives to its output.
pub(super) fn said(name: &str) -> Result<Vec<String>> {
    output(Command::new("journalctl").arg("--sync"))?;
    let words = ["--no-pager", "--quiet", "--boot", "--output=cat", "--identifier"];
    let identifier = name.trim_end_matches(".service");
    let said = output(Command::new("journalctl").args(words).arg(identifier))?;
    Ok(said.lines().map(str::to_owned).collect())
}

/// Writes a unit of the operator's, or a part of one, and has systemd read it.
pub(super) fn write(name: &str, text: &str) -> Result<()> {
    let path = Path::new(UNITS).join(name);
    fs::create_dir_all(path.parent().unwrap_or(Path::new(UNITS)))?;
    fs::write(&path, text).with_context(|| path.display().to_string())?;
    systemctl(&["daemon-reload"]).map(drop)
}

/// Takes it away again.
pub(super) fn remove(name: &str) -> Result<()> {
    fs::remove_file(Path::new(UNITS).join(name))?;
    systemctl(&["daemon-reload"]).map(drop)
}

/// The text of an installed unit.
pub(super) fn text(name: &str) -> Result<String> {
    fs::read_to_string(Path::new(UNITS).join(name)).with_context(|| name.to_owned())
}
