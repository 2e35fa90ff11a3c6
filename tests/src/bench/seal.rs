//! The seal: from the gate's decision to the first connection that the kernel refuses to the run,
//! beside the same connection while it was allowed.

use anyhow::{Context, Result, bail};

use super::Options;
use super::call::demo_options;
use super::report::{Row, Target};
use crate::demo::calls::{call_arguments, drop_table, start};
use crate::demo::installation::{self, AGENT, Installation};
use crate::demo::log::{is, number};
use crate::demo::process::Place;
use crate::hijacked::mcp::Hammered;
use crate::lab::World;

/// Runs that are sealed. Each is a real one, with its cage, so that many take a while; the 99th
/// percentile of fewer would be an outlier by itself.
const RUNS: usize = 300;

/// One run's way from the gate's decision to the first failure, in nanoseconds.
struct Sealed {
    /// Until the kernel had the entry: the gateway's part.
    until_written: u64,
    /// From there until the agent saw a connection fail. It is the agent's own part: its next
    /// attempt, and the processor's time for it.
    until_failed: u64,
}

/// What it takes in all, and its two parts.
pub(super) fn rows(options: &Options) -> Result<[Row; 3]> {
    let (sealed, allowed) = seal_runs(options)?;
    let baseline = || ("the same connection, allowed", allowed.clone());
    let row = |name, time: fn(&Sealed) -> u64, target| {
        Row::timed(name, sealed.iter().map(time).collect(), baseline(), target)
    };
    let none = Target::default();
    let whole = Target { p99_us: Some(1_000.0), ..none };
    Ok([
        row("seal: decision to first failure", |s| s.until_written + s.until_failed, whole),
        row("seal: decision to the kernel's entry", |s| s.until_written, none),
        row("seal: entry to first failure", |s| s.until_failed, none),
    ])
}

/// Seals runs, one after the other; beside them, what connections took while they were allowed.
fn seal_runs(options: &Options) -> Result<(Vec<Sealed>, Vec<u64>)> {
    let folder = installation::folder()?;
    let world = World::new(&folder.path().join("lab")).context("cannot build the lab (root?)")?;
    let place = Place::new(&world, folder.path(), &options.demo, &options.hijacked)?;
    let installation = Installation::start(folder.path(), &demo_options(options, false))?;
    let log = installation.log();
    let (tool, arguments) = drop_table();
    let (mut times, mut allowed) = (Vec::new(), Vec::new());
    for _ in 0..options.extent.of(RUNS) {
        let words = call_arguments("hammer", (tool, &arguments), &installation.prompt(), &[]);
        let command = start(&place, &installation, AGENT, "seal", &words);
        let (said, complained) = place.finish(command, |_| Ok(()))?;
        let said: Hammered = serde_json::from_str(&said)
            .with_context(|| format!("the agent saw nothing; standard error: {complained}"))?;
        let run = said.run.context("the agent had no token")?;
        let sealed = log.first(|event| is(event, "sealed") && event["run"] == run)?;
        let at = |field: &str| sealed.as_ref().and_then(|event| number(&event[field]));
        let (Some(failed), Some(decided), Some(written)) =
            (said.first_failure_boot_ns, at("decided_boot_ns"), at("written_boot_ns"))
        else {
            bail!("a run was not sealed: {sealed:?}");
        };
        // The kernel may refuse before the gateway has read the clock once more.
        let until_written = written.min(failed).saturating_sub(decided);
        let until_failed = failed.saturating_sub(written.max(decided));
        times.push(Sealed { until_written, until_failed });
        allowed.extend(said.allowed_ns);
    }
    Ok((times, allowed))
}
