//! The storm: random socket calls by the million, without ATF, under it, and against each layer alone,
//! with the oracle watching. What got out is made small: one sequence, and the draws that it takes.

mod held;
mod smallest;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::ops::Range;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::alone::Alone;
use super::installation::{AGENT, Doctor, Installation, bridged};
use super::process::{Place, UNPRIVILEGED};
use super::report::{Row, Verdict};
use super::say;
use crate::hijacked::storm::Stormed;
use held::Held;

/// Calls of one process: a report of progress now and then, and no longer than a run's lease in a test.
const CALLS_AT_ONCE: u64 = 500_000;

/// Calls of the control: what reaches the canaries need not be much.
const CONTROL_CALLS: u64 = 20_000;

/// A layer alone gets this part of the calls.
const ALONE_PART: u64 = 5;

/// The longest that one process may take, under emulation.
const LONGEST: Duration = Duration::from_secs(300);

/// How long something that has been sent may take to reach a canary of the same machine.
const ARRIVAL_MAX: Duration = Duration::from_millis(250);

/// What one storm is asked for: sequences, until there are so many calls.
#[derive(Debug, Clone)]
struct Part {
    seed: u64,
    sequences: Range<u64>,
    calls: u64,
    /// Of each sequence these draws alone; all when there are none.
    only: BTreeSet<u64>,
}

impl Part {
    /// These sequences, whole.
    fn of(seed: u64, sequences: Range<u64>) -> Self {
        Self { seed, sequences, calls: u64::MAX, only: BTreeSet::new() }
    }

    /// So many calls, from a sequence on.
    fn calls(seed: u64, first: u64, calls: u64) -> Self {
        Self { calls, ..Self::of(seed, first..u64::MAX) }
    }
}

/// Where a storm is made.
enum Where<'a> {
    /// By nobody, with nothing in its way.
    Free { own: PathBuf },
    /// By a run, with a bridge or without.
    Caged(&'a Installation, bool),
    /// Against one layer, by a run with a bridge or without.
    Alone(&'a Alone<'a>, bool),
}

/// Makes the storms and gives a row for each.
pub(super) fn run(
    place: &Place<'_>,
    installation: &Installation,
    doctor: &Doctor,
    calls: u64,
    seed: u64,
) -> Result<Vec<Row>> {
    say(&format!("{calls} random socket calls, --seed {seed} deals them again"));
    let without = control(place, calls, seed)?;
    let mut rows = Vec::new();
    let part = (calls / ALONE_PART).max(1);
    for (is_bridged, calls) in [(false, calls), (true, part)] {
        let id = named("sockets", is_bridged);
        rows.push(judged(&id, &without, Held::by_all(doctor), |held| {
            all(place, &Where::Caged(installation, is_bridged), calls, seed, held)
        }));
    }
    for layer in ['A', 'B', 'C'] {
        let alone = match layer {
            'C' => Some(Alone::launcher(installation)?),
            _ => Alone::programs(layer, place)?,
        };
        let Some(alone) = alone else {
            say(&format!("layer {layer}: this kernel has none"));
            continue;
        };
        say(&format!("the same against layer {layer} alone"));
        for is_bridged in [false, true] {
            let id = format!("{}@{layer}", named("sockets", is_bridged));
            rows.push(judged(&id, &without, Held::by(layer, is_bridged), |held| {
                all(place, &Where::Alone(&alone, is_bridged), part, seed, held)
            }));
        }
    }
    Ok(rows)
}

/// The name of a row of runs with a bridge, or without.
fn named(id: &str, is_bridged: bool) -> String {
    if is_bridged { format!("{id}_bridge") } else { id.to_owned() }
}

