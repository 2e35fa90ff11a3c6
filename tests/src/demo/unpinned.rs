//! Every pin is removed, as nobody but root can. The cage is made anew with maps of its own, and each process of ATF has
//! to begin with those: a run that starts then works, and what the new programs deny it is in the log.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::chaos::until_whole;
use super::installation::Installation;
use super::killed::{PROCESSES, under_a_steady_run, until_good};
use super::log::{Log, is};
use super::process::Place;
use super::report::Row;

/// The longest that all of ATF may take to be of use again, under emulation.
const BACK_MAX: Duration = Duration::from_secs(120);

/// The row, and its work.
pub(super) fn run(place: &Place<'_>, installation: &Installation, log: &Log) -> Row {
    let (id, what) = ("pins_removed", "every pin is removed, and the cage made anew");
    Row::or_failed(id, what, removed(place, installation, log, Row::new(id, what)))
}

fn removed(place: &Place<'_>, installation: &Installation, log: &Log, mut row: Row) -> Result<Row> {
    let before = place.world.oracle.seen();
    let old = processes(installation)?;
    let began = Instant::now();
    fs::remove_dir_all(installation.pin_dir()).context("cannot remove the pins")?;
    while processes(installation).is_ok_and(|now| now.iter().zip(&old).any(|(n, o)| n == o)) {
        ensure!(began.elapsed() < BACK_MAX, "a process holds on to the maps of before");
        thread::sleep(Duration::from_millis(20));
    }
    until_whole(installation)?;
    let mut out = false;
    under_a_steady_run(place, installation, |rounds| out = until_good(rounds).unwrap_or(true))?;
    row.us = Some(began.elapsed().as_secs_f64() * 1e6);
    let registered = log.events()?.into_iter().rfind(|event| is(event, "run_registered"));
    let registered = registered.context("no run is in the log")?;
    let run = registered["run"].as_str().context("a run without a name")?.to_owned();
    if log.first_denial(&run)?.is_none() {
        bail!("what the new cage denied is not in the log");
    }
    let kept = !out && place.world.oracle.seen() == before;
    row.with = Some(if kept { "closed, then back" } else { "out" }.to_owned());
    Ok(row.promise(kept, "a canary was reached, or an attempt saw no error"))
}

/// Each of them, as they are now.
fn processes(installation: &Installation) -> Result<Vec<i32>> {
    PROCESSES.iter().map(|name| installation.process(name)).collect()
}
