//! `atf policy explain`: which rule and line, or which check before it, decided a call.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::super::args::{ExplainArguments, Output};
use super::super::audit::time;
use super::super::output;
use super::super::{EXIT_NO, EXIT_OK};
use super::recorded::{Past, Unknown};
use crate::audit::{Decided, Verdict};
use crate::call::{Digest, Reason, Step, Untrusted};
use crate::config::Config;
use crate::gate::{Explained, Place, Policy, explain};
use crate::state::Versions;

#[derive(Serialize)]
struct Answer {
    seq: u64,
    time_unix_ms: u64,
    decision: String,
    run: String,
    target: Option<Untrusted>,
    policy: Option<Digest>,
    allowed: bool,
    /// The step that refused.
    step: Option<Step>,
    reason: Option<Reason>,
    detail: Option<Untrusted>,
    /// Which rules of the policy made its answer; absent when it was not asked, or that is not known.
    explained: Option<Explained>,
    /// Why there are no rules to show though the policy was asked.
    unknown: Option<String>,
}

pub(super) fn of(config: &Config, wanted: &ExplainArguments) -> anyhow::Result<u8> {
    let past = Past::of(config, wanted.log.as_deref());
    let decided = past.one(wanted.decision)?;
    let dirs = match &wanted.policy.dir {
        Some(dir) => vec![dir.clone()],
        None => dirs(&config.places.policy_dir)?,
    };
    let (explained, unknown) = match rules(&past, &decided, &dirs)? {
        Ok(explained) => (explained, None),
        Err(unknown) => (None, Some(unknown)),
    };
    let (allowed, step, reason, detail) = match decided.verdict {
        Verdict::Allowed => (true, None, None, None),
        Verdict::Refused { step, reason, detail, .. } => {
            (false, Some(step), Some(reason), Some(detail))
        }
    };
    let answer = Answer {
        seq: decided.seq,
        time_unix_ms: decided.time_unix_ms,
        decision: decided.decision.to_string(),
        run: decided.run.to_string(),
        target: decided.target,
        policy: decided.policy,
        allowed,
        step,
        reason,
        detail,
        explained,
        unknown,
    };
    match wanted.policy.output {
        Output::Json => output::json(&answer)?,
        Output::Text => show(&answer)?,
    }
    Ok(if answer.unknown.is_none() { EXIT_OK } else { EXIT_NO })
}

/// The rules that made the policy's answer; none when it was not asked. The second error says why they
/// cannot be told: only the very policy that judged explains itself.
fn rules(
    past: &Past,
    decided: &Decided,
    dirs: &[PathBuf],
) -> anyhow::Result<Result<Option<Explained>, String>> {
    let heard = match past.heard(std::slice::from_ref(decided))?.pop() {
        Some(Ok(heard)) => heard,
        None | Some(Err(Unknown::NotAsked)) => return Ok(Ok(None)),
        Some(Err(unknown)) => return Ok(Err(unknown.to_string())),
    };
    let Some(dir) = judging(dirs, decided.policy)? else {
        let judged = decided.policy.map(|judged| judged.to_string()).unwrap_or_default();
        return Ok(Err(format!(
            "policy revision {judged} judged, and is neither in {} nor kept beside it; name its directory with --dir",
            dirs[0].display()
        )));
    };
    let explained = explain(&dir, &heard)?;
    if explained.answer != heard.answer() {
        return Ok(Err(
            "the policy answered something else then: it had failed, or run out of time".to_owned(),
        ));
    }
    Ok(Ok(Some(explained)))
}

/// The policy's directory, and those of the versions that are kept beside it.
fn dirs(policy_dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let versions = Versions::of(policy_dir);
    let kept = versions.all()?.into_iter().rev().map(|version| versions.path(version.number));
    Ok(std::iter::once(policy_dir.to_owned()).chain(kept).collect())
}

/// The first of `dirs` that has the revision that judged. A version that is broken judged nothing.
fn judging(dirs: &[PathBuf], judged: Option<Digest>) -> anyhow::Result<Option<PathBuf>> {
    for (kept, dir) in dirs.iter().enumerate() {
        match Policy::read(dir) {
            Ok(policy) if Some(policy.revision()) == judged => return Ok(Some(dir.clone())),
            Err(error) if kept == 0 => return Err(error.into()),
            Ok(_) | Err(_) => {}
        }
    }
    Ok(None)
}

fn show(answer: &Answer) -> anyhow::Result<()> {
    let target = answer.target.as_ref().map(ToString::to_string).unwrap_or_default();
    output::line(&format!("decision {}, record {}", answer.decision, answer.seq))?;
    output::line(&format!("{} run {} {target}", time(answer.time_unix_ms), answer.run))?;
    match (answer.step, answer.reason, &answer.detail) {
        (Some(step), Some(reason), Some(detail)) => {
            output::line(&format!("refused at step {step}: {reason}"))?;
            output::line(&format!("  {detail}"))?;
        }
        _ => output::line("allowed")?,
    }
    if let Some(policy) = answer.policy {
        output::line(&format!("policy revision {policy}"))?;
    }
    if let Some(unknown) = &answer.unknown {
        return output::line(&format!("the rules cannot be told: {unknown}"));
    }
    let Some(explained) = &answer.explained else {
        return output::line("the policy was not asked: a step before it decided");
    };
    output::line(if explained.answer.allow { "the policy allows" } else { "the policy denies" })?;
    for decider in &explained.decided_by {
        let reason = decider.reason.as_deref().unwrap_or("decision");
        output::line(&format!("  {}: {}", Untrusted::from(reason), at(&decider.place)))?;
    }
    output::line("its rules")?;
    for rule in &explained.rules {
        let indent = "  ".repeat(rule.deep + 1);
        let value = Untrusted::from(rule.value.as_str());
        output::line(&format!("{indent}{} = {value}", rule.rule))?;
        for held in &rule.definitions {
            let word = match held.holds {
                Some(true) => "holds",
                Some(false) => "-    ",
                None => "     ",
            };
            output::line(&format!("{indent}  {word} {}", at(&held.place)))?;
        }
    }
    Ok(())
}

fn at(place: &Place) -> String {
    let text = Untrusted::from(place.text.trim_end());
    format!("{}:{}  {text}", Untrusted::from(place.file.as_str()), place.line)
}
