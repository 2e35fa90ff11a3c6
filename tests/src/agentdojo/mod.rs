//! AgentDojo (PyPI `agentdojo`) through ATF without a model: each task's own calls, and those of an agent
//! that an injection has taken over whole, made by a run over its gateway's socket; the suite's tools are
//! servers behind the executor. What was useful and what was attacked is AgentDojo's own judgement.

mod game;
mod inside;
mod operator;
mod place;
mod player;
mod preset;
mod report;

use std::path::PathBuf;
use std::thread;

use anyhow::{Context, Result};

use game::Game;
pub use inside::serve as inside;
use operator::Operator;
use place::Place;
pub use preset::{Preset, SAMPLED};
pub use report::{Outcome, Report, Row};

/// The suites, by their names.
const SUITES: [&str; 4] = ["workspace", "travel", "banking", "slack"];

/// What is needed, and how much is done.
#[derive(Debug, Clone)]
pub struct Options {
    /// The product's binary.
    pub atf: PathBuf,
    /// This program, which is also the part inside a run.
    pub own: PathBuf,
    /// Python, with its packages on a path of their own.
    pub python: PathBuf,
    /// The packages.
    pub packages: PathBuf,
    /// The servers and what an operator says of their tools.
    pub suites: PathBuf,
    /// The policies to begin with.
    pub policies: PathBuf,
    /// Which presets; all when there are none.
    pub presets: Vec<String>,
    /// Tasks and injections of each suite; all when there is none.
    pub most: Option<usize>,
    /// Whether the attacker that knows the policy is played too.
    pub adaptive: bool,
}

/// Plays every suite under each preset.
///
/// # Errors
/// When something cannot be started, or a preset is not known.
pub fn run(options: &Options) -> Result<Report> {
    let operator = Operator::read(&options.suites.join("operator.json"))?;
    let mut rows = Vec::new();
    for preset in preset::chosen(&options.presets)? {
        let place = Place::start(options, &operator, preset)?;
        let outcomes: Result<Vec<_>> = thread::scope(|scope| {
            let games = SUITES.map(|suite| {
                let (place, operator) = (&place, &operator);
                scope.spawn(move || Game::new(place, operator, preset, suite)?.play(options))
            });
            let ended = games.into_iter().zip(SUITES).map(|(game, suite)| {
                let ended = game.join().ok().context("its thread ended");
                ended.and_then(|played| played).with_context(|| format!("the suite {suite}"))
            });
            ended.collect()
        });
        let row = Row::new(preset, outcomes?);
        eprintln!("agentdojo: {row}");
        rows.push(row);
    }
    Ok(Report { rows })
}
