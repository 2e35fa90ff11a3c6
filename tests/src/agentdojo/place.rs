//! An ATF with the suites' servers behind it, set up as a preset says.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use serde_json::{Map, json};
use tempfile::TempDir;

use super::operator::Operator;
use super::preset::{Preset, Tools};
use super::{Options, SUITES};
use crate::demo::installation::{Installation, copy_tree, folder};
use crate::served::{self, Server, names_in, write_manifest};

/// The first of the servers' uids.
const UID_FIRST: u32 = 1_920_000_000;

/// Each call is judged by itself: a run that is refused is not sealed.
const REFUSALS: u64 = 1_000_000;

/// The tools of whoever plays a suite.
const PLAYED: [&str; 3] = ["pairs", "begin", "judge"];

/// The installation; it ends with the value.
pub(super) struct Place {
    pub(super) installation: Installation,
    /// The program that a run has.
    pub(super) program: PathBuf,
    folder: TempDir,
}

impl Place {
    /// Starts it.
    pub(super) fn start(options: &Options, operator: &Operator, preset: &Preset) -> Result<Self> {
        let folder = folder()?;
        let mut installation =
            Installation::prepare(folder.path(), &options.atf, &options.policies, "CORE")?;
        for (from, to) in [(&options.packages, "packages"), (&options.suites, "suites")] {
            copy_tree(from, &folder.path().join(to))?;
        }
        serve(&installation, folder.path(), &options.python)?;
        let program = folder.path().join("agent");
        fs::copy(&options.own, &program)?;
        for suite in SUITES {
            pin(&installation, operator, suite)?;
            let played = PLAYED.map(|name| format!("{suite}.{name}"));
            write_manifest(&installation, &referee(suite), &format!("tools = {played:?}\n"))?;
        }
        allow(&installation, operator, preset)?;
        installation.up(folder.path())?;
        Ok(Self { installation, program, folder })
    }

    /// A file for the text of a suite's task.
    pub(super) fn task_file(&self, suite: &str) -> PathBuf {
        self.folder.path().join(format!("{suite}.task"))
    }

    /// Writes the manifest of a suite's agent, for a task with these calls.
    pub(super) fn entitle(
        &self,
        operator: &Operator,
        preset: &Preset,
        suite: &str,
        own: &[String],
    ) -> Result<()> {
        let whole = |tool: &String| format!("{suite}.{tool}");
        let tools: Vec<String> = match preset.tools {
            Tools::All | Tools::Words => names(&self.installation, suite)?,
            Tools::None => Vec::new(),
            Tools::Oracle => own.iter().map(whole).collect(),
        };
        let mut text = format!("tools = {tools:?}\n");
        if preset.tools == Tools::Words {
            text.push_str("[task_words]\n");
            for (tool, said) in operator.tools(suite).filter(|(_, said)| !said.words.is_empty()) {
                text.push_str(&format!("{:?} = {:?}\n", whole(tool), said.words));
            }
        }
        write_manifest(&self.installation, suite, &text)
    }
}

/// The agent that plays a suite.
pub(super) fn referee(suite: &str) -> String {
    format!("{suite}-referee")
}

/// Puts the suites behind the executor.
fn serve(installation: &Installation, folder: &Path, python: &Path) -> Result<()> {
    for (suite, number) in SUITES.iter().zip(0..) {
        let mut server = Server::new(python, UID_FIRST, number);
        server.arguments =
            vec![folder.join("suites/server.py").display().to_string(), (*suite).to_owned()];
        let packages = folder.join("packages").display().to_string();
        server.environment =
            [("PYTHONPATH", packages), ("PYTHONDONTWRITEBYTECODE", "1".to_owned())]
                .map(|(name, value)| (name.to_owned(), value))
                .into();
        server.put(installation, suite)?;
    }
    Ok(())
}

/// Pins a suite's tools as an operator does, with what is said of them.
fn pin(installation: &Installation, operator: &Operator, suite: &str) -> Result<()> {
    let approved = served::approve(installation, suite, |tool, draft| {
        operator.tool(suite, tool).map_or(Ok(()), |said| said.mark(draft))
    })?;
    if let Some((name, why)) = approved.refused.first() {
        bail!("{name} is no pin: {why}");
    }
    for (tool, _) in operator.tools(suite) {
        let name = format!("{suite}.{tool}");
        if !installation.places().policy_dir.join(format!("tools/{name}.json")).exists() {
            bail!("something is said of {name}, which is no tool");
        }
    }
    Ok(())
}

/// The whole names of a suite's tools, but for those of whoever plays it.
fn names(installation: &Installation, suite: &str) -> Result<Vec<String>> {
    let mut names = names_in(&installation.places().policy_dir.join("tools"), suite)?;
    names.retain(|name| !PLAYED.iter().any(|played| *name == format!("{suite}.{played}")));
    Ok(names)
}

/// Lets the policy know the tools, with the preset's demands.
fn allow(installation: &Installation, operator: &Operator, preset: &Preset) -> Result<()> {
    served::change_data(installation, |data| {
        for suite in SUITES {
            for name in names_in(&installation.places().policy_dir.join("tools"), suite)? {
                let tool = name.split_once('.').map_or("", |(_, tool)| tool);
                let none = Map::new();
                let own = operator.tool(suite, tool).map_or(&none, |said| &said.demand);
                data["tools"][&name] = match preset.by_argument && !own.is_empty() {
                    true => json!({"sql": [], "provenance": own}),
                    false => json!({"sql": []}),
                };
            }
        }
        data["provenance"] = json!({"demand": preset.demand, "secrets_to_sinks": preset.secrets});
        data["seal"]["refusals"] = json!(REFUSALS);
        Ok(())
    })
}
