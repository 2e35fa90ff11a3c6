//! The seal: a run that is refused too often can do nothing more, and the kernel sees to it.

use anyhow::{Context, Result};

use super::calls::{call_arguments, drop_table, start};
use super::installation::{AGENT, Installation};
use super::log::{Log, is, number};
use super::process::Place;
use super::report::Row;
use crate::hijacked::mcp::Hammered;

/// Repeats a refusal until the run is sealed, and measures from the gate's decision to the first
/// connection that the kernel refuses.
pub(super) fn run(place: &Place<'_>, installation: &Installation, log: &Log) -> Result<Row> {
    let (tool, arguments) = drop_table();
    let words = call_arguments("hammer", (tool, &arguments), &installation.prompt(), &[]);
    let command = start(place, installation, AGENT, "seal", &words);
    let (said, complained) = place.finish(command, |_| Ok(()))?;
    let said: Hammered = serde_json::from_str(&said)
        .with_context(|| format!("the attacker saw nothing; standard error: {complained}"))?;
    let mut row = Row::new("seal", "a run that repeats a refusal");
    row.with = Some(said.errno.clone().unwrap_or_else(|| "out".to_owned()));
    let run = said.run.as_deref().context("the attacker had no token")?;
    let Some(sealed) = log.first(|event| is(event, "sealed") && event["run"] == run)? else {
        return Ok(row.promise(false, format!("no seal in the log; the attacker saw {said:?}")));
    };
    let denied = log.first(|event| {
        is(event, "kernel_denied")
            && event["cgroup"] == sealed["cgroup"]
            && event["denial"] == "sealed"
    })?;
    let vector = denied.as_ref().and_then(|event| event["vector"].as_str());
    row.stopped_by = Some(vector.map_or_else(
        || "no event of the kernel's".to_owned(),
        |vector| format!("{} {vector}", super::log::layer_of(vector)),
    ));
    let decided = number(&sealed["decided_boot_ns"]);
    row.us = said
        .first_failure_boot_ns
        .zip(decided)
        .map(|(failed, decided)| failed.saturating_sub(decided) as f64 / 1e3);
    let kept = row.us.is_some() && vector.is_some() && said.connected > 0;
    Ok(row.promise(kept, format!("the attacker saw {said:?}; the log has {sealed}")))
}
