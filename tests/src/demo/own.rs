//! What the cage must leave alone: a run's own sockets, and what its processes hand to each other.

use anyhow::Result;

use super::calls::start;
use super::installation::{AGENT, Installation};
use super::process::Place;
use super::report::Row;

/// A run that uses its own.
pub(super) fn run(place: &Place<'_>, installation: &Installation) -> Result<Row> {
    let mut row = Row::new("own_handles", "a run's own sockets, handed from one to another");
    let command = start(place, installation, AGENT, "own", &["own".into()]);
    let (said, complained) = place.finish(command, |_| Ok(()))?;
    let works = said.contains("works");
    row.with = Some(if works { "works" } else { "refused" }.to_owned());
    Ok(row.promise(works, complained))
}
