//! The seal: from the gate's decision to the first connection that the kernel refuses to the run,
//! beside the same connection while it was allowed.

use anyhow::{Context, Result, bail};

use super::Options;
use super::call::demo_options;
use super::report::Row;
use crate::demo::calls::{call_arguments, drop_table, start};
use crate::demo::installation::{self, AGENT, Installation};
use crate::demo::log::{is, number};
use crate::demo::process::Place;
use crate::hijacked::mcp::Hammered;
use crate::lab::World;

/// Runs that are sealed. Each is a real one, with its cage, so a hundred take a while.
const RUNS: usize = 100;

pub(super) fn row(options: &Options) -> Result<Row> {
    let folder = installation::folder()?;
    let world = World::new(&folder.path().join("lab")).context("cannot build the lab (root?)")?;
    let place = Place::new(&world, folder.path(), &options.hijacked)?;
    let installation = Installation::start(folder.path(), &demo_options(options, false))?;
    let log = installation.log();
    let (tool, arguments) = drop_table();
    let (mut times, mut allowed) = (Vec::with_capacity(RUNS), Vec::with_capacity(RUNS));
    for _ in 0..RUNS {
        let words = call_arguments("hammer", (tool, &arguments), &installation.prompt(), &[]);
        let command = start(&place, &installation, AGENT, "seal", &words);
        let (said, complained) = place.finish(command, |_| Ok(()))?;
        let said: Hammered = serde_json::from_str(&said)
            .with_context(|| format!("the agent saw nothing; standard error: {complained}"))?;
        let run = said.run.context("the agent had no token")?;
        let sealed = log.first(|event| is(event, "sealed") && event["run"] == run)?;
        let decided = sealed.as_ref().and_then(|event| number(&event["decided_boot_ns"]));
        let (Some(failed), Some(decided)) = (said.first_failure_boot_ns, decided) else {
            bail!("a run was not sealed: {sealed:?}");
        };
        times.push(failed.saturating_sub(decided));
        allowed.extend(said.allowed_ns);
    }
    let baseline = ("the same connection, allowed", allowed);
    Ok(Row::timed("seal: decision to first failure", times, baseline, (None, Some(1_000.0))))
}
