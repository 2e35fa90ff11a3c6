//! `atf policy check|test`: what the gateway would read, and what the policy's author promised of it.

use std::path::Path;

use serde::Serialize;

use super::args::{Output, PolicyAction, PolicyArguments};
use super::output;
use super::{EXIT_NO, EXIT_OK};
use crate::config::Config;
use crate::gate::{Pins, Policy, PolicyTest, test_policy};

pub(super) fn policy(config: &Config, action: &PolicyAction) -> anyhow::Result<u8> {
    let (PolicyAction::Check(PolicyArguments { dir, output })
    | PolicyAction::Test(PolicyArguments { dir, output })) = action;
    let dir = dir.as_deref().unwrap_or(&config.places.policy_dir);
    match action {
        PolicyAction::Check(_) => check(dir, *output),
        PolicyAction::Test(_) => test(dir, *output),
    }
}

/// The answer of `check`.
#[derive(Serialize)]
struct Checked {
    /// Whether a gateway would start with it.
    good: bool,
    /// The policy's revision, as the log names it.
    revision: Option<String>,
    /// The pinned tools, in the order of their names.
    tools: Vec<PinnedTool>,
    /// What is wrong.
    wrong: Vec<String>,
}

#[derive(Serialize)]
struct PinnedTool {
    name: String,
    digest: String,
}

fn check(dir: &Path, form: Output) -> anyhow::Result<u8> {
    let mut checked = Checked { good: true, revision: None, tools: Vec::new(), wrong: Vec::new() };
    match Policy::read(dir) {
        Ok(policy) => checked.revision = Some(policy.revision().to_string()),
        Err(error) => checked.wrong.push(error.to_string()),
    }
    match Pins::read(&dir.join("tools")) {
        Ok(pins) => checked.tools.extend(pins.iter().map(|pin| PinnedTool {
            name: pin.name().to_string(),
            digest: pin.digest().to_string(),
        })),
        Err(error) => checked.wrong.push(error.to_string()),
    }
    checked.good = checked.wrong.is_empty();
    match form {
        Output::Json => output::json(&checked)?,
        Output::Text => {
            if let Some(revision) = &checked.revision {
                output::line(&format!("ok    policy: revision {revision}"))?;
            }
            for tool in &checked.tools {
                output::line(&format!("ok    tool {}: pin {}", tool.name, tool.digest))?;
            }
            for wrong in &checked.wrong {
                output::line(&format!("wrong {wrong}"))?;
            }
        }
    }
    Ok(if checked.good { EXIT_OK } else { EXIT_NO })
}

/// One line of the answer of `test`.
#[derive(Serialize)]
struct Tested<'a> {
    rule: &'a str,
    place: &'a str,
    held: bool,
    instead: Option<&'a str>,
}

impl<'a> From<&'a PolicyTest> for Tested<'a> {
    fn from(test: &'a PolicyTest) -> Self {
        let instead = test.instead.as_deref();
        Self { rule: &test.rule, place: &test.place, held: instead.is_none(), instead }
    }
}

fn test(dir: &Path, form: Output) -> anyhow::Result<u8> {
    let tests = test_policy(dir)?;
    let failed = tests.iter().filter(|test| test.instead.is_some()).count();
    match form {
        Output::Json => output::json(&tests.iter().map(Tested::from).collect::<Vec<_>>())?,
        Output::Text => {
            for test in &tests {
                let (word, instead) = match &test.instead {
                    None => ("ok   ", String::new()),
                    Some(what) => ("wrong", format!(": expected true, found {what}")),
                };
                output::line(&format!("{word} {} ({}){instead}", test.rule, test.place))?;
            }
            output::line(&format!("{} tests, {failed} failed", tests.len()))?;
        }
    }
    // No test at all proves nothing: a mistyped directory must not look like a success.
    Ok(if failed == 0 && !tests.is_empty() { EXIT_OK } else { EXIT_NO })
}
