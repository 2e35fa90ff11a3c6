//! An agent's unit that runs one command to its end, and a unit that runs the same without ATF.

use std::fs;

use anyhow::{Context, Result};
use atf_agent::call::Digest;
use serde::de::DeserializeOwned;

use super::boot::HIJACKED;
use super::unit::{self, Unit, systemctl};

/// The agent of the README.
pub(super) const NAME: &str = "reconciler";

/// Its unit.
pub(super) const UNIT: &str = "atf-agent@reconciler.service";

/// The agents' prompt.
const PROMPT: &str = "You keep the ledger.\n";

/// The unit that runs the agent's command without a launcher.
pub(super) const PLAIN: &str = "plain.service";

/// What [`PLAIN`] is.
const PLAIN_TEXT: &str = "[Service]\nType=exec\nEnvironmentFile=/etc/atf/units/reconciler.env\n\
                          ExecStart=/usr/bin/env $ATF_COMMAND\nSyslogIdentifier=plain\n";

/// What became of a unit that has ended.
pub(super) struct Ended {
    /// Its properties.
    pub(super) unit: Unit,
    /// What its command said: the lines that it wrote this time.
    lines: Vec<String>,
}

impl Ended {
    /// What the command said, when it said one thing in JSON.
    pub(super) fn said<T: DeserializeOwned>(&self) -> Result<T> {
        let mut said = self.lines.iter().filter_map(|line| serde_json::from_str(line).ok());
        said.next_back().with_context(|| format!("the command said nothing: {:?}", self.lines))
    }

    /// Whether the command said anything that was asked of it.
    pub(super) fn is_silent(&self) -> bool {
        !self.lines.iter().any(|line| line.starts_with('{'))
    }
}

/// Writes the words of the agent's unit: `command` is what it runs.
pub(super) fn configure(name: &str, command: &str) -> Result<()> {
    let prompt = format!("/etc/atf/prompts/{name}.txt");
    for folder in ["/etc/atf/units", "/etc/atf/prompts"] {
        fs::create_dir_all(folder)?;
    }
    fs::write(&prompt, PROMPT)?;
    let words = format!(
        "ATF_USER=alice@example.com\nATF_TASK=nightly\nATF_PROMPT={prompt}\nATF_COMMAND={command}\n"
    );
    Ok(fs::write(format!("/etc/atf/units/{name}.env"), words)?)
}

/// Has the agent's unit run a command to its end.
pub(super) fn once(command: &str) -> Result<Ended> {
    run(UNIT, command)
}

/// Has a unit without ATF run the same.
pub(super) fn plain(command: &str) -> Result<Ended> {
    unit::write(PLAIN, PLAIN_TEXT)?;
    run(PLAIN, command)
}

fn run(name: &str, command: &str) -> Result<Ended> {
    configure(NAME, command)?;
    let before = unit::said(name)?.len();
    systemctl(&["start", name])?;
    ended(name, before)
}

/// Waits for the end of a unit; its lines are those after the first `before`.
pub(super) fn ended(name: &str, before: usize) -> Result<Ended> {
    let unit = unit::wait(name, "at its end", Unit::is_over)?;
    let lines = unit::said(name)?.split_off(before);
    Ok(Ended { unit, lines })
}

/// The attacker's call of a tool, as the words of a command. systemd splits them and takes the quotes.
pub(super) fn call(tool: &str, arguments: &str) -> String {
    mcp("ask", tool, arguments)
}

/// The same as the mode `mode` of the attacker makes it.
pub(super) fn mcp(mode: &str, tool: &str, arguments: &str) -> String {
    let prompt = Digest::of(PROMPT.as_bytes());
    format!("{HIJACKED} mcp {mode} --prompt {prompt} --tool {tool} --arguments '{arguments}'")
}

/// A call that the agent may make.
pub(super) fn query() -> String {
    call("ledger.query", r#"{"sql":"SELECT id, amount_cents FROM ledger_entries LIMIT 5"}"#)
}
