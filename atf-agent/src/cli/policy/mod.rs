//! `atf policy`: what the gateway would read, what the policy's author promised of it, why it decided as it
//! did, and what another one would change.

mod bundle;
pub(super) mod decision_log;
mod explain;
mod learn;
mod place;
mod publish;
mod recorded;
mod replay;
#[cfg(test)]
mod tests;

use std::path::Path;

use serde::Serialize;

use super::args::{Output, PolicyAction, PolicyArguments};
use super::output;
use super::{EXIT_NO, EXIT_OK};
use crate::config::Config;
use crate::gate::{Covered, Pins, Policy, PolicyTest, UNENFORCED, test_policy};
pub(super) use recorded::Named;

/// What `atf policy check` says of rules that the register machine cannot serve.
const INTERPRETED: &str = "the rules are interpreted, some 0.1 ms a call instead of 0.01";

pub(super) fn policy(config: &Config, action: &PolicyAction) -> anyhow::Result<u8> {
    let of = |wanted: &PolicyArguments| {
        wanted.dir.clone().unwrap_or_else(|| config.places.policy_dir.clone())
    };
    match action {
        PolicyAction::Check(wanted) => check(&of(wanted), wanted.output),
        PolicyAction::Test { policy, coverage } => test(&of(policy), *coverage, policy.output),
        PolicyAction::Explain(wanted) => explain::of(config, wanted),
        PolicyAction::Replay(wanted) => replay::of(config, wanted),
        PolicyAction::Publish { draft, how } => publish::publish(config, draft, how),
        PolicyAction::Rollback { to, how } => publish::rollback(config, *to, how),
        PolicyAction::Bundle(wanted) => bundle::bundle(wanted),
        PolicyAction::Capabilities => bundle::print_capabilities(),
        PolicyAction::Learn(wanted) => learn::of(config, wanted),
        PolicyAction::Versions { output } => publish::versions(config, *output),
        PolicyAction::Diff { first, second, output } => replay::diff(first, second, *output),
    }
}

/// The answer of `check`.
#[derive(Serialize)]
struct Checked {
    /// Whether a gateway would start with it.
    good: bool,
    /// The policy's revision, as the log names it.
    revision: Option<String>,
    /// Why its rules are interpreted, when the register machine cannot serve them.
    interpreted: Option<String>,
    /// The pinned tools, in the order of their names.
    tools: Vec<PinnedTool>,
    /// Those whose calls are made although the policy refuses them.
    unenforced: Vec<String>,
    /// Those of which the operator wants to know what they need.
    learning: Vec<String>,
    /// What its author may not have meant, and what `publish` would refuse.
    doubts: Vec<String>,
    /// What is wrong.
    wrong: Vec<String>,
}

#[derive(Serialize)]
struct PinnedTool {
    name: String,
    digest: String,
}

fn check(dir: &Path, form: Output) -> anyhow::Result<u8> {
    let mut checked = Checked {
        good: true,
        revision: None,
        interpreted: None,
        tools: Vec::new(),
        unenforced: Vec::new(),
        learning: Vec::new(),
        doubts: Vec::new(),
        wrong: Vec::new(),
    };
    let policy = Policy::read(dir);
    let pins = Pins::read(&dir.join("tools"));
    if let (Ok(policy), Ok(pins)) = (&policy, &pins) {
        checked.doubts = policy.doubts(pins);
        // The gateway never reads the tests.
        checked.doubts.extend(match test_policy(dir) {
            Ok((tests, _)) => {
                let failed = tests.iter().filter(|test| test.instead.is_some()).count();
                (failed > 0).then(|| format!("{failed} of its tests fail; see `atf policy test`"))
            }
            Err(error) => Some(format!("its tests cannot be run: {error}")),
        });
    }
    match policy {
        Ok(policy) => {
            checked.revision = Some(policy.revision().to_string());
            checked.interpreted = policy.why_interpreted().map(str::to_owned);
            checked.unenforced = policy.unenforced().iter().map(ToString::to_string).collect();
            checked.learning = policy.learning().iter().map(ToString::to_string).collect();
        }
        Err(error) => checked.wrong.push(error.to_string()),
    }
    match pins {
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
            if let Some(why) = &checked.interpreted {
                output::line(&format!("note  {INTERPRETED}: {why}"))?;
            }
            for tool in &checked.tools {
                output::line(&format!("ok    tool {}: pin {}", tool.name, tool.digest))?;
            }
            if !checked.unenforced.is_empty() {
                output::line(&format!("warn  {UNENFORCED}: {}", checked.unenforced.join(", ")))?;
            }
            if !checked.learning.is_empty() {
                output::line(&format!("ok    in mode learn: {}", checked.learning.join(", ")))?;
            }
            for doubt in &checked.doubts {
                output::line(&format!("warn  {doubt}"))?;
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

/// What the tests evaluated of one module.
#[derive(Serialize)]
struct Coverage<'a> {
    file: &'a str,
    lines: u64,
    evaluated: u64,
    missed: &'a [u32],
    rules: u64,
    rules_missed: Vec<MissedRule<'a>>,
}

#[derive(Serialize)]
struct MissedRule<'a> {
    line: u32,
    rule: &'a str,
}

impl<'a> From<&'a Covered> for Coverage<'a> {
    fn from(of: &'a Covered) -> Self {
        let missed = of.rules_missed.iter().map(|(line, rule)| MissedRule { line: *line, rule });
        Self {
            file: &of.file,
            lines: of.lines,
            evaluated: of.evaluated,
            missed: &of.missed,
            rules: of.rules,
            rules_missed: missed.collect(),
        }
    }
}

fn test(dir: &Path, coverage: bool, form: Output) -> anyhow::Result<u8> {
    let (tests, covered) = test_policy(dir)?;
    let failed = tests.iter().filter(|test| test.instead.is_some()).count();
    let tested: Vec<Tested<'_>> = tests.iter().map(Tested::from).collect();
    let covered: Vec<Coverage<'_>> = covered.iter().map(Coverage::from).collect();
    match form {
        Output::Json if coverage => {
            output::json(&serde_json::json!({"tests": tested, "coverage": covered}))?;
        }
        Output::Json => output::json(&tested)?,
        Output::Text => {
            for test in &tests {
                let (word, instead) = match &test.instead {
                    None => ("ok   ", String::new()),
                    Some(what) => ("wrong", format!(": expected true, found {what}")),
                };
                output::line(&format!("{word} {} ({}){instead}", test.rule, test.place))?;
            }
            output::line(&format!("{} tests, {failed} failed", tests.len()))?;
            for module in covered.iter().filter(|_| coverage) {
                show_coverage(module)?;
            }
        }
    }
    // No test at all proves nothing: a mistyped directory must not look like a success.
    Ok(if failed == 0 && !tests.is_empty() { EXIT_OK } else { EXIT_NO })
}

fn show_coverage(of: &Coverage<'_>) -> anyhow::Result<()> {
    let rules = of.rules - of.rules_missed.len() as u64;
    output::line(&format!(
        "{}: {} of {} lines and {rules} of {} rules were evaluated",
        of.file, of.evaluated, of.lines, of.rules
    ))?;
    for MissedRule { line, rule } in &of.rules_missed {
        output::line(&format!("  no test comes to {rule} ({}:{line})", of.file))?;
    }
    let lines: Vec<String> = of.missed.iter().map(u32::to_string).collect();
    match lines.is_empty() {
        true => Ok(()),
        false => output::line(&format!("  not evaluated: lines {}", lines.join(", "))),
    }
}
