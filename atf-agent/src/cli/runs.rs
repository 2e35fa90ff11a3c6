//! `atf runs` and `atf release`: what an operator asks the authority.

use std::time::Duration;

use anyhow::Context as _;
use serde::Serialize;

use super::args::{Output, RunsArguments};
use super::{EXIT_NO, EXIT_OK};
use super::{doctor, output};
use crate::call::RunId;
use crate::config::Config;
use crate::kernel::{Mode, maps};
use crate::run;
use crate::wire::{AuthorityReply, AuthorityRequest, Connection, RunEntry};

/// The authority answers at once or is not there.
const PATIENCE: Duration = Duration::from_secs(10);

/// A run as it is shown.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    entry: RunEntry,
    /// Whether it would be sealed, had the gateway's breaker room.
    held_back: bool,
    /// Whether its keeper is gone, so that the next launcher takes it down.
    gone: bool,
    /// What the kernel programs do with what they deny; absent when nobody can tell.
    mode: Option<Mode>,
}

impl Shown {
    fn state(&self) -> &'static str {
        if self.gone {
            return "gone, the next `atf run` takes it down";
        }
        let observed = self.mode == Some(Mode::Observe);
        match (self.entry.sealed, self.held_back, observed) {
            (true, _, false) => "sealed",
            (true, _, true) => "sealed at the gate, OBSERVED",
            (false, true, false) => "seal held back",
            (false, true, true) => "seal held back, OBSERVED",
            (false, false, false) => "live",
            (false, false, true) => "live, OBSERVED",
        }
    }
}

pub(super) fn runs(config: &Config, wanted: &RunsArguments) -> anyhow::Result<u8> {
    let AuthorityReply::Runs { runs, held_back } = ask(config, &AuthorityRequest::Runs)? else {
        anyhow::bail!("the authority gave another answer than asked for");
    };
    let unknown = held_back.is_none();
    let held_back = held_back.unwrap_or_default();
    let mode = maps::mode(&config.places.pin_dir).ok();
    let runs: Vec<Shown> = runs
        .into_iter()
        .map(|entry| Shown {
            held_back: held_back.contains(&entry.run),
            gone: run::is_gone(&config.places, entry.run),
            mode,
            entry,
        })
        .collect();
    match mode {
        Some(Mode::Enforce) => {}
        Some(Mode::Observe) => tracing::warn!("{}", doctor::OBSERVES),
        None => tracing::warn!("nobody can tell whether the cage holds; see `atf enforcer check`"),
    }
    if wanted.output == Output::Json {
        output::json(&runs)?;
        return Ok(EXIT_OK);
    }
    if unknown {
        tracing::warn!("no gateway to ask whose seals are held back");
    }
    if runs.is_empty() {
        tracing::info!("no live runs");
        return Ok(EXIT_OK);
    }
    let rows: Vec<[String; 6]> = runs
        .iter()
        .map(|shown| {
            let entry = &shown.entry;
            [
                entry.run.to_string(),
                entry.agent.to_string(),
                entry.user.to_string(),
                entry.task.to_string(),
                entry.uid.to_string(),
                shown.state().to_owned(),
            ]
        })
        .collect();
    output::table(["RUN", "AGENT", "USER", "TASK", "UID", "STATE"], &rows)?;
    Ok(EXIT_OK)
}

pub(super) fn release(config: &Config, run: RunId) -> anyhow::Result<u8> {
    match ask(config, &AuthorityRequest::Release { run })? {
        AuthorityReply::Was { sealed: true } => {
            tracing::info!(%run, "released");
            Ok(EXIT_OK)
        }
        AuthorityReply::Was { sealed: false } => {
            tracing::info!(%run, "the kernel held no seal of it; what the gateway may have had is lifted");
            Ok(EXIT_OK)
        }
        AuthorityReply::Refused { why } => {
            tracing::error!(%run, "not released: {why}");
            Ok(EXIT_NO)
        }
        _ => anyhow::bail!("the authority gave another answer than asked for"),
    }
}

pub(super) fn ask(config: &Config, message: &AuthorityRequest) -> anyhow::Result<AuthorityReply> {
    let path = config.places.authority_socket();
    let mut connection = Connection::open(&path, PATIENCE).with_context(|| {
        format!(
            "cannot reach the authority at {}; is `atf up` running, and are you root?",
            path.display()
        )
    })?;
    Ok(connection.ask(message)?)
}
