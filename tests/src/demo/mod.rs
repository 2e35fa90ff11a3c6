//! The demo: the hijacked agent in the lab, without ATF and under it; then the line, the seal, the
//! death of each process, and the log. What the report says, the oracle and the log have said.

mod alone;
mod audit;
mod beside;
mod caged;
pub(crate) mod calls;
mod chaos;
mod control;
pub mod init;
pub(crate) mod installation;
mod killed;
pub mod launch;
pub(crate) mod log;
pub mod offer;
mod own;
mod pass;
pub(crate) mod process;
mod report;
mod seal;
mod storm;
mod table;
mod unpinned;
mod victim;
mod witness;

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::attempts::ATTEMPTS;
use crate::lab::World;
use alone::Alone;
use beside::Beside;
use installation::{Installation, doctor};
pub use report::{Report, Row, Shown, Verdict};

/// What to show, and with what.
#[derive(Debug, Clone)]
pub struct Options {
    /// Which part.
    pub suite: Suite,
    /// The product's binary.
    pub atf: PathBuf,
    /// The demo's own.
    pub demo: PathBuf,
    /// The attacker's.
    pub hijacked: PathBuf,
    /// The policies to use.
    pub policies: PathBuf,
    /// The lowest posture that will do: `CORE` or `FULL`.
    pub posture: String,
    /// Whether receipts are queued instead of durable, in the gateway and the executor: for the bench.
    pub queued: bool,
    /// How many runs may be sealed in a minute, when not as shipped: the bench seals many.
    pub seals_per_minute_max: Option<NonZeroU32>,
    /// Whether times mean anything; they do not under emulation.
    pub timed: bool,
    /// How many rounds of chaos.
    pub rounds: u32,
    /// How many random socket calls.
    pub calls: u64,
    /// The seed that deals either.
    pub seed: u64,
    /// The folder of the other sandbox: `node`, and `node_modules` with its package.
    pub sandbox_runtime: Option<PathBuf>,
}

/// A part that can be shown alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Suite {
    /// Everything.
    Demo,
    /// Only the attempts to get out of the cage: against all layers, and against each alone.
    Cage,
    /// Only the negative controls: what each attempt does without ATF.
    Lab,
    /// Runs that try to get out while something of ATF is killed, hung or torn out.
    Chaos,
    /// Random sequences of socket calls.
    Sockets,
    /// Only the attempts to get out: without ATF, under it, and inside another sandbox.
    Comparison,
}

/// Runs the demo.
///
/// # Errors
/// When it cannot be run; what it shows, good or bad, is in the result.
pub fn run(options: &Options) -> Result<Shown> {
    let folder = installation::folder()?;
    let world = World::new(&folder.path().join("lab")).context("cannot build the lab (root?)")?;
    let place = process::Place::new(&world, folder.path(), &options.demo, &options.hijacked)?;
    if matches!(options.suite, Suite::Chaos | Suite::Sockets) {
        return at_random(&place, folder.path(), options);
    }
    say("the attempts without ATF");
    let mut rows = Vec::new();
    for attempt in &ATTEMPTS {
        rows.push(control::run(&place, attempt)?);
    }
    let (kernel, timed) = (report::kernel(), options.timed);
    if options.suite == Suite::Lab {
        return Ok(Shown::new(kernel, None, rows, Vec::new(), timed));
    }
    if options.suite == Suite::Comparison {
        let from = options.sandbox_runtime.as_deref().context("the other sandbox is not named")?;
        say("the attempts inside the other sandbox");
        Beside::new(from, folder.path())?.run(&place, &mut rows)?;
    }
    let doctor = doctor(&options.atf)?;
    let mut installation = Installation::start(folder.path(), options)?;
    attempts(&place, &installation, &doctor, &mut rows);
    match options.suite {
        Suite::Cage => each_layer_alone(&place, &installation, &mut rows),
        Suite::Comparison => {}
        _ => promises(&place, &mut installation, &mut rows),
    }
    Ok(Shown::new(kernel, Some(doctor.posture), rows, doctor.not_covered, timed))
}

/// What is dealt by a seed.
fn at_random(place: &process::Place<'_>, folder: &Path, options: &Options) -> Result<Shown> {
    let doctor = doctor(&options.atf)?;
    let installation = Installation::start(folder, options)?;
    let rows = match options.suite {
        Suite::Sockets => storm::run(place, &installation, &doctor, options.calls, options.seed)?,
        _ => chaos::run(place, &installation, &doctor, options.rounds, options.seed)?,
    };
    // What the doctor lists as open is tried by the demo alone.
    Ok(Shown::new(report::kernel(), Some(doctor.posture), rows, Vec::new(), options.timed))
}

/// Every attempt again, under ATF. One that fails is a row that escaped, so that the others are
/// still seen.
fn attempts(
    place: &process::Place<'_>,
    installation: &Installation,
    doctor: &installation::Doctor,
    rows: &mut [Row],
) {
    say("the attempts under ATF");
    let log = installation.log();
    for (row, attempt) in rows.iter_mut().zip(&ATTEMPTS) {
        let tried = caged::run(place, installation, &log, attempt, doctor, row.clone());
        let (without, beside) = (row.without.take(), row.beside.take());
        *row = Row::or_failed(attempt.id, attempt.vector, tried);
        (row.without, row.beside) = (without, beside);
    }
}

/// Every attempt against one layer after the other.
fn each_layer_alone(place: &process::Place<'_>, installation: &Installation, rows: &mut Vec<Row>) {
    for layer in ['A', 'B', 'C'] {
        say(&format!("the attempts against layer {layer} alone"));
        let alone = match layer {
            'C' => Alone::launcher(installation).map(Some),
            _ => Alone::programs(layer, place),
        };
        match alone {
            Ok(Some(alone)) => alone::run(place, layer, &alone, rows),
            Ok(None) => say("this kernel has none"),
            Err(error) => {
                let id = format!("layer_{}", layer.to_ascii_lowercase());
                rows.push(Row::or_failed(&id, "a layer alone", Err(error)));
            }
        }
    }
}

/// What else ATF promises: the line, the seal, the death of each process, the log.
fn promises(place: &process::Place<'_>, installation: &mut Installation, rows: &mut Vec<Row>) {
    let log = installation.log();
    say("calls through the gate");
    rows.extend(calls::run(place, installation, &log));
    say("a run's own sockets");
    let own = own::run(place, installation);
    rows.push(Row::or_failed("own_handles", "a run's own sockets, handed over", own));
    say("the seal");
    let sealed = seal::run(place, installation, &log);
    rows.push(Row::or_failed("seal", "a run that repeats a refusal", sealed));
    say("each process killed");
    rows.extend(killed::run(place, installation));
    say("the pins removed");
    rows.push(unpinned::run(place, installation, &log));
    say("the log");
    rows.extend(audit::run(installation));
}

/// Progress, on standard error.
pub(crate) fn say(what: &str) {
    eprintln!("demo: {what}");
}
