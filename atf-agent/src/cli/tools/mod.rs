//! `atf tools pin|diff|approve|lint`: what the tool servers offer, and what of it an operator approved.

mod approve;
mod ask;
mod lint;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use super::args::{Output, ToolsAction};
use super::output;
use crate::call::ToolName;
use crate::config::Config;

pub(super) fn tools(config: &Config, action: &ToolsAction) -> anyhow::Result<u8> {
    let dir = |given: &Option<PathBuf>| {
        let dir = given.as_deref().unwrap_or(&config.places.policy_dir);
        Pinned(dir.join("tools"))
    };
    match action {
        ToolsAction::Pin(wanted) => ask::pin(
            config,
            &dir(&wanted.policy.dir),
            wanted.server.as_deref(),
            wanted.policy.output,
        ),
        ToolsAction::Diff(wanted) => ask::diff(
            config,
            &dir(&wanted.policy.dir),
            wanted.server.as_deref(),
            wanted.policy.output,
        ),
        ToolsAction::Approve { tools, policy } => {
            approve::approve(&dir(&policy.dir), tools, policy.output)
        }
        ToolsAction::Lint(policy) => lint::lint(&dir(&policy.dir), policy.output),
    }
}

/// The directory of the pins.
struct Pinned(PathBuf);

impl Pinned {
    /// The pin that is in force.
    fn approved(&self, tool: &ToolName) -> PathBuf {
        self.0.join(format!("{tool}.json"))
    }

    /// The draft of one.
    fn proposed(&self, tool: &ToolName) -> PathBuf {
        self.proposals().join(format!("{tool}.json"))
    }

    /// Where drafts are: nothing reads them but these commands.
    fn proposals(&self) -> PathBuf {
        self.0.join("proposed")
    }
}

/// One line of an answer.
#[derive(serde::Serialize)]
struct Row {
    /// The tool, or the server that gave no list.
    tool: String,
    /// `proposed`, `unchanged`, `approved`, `changed`, `new`, `gone`, `good` or `refused`.
    state: &'static str,
    /// The file, when there is one.
    path: Option<PathBuf>,
    /// What differs, or what is wrong.
    what: Option<String>,
}

impl Row {
    fn new(tool: &(impl std::fmt::Display + ?Sized), state: &'static str) -> Self {
        Self { tool: tool.to_string(), state, path: None, what: None }
    }

    fn at(mut self, path: &Path) -> Self {
        self.path = Some(path.to_owned());
        self
    }

    fn because(mut self, what: impl Into<String>) -> Self {
        self.what = Some(what.into());
        self
    }
}

/// Prints the rows. What is wrong may quote a server, so it escapes itself.
fn print(rows: &[Row], form: Output) -> anyhow::Result<()> {
    match form {
        Output::Json => output::json(&rows),
        Output::Text => {
            for row in rows {
                let path = row.path.as_ref().map(|path| format!(" {}", path.display()));
                let what = row.what.as_ref().map(|what| format!(": {}", shown(what)));
                let tool = shown(&row.tool);
                output::line(&format!(
                    "{:<9} {tool}{}{}",
                    row.state,
                    path.unwrap_or_default(),
                    what.unwrap_or_default()
                ))?;
            }
            Ok(())
        }
    }
}

fn shown(text: &str) -> crate::call::Untrusted {
    crate::call::Untrusted::new(text)
}
