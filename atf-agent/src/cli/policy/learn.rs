//! `atf policy learn`: what the tools in mode `learn` were used for, as proposals that nothing reads.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::Serialize;
use serde_json::{Value, json};

use super::super::args::{LearnArguments, Output};
use super::super::output;
use super::super::{EXIT_NO, EXIT_OK};
use super::recorded::Past;
use crate::audit::{Decided, Verdict};
use crate::call::ToolName;
use crate::config::Config;
use crate::gate::{Hearing, Learnt, Pins, Policy, learn};
use crate::state::files;

pub(super) fn of(config: &Config, wanted: &LearnArguments) -> anyhow::Result<u8> {
    let dir = &config.places.policy_dir;
    let out = wanted.out.clone().unwrap_or_else(|| dir.join("proposed"));
    let (learnt, written) = proposed(config, wanted.last, &out)?;
    let Some(learnt) = learnt else {
        let why = "no tool is in mode learn; give one \"mode\": \"learn\" in data.json";
        match wanted.output {
            Output::Json => output::json(&json!({"written": [], "calls": {}, "why": why}))?,
            Output::Text => output::line(why)?,
        }
        return Ok(EXIT_NO);
    };
    match wanted.output {
        Output::Json => {
            output::json(&json!({"written": written, "calls": learnt.calls, "why": null}))?;
        }
        Output::Text => {
            for (tool, calls) in &learnt.calls {
                output::line(&format!("{tool}: {calls} calls"))?;
            }
            for path in &written {
                output::line(&format!("proposed: {}", path.display()))?;
            }
        }
    }
    Ok(if learnt.calls.is_empty() { EXIT_NO } else { EXIT_OK })
}

/// Learns from the last so many decisions, and writes what is proposed below `out`; `None` when no tool is to be
/// learnt.
pub(super) fn proposed(
    config: &Config,
    last: Option<usize>,
    out: &Path,
) -> anyhow::Result<(Option<Learnt>, Vec<PathBuf>)> {
    let dir = &config.places.policy_dir;
    let (policy, pins) = (Policy::read(dir)?, Pins::read(&dir.join("tools"))?);
    if policy.learning().is_empty() {
        return Ok((None, Vec::new()));
    }
    let past = Past::of(config, None);
    // What was refused in the end, by whatever step, teaches nothing.
    let made = |decided: &Decided| decided.verdict == Verdict::Allowed;
    let decisions: Vec<Decided> = past.last(last)?.into_iter().filter(made).collect();
    let heard: Vec<Hearing> = past.heard(&decisions)?.into_iter().flatten().collect();
    let learnt = learn(&policy, &pins, heard.iter());
    let written = write(&learnt, out)?;
    Ok((Some(learnt), written))
}

/// A manifest, as far as it is learnt.
#[derive(Serialize)]
struct Manifest<'a> {
    tools: Vec<&'a ToolName>,
    narrow: &'a BTreeMap<ToolName, Value>,
}

fn write(learnt: &Learnt, out: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut written = Vec::new();
    let mut put = |below: &str, name: String, text: String| {
        let dir = out.join(below);
        fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let path = dir.join(name);
        files::publish(&path, text.as_bytes())?;
        written.push(path);
        anyhow::Ok(())
    };
    for (agent, narrow) in &learnt.agents {
        let manifest = Manifest { tools: narrow.keys().collect(), narrow };
        let text = format!(
            "# A proposal, of the tools in mode learn alone. Nothing reads it here: compare it with the agent's\n# manifest.\n{}",
            toml::to_string_pretty(&manifest)?
        );
        put("agents", format!("{agent}.toml"), text)?;
    }
    for (tool, arguments) in &learnt.sql {
        let text = serde_json::to_string_pretty(arguments)?;
        put("sql", format!("{tool}.json"), format!("{text}\n"))?;
    }
    Ok(written)
}
