//! `atf runs` and `atf release`: what an operator asks the authority.

use std::time::Duration;

use anyhow::Context as _;

use super::args::{Output, RunsArguments};
use super::output;
use super::{EXIT_NO, EXIT_OK};
use crate::call::RunId;
use crate::config::Config;
use crate::wire::{AuthorityReply, AuthorityRequest, Connection};

/// The authority answers at once or is not there.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn runs(config: &Config, wanted: &RunsArguments) -> anyhow::Result<u8> {
    let AuthorityReply::Runs { runs } = ask(config, &AuthorityRequest::Runs)? else {
        anyhow::bail!("the authority gave another answer than asked for");
    };
    if wanted.output == Output::Json {
        output::json(&runs)?;
        return Ok(EXIT_OK);
    }
    if runs.is_empty() {
        tracing::info!("no live runs");
        return Ok(EXIT_OK);
    }
    let rows: Vec<[String; 6]> = runs
        .iter()
        .map(|entry| {
            [
                entry.run.to_string(),
                entry.agent.to_string(),
                entry.user.to_string(),
                entry.task.to_string(),
                entry.uid.to_string(),
                if entry.sealed { "sealed" } else { "live" }.to_owned(),
            ]
        })
        .collect();
    output::table(["RUN", "AGENT", "USER", "TASK", "UID", "STATE"], &rows)?;
    Ok(EXIT_OK)
}

pub(super) fn release(config: &Config, run: RunId) -> anyhow::Result<u8> {
    match ask(config, &AuthorityRequest::Release { run })? {
        AuthorityReply::Done => {
            tracing::info!(%run, "released");
            Ok(EXIT_OK)
        }
        AuthorityReply::Refused { why } => {
            tracing::error!(%run, "not released: {why}");
            Ok(EXIT_NO)
        }
        _ => anyhow::bail!("the authority gave another answer than asked for"),
    }
}

fn ask(config: &Config, message: &AuthorityRequest) -> anyhow::Result<AuthorityReply> {
    let path = config.places.authority_socket();
    let mut connection = Connection::open(&path, PATIENCE).with_context(|| {
        format!(
            "cannot reach the authority at {}; is `atf up` running, and are you root?",
            path.display()
        )
    })?;
    Ok(connection.ask(message)?)
}