/// The same seed with nothing in its way must get out, and be made small.
fn control(place: &Place<'_>, calls: u64, seed: u64) -> Result<String> {
    say("the same without ATF");
    let own = place.scratch.join("own");
    fs::create_dir_all(&own)?;
    fs::set_permissions(&own, Permissions::from_mode(0o777))?;
    let free = Where::Free { own };
    let part = Part::calls(seed, 0, calls.min(CONTROL_CALLS));
    let (stormed, reached) = free.storm(place, &part)?;
    ensure!(!reached.is_empty(), "nothing got out of {} calls without ATF", stormed.calls);
    let smallest =
        smallest::of(seed, 0..stormed.next, |part| Ok(!free.storm(place, part)?.1.is_empty()))?;
    let bytes: u64 = reached.iter().map(|(_, bytes)| bytes).sum();
    let (count, small) = (reached.len(), smallest.draws.len());
    say(&format!("without ATF {count} canaries were reached; the least: {smallest}"));
    ensure!(small < 8, "a way out with nothing in its way takes {small} draws: {smallest}");
    Ok(format!("{bytes} bytes, {count} canaries"))
}

/// Storms until the calls are made; an error is a way out, made small.
fn all(place: &Place<'_>, by: &Where<'_>, calls: u64, seed: u64, held: &Held) -> Result<Stormed> {
    let mut sum = Stormed::default();
    while sum.calls < calls {
        let first = sum.next;
        let part = Part::calls(seed, first, (calls - sum.calls).min(CALLS_AT_ONCE));
        let (stormed, reached) = by.storm(place, &part)?;
        let out = held.of(&reached);
        if !out.is_empty() {
            let smallest = smallest::of(seed, first..stormed.next, |part| {
                Ok(!held.of(&by.storm(place, part)?.1).is_empty())
            });
            let smallest = smallest.map_or_else(|error| error.to_string(), |it| it.to_string());
            bail!("the canaries {} were reached; {smallest}", out.join(", "));
        }
        sum.add(&stormed);
        say(&format!("{} calls, 0 bytes out", sum.calls));
    }
    Ok(sum)
}

fn judged(id: &str, without: &str, held: Held, all: impl FnOnce(&Held) -> Result<Stormed>) -> Row {
    let mut row = Row::new(id, "random socket calls");
    row.without = Some(without.to_owned());
    match all(&held) {
        Ok(sum) => {
            row.with = Some(format!("0 bytes, {} calls", sum.calls));
            row.calls = sum.kinds;
            row.verdict = Some(Verdict::Closed);
            row
        }
        Err(error) => {
            row.with = Some("out".to_owned());
            row.promise(false, format!("{error:#}"))
        }
    }
}

impl Where<'_> {
    /// Makes one storm: what it came to, and the canaries that something reached, with its bytes.
    fn storm(&self, place: &Place<'_>, part: &Part) -> Result<(Stormed, Vec<(&'static str, u64)>)> {
        let before = place.world.oracle.seen();
        let (said, complained) = place.run_for(&self.command(place, part)?, LONGEST)?;
        let stormed = serde_json::from_str(&said).with_context(|| {
            format!("the attacker did not come to its end; standard error: {}", complained.trim())
        })?;
        sleep(ARRIVAL_MAX);
        let after = place.world.oracle.seen();
        let reached = after.iter().zip(&before).filter(|(after, before)| after != before);
        Ok((stormed, reached.map(|(after, before)| (after.0, after.2 - before.2)).collect()))
    }

    fn command(&self, place: &Place<'_>, part: &Part) -> Result<Vec<OsString>> {
        let mut words: Vec<OsString> = vec![place.hijacked().into(), "storm".into()];
        let Range { start, end } = part.sequences;
        for (option, value) in [
            ("--seed", part.seed),
            ("--first", start),
            ("--sequences", end - start),
            ("--calls", part.calls),
        ] {
            words.extend([option.into(), value.to_string().into()]);
        }
        if !part.only.is_empty() {
            let only: Vec<String> = part.only.iter().map(u64::to_string).collect();
            words.extend(["--only".into(), only.join(",").into()]);
        }
        words.extend(["--lab".into(), place.world.folder.clone().into()]);
        let nobody = ["--uid", UNPRIVILEGED];
        Ok(match self {
            Self::Free { own } => {
                words.extend(["--own".into(), own.into()]);
                place.offered(&nobody, &words)
            }
            Self::Caged(installation, is_bridged) => {
                let words = installation.run_command(AGENT, "storm", place, &words);
                if *is_bridged { bridged(words) } else { words }
            }
            Self::Alone(alone, is_bridged) => alone.command(place, &words, *is_bridged)?,
        })
    }
}
