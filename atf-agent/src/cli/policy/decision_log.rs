//! `atf audit show --output opa`: the decisions of the log as OPA's decision log has them, for what reads those.

use std::path::Path;

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::super::audit::time;
use super::recorded::{Past, Unknown};
use crate::audit::{Decided, Verdict};
use crate::call::{Digest, RunId, Untrusted};
use crate::config::Config;
use crate::gate::Hearing;

/// Which decisions, and how much of them.
pub(in crate::cli) struct Wanted<'a> {
    pub(in crate::cli) log: Option<&'a Path>,
    pub(in crate::cli) run: Option<RunId>,
    pub(in crate::cli) denied: bool,
    /// Only what was refused and made all the same.
    pub(in crate::cli) observed: bool,
    pub(in crate::cli) last: Option<usize>,
    /// With what the policy was told, in which the arguments are.
    pub(in crate::cli) input: bool,
}

/// One event of the decision log. What is not known is left out and named in `erased`.
#[derive(Serialize)]
pub(in crate::cli) struct Decision {
    labels: Value,
    decision_id: String,
    bundles: Value,
    path: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    erased: Vec<&'static str>,
    requested_by: String,
    timestamp: String,
    metrics: Value,
    custom: Value,
}

/// The decisions that a policy made, oldest first.
pub(in crate::cli) fn decisions(
    config: &Config,
    wanted: &Wanted<'_>,
) -> anyhow::Result<Vec<Decision>> {
    let past = Past::of(config, wanted.log);
    let mut all = past.last(None)?;
    all.retain(|decided| {
        wanted.run.is_none_or(|run| decided.run == run)
            && (!wanted.denied || matches!(decided.verdict, Verdict::Refused { .. }))
            && (!wanted.observed
                || matches!(decided.verdict, Verdict::Refused { enforced: false, .. }))
    });
    let heard = past.heard(&all)?;
    let asked = all.iter().zip(heard).filter(|(_, heard)| !matches!(heard, Err(Unknown::NotAsked)));
    let mut found: Vec<Decision> = asked
        .map(|(decided, heard)| decision(decided, heard.ok().as_ref(), wanted.input))
        .collect();
    if let Some(last) = wanted.last {
        found.drain(..found.len().saturating_sub(last));
    }
    Ok(found)
}

fn decision(decided: &Decided, heard: Option<&Hearing>, with_input: bool) -> Decision {
    let mut erased = Vec::new();
    let input = heard.filter(|_| with_input).and_then(|heard| heard.told().to_owned().into());
    let input = input.and_then(|told: String| RawValue::from_string(told).ok());
    if input.is_none() {
        erased.push("/input");
    }
    let (result, error) = match heard.map(Hearing::answered) {
        Some(Ok(answer)) => (Some(answer.clone()), None),
        Some(Err(error)) => (None, Some(json!({"code": "eval_error", "message": error}))),
        None => {
            erased.push("/result");
            (None, None)
        }
    };
    Decision {
        labels: json!({"app": "atf", "version": env!("CARGO_PKG_VERSION"), "id": decided.chain}),
        decision_id: decided.decision.to_string(),
        bundles: json!({"atf": {"revision": decided.policy.as_ref().map(Digest::to_string)}}),
        path: "atf/gate/decision",
        input,
        result,
        error,
        erased,
        requested_by: format!("run:{}", decided.run),
        timestamp: time(decided.time_unix_ms),
        metrics: json!({"timer_server_handler_ns": decided.gate_ns}),
        custom: json!({"atf": custom(decided)}),
    }
}

/// What became of the call in the end: the policy is one step of several.
fn custom(decided: &Decided) -> Value {
    let target = decided.target.as_ref().map(Untrusted::to_string);
    let (verdict, step, reason, enforced) = match &decided.verdict {
        Verdict::Allowed => ("allowed", None, None, true),
        Verdict::Refused { step, reason, enforced, .. } => {
            ("refused", Some(step), Some(reason), *enforced)
        }
    };
    json!({"seq": decided.seq, "target": target, "verdict": verdict, "step": step, "reason": reason, "enforced": enforced})
}
