//! The whole call: an agent in its cage, the socket, the gate, the log, the executor, the ledger and
//! back, beside the same query by the bare driver.

use std::time::Instant;

use anyhow::{Context, Result};

use super::Options;
use super::report::{Row, Target};
use crate::demo;
use crate::demo::calls::{call_arguments, honest, start};
use crate::demo::installation::{self, AGENT, Installation};
use crate::demo::process::Place;
use crate::hijacked::mcp::query;
use crate::lab::World;

/// Calls of one run, one after the other on one connection.
const CALLS: usize = 1_000;

pub(super) fn rows(options: &Options) -> Result<Vec<Row>> {
    let calls = options.extent.of(CALLS);
    let bare = bare(calls)?;
    let mut rows = Vec::new();
    for (name, queued) in [("call, durable", false), ("call, queued", true)] {
        let times = through(options, queued, calls)?;
        let baseline = ("the same query by the bare driver", bare.clone());
        rows.push(Row::timed(name, times, baseline, Target::default()));
    }
    Ok(rows)
}

/// The demo's options for an installation of the bench.
pub(super) fn demo_options(options: &Options, queued: bool) -> demo::Options {
    demo::Options {
        suite: demo::Suite::Demo,
        atf: options.atf.clone(),
        demo: options.demo.clone(),
        hijacked: options.hijacked.clone(),
        policies: options.policies.clone(),
        posture: "CORE".to_owned(),
        queued,
        seals_per_minute_max: Some(std::num::NonZeroU32::MAX),
        timed: true,
        rounds: 0,
        calls: 0,
        seed: 0,
        sandbox_runtime: None,
    }
}

fn through(options: &Options, queued: bool, calls: usize) -> Result<Vec<u64>> {
    let folder = installation::folder()?;
    let world = World::new(&folder.path().join("lab")).context("cannot build the lab (root?)")?;
    let place = Place::new(&world, folder.path(), &options.demo, &options.hijacked)?;
    let installation = Installation::start(folder.path(), &demo_options(options, queued))?;
    let (tool, arguments) = honest();
    let calls = calls.to_string();
    let more = ["--calls", calls.as_str()];
    let words = call_arguments("repeat", (tool, &arguments), &installation.prompt(), &more);
    let command = start(&place, &installation, AGENT, "bench", &words);
    let (said, complained) = place.finish(command, |_| Ok(()))?;
    serde_json::from_str(&said)
        .with_context(|| format!("the agent measured nothing; standard error: {complained}"))
}

/// The same queries, on the same data, in this process.
fn bare(calls: usize) -> Result<Vec<u64>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("ledger.db");
    atf_agent::executor::seed(&path)?;
    let ledger = rusqlite::Connection::open(&path)?;
    let mut times = Vec::with_capacity(calls);
    for i in 0..calls {
        let sql = query(i);
        let began = Instant::now();
        let mut statement = ledger.prepare(&sql)?;
        let columns = statement.column_count();
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            for column in 0..columns {
                std::hint::black_box(row.get::<_, rusqlite::types::Value>(column)?);
            }
        }
        times.push(u64::try_from(began.elapsed().as_nanos())?);
    }
    Ok(times)
}
