//! The memory of ATF's own processes while many runs are up and call.

use std::fs;
use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result};
use atf_agent::kernel::boot_ms;

use crate::bench::call::demo_options;
use crate::bench::report::Row;
use crate::bench::{Extent, Options};
use crate::demo::calls::{call_arguments, honest, start};
use crate::demo::installation::{self, AGENT, Installation};
use crate::demo::process::Place;
use crate::lab::World;

/// Runs that are up at once, each a process with its keeper.
const RUNS: usize = 500;

/// From one call of a run to its next, in microseconds.
const EVERY_US: u64 = 1_000_000;

/// Time for a run to start, in milliseconds: they start one after the other, and call at the same time.
const START_MS: u64 = 150;

/// How long they call, in milliseconds, and after how much of it the memory is read.
const LOAD_MS: u64 = 6_000;
const READ_MS: u64 = 4_000;

/// The most that all daemons may take together, in MiB.
const MOST_MIB: f64 = 120.0;

/// What the row is called, before the number of runs.
pub(super) const NAME: &str = "memory of the daemons";

/// What the daemons take, without what the runs' keepers do.
pub(super) fn row(options: &Options) -> Result<Row> {
    let runs = match options.extent {
        Extent::Whole => RUNS,
        Extent::Sample => 2,
    };
    let folder = installation::folder()?;
    let world = World::new(&folder.path().join("lab")).context("cannot build the lab (root?)")?;
    let place = Place::new(&world, folder.path(), &options.demo, &options.hijacked)?;
    let installation = Installation::start(folder.path(), &demo_options(options, true))?;
    let begin = boot_ms() + START_MS * (runs as u64 + 10);
    let (from, lasts, every) = (begin.to_string(), LOAD_MS.to_string(), EVERY_US.to_string());
    let more =
        ["--connections", "1", "--from-boot-ms", &from, "--for-ms", &lasts, "--every-us", &every];
    let (tool, arguments) = honest();
    let words = call_arguments("load", (tool, &arguments), &installation.prompt(), &more);
    let mut processes = Vec::with_capacity(runs);
    for _ in 0..runs {
        let mut command = start(&place, &installation, AGENT, "load", &words);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        processes.push(place.spawn(command)?);
    }
    sleep(Duration::from_millis((begin + READ_MS).saturating_sub(boot_ms())));
    let pids = installation.processes()?;
    let kib: u64 = pids.iter().map(|pid| proportional_kib(*pid)).sum::<Result<u64>>()?;
    for process in processes {
        let output = process.wait_with_output()?;
        let complained = String::from_utf8_lossy(&output.stderr);
        anyhow::ensure!(output.status.success(), "a run did not call: {complained}");
    }
    let name = format!("{NAME}, {runs} active runs");
    Ok(Row::single(&name, "MiB", pids.len(), kib as f64 / 1024.0, MOST_MIB))
}

/// The proportional set size of a process, in KiB: what it shares counts by its part.
fn proportional_kib(pid: i32) -> Result<u64> {
    let file = format!("/proc/{pid}/smaps_rollup");
    let text = fs::read_to_string(&file).with_context(|| format!("cannot read {file}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.and_then(|number| number.parse().ok()).with_context(|| format!("{file} has no Pss"))
}
