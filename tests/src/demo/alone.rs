//! Each layer alone: the same attempts with nothing but the cgroup hooks, nothing but the BPF LSM,
//! nothing but the launcher. What the matrix says of a layer must hold without the other two.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Child;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use atf_agent::kernel::matrix;
use rustix::process::{Pid, Signal, kill_process};

use super::caged;
use super::control;
use super::installation::{self, Installation};
use super::log::layer_of;
use super::process::{Came, Place, UNPRIVILEGED};
use super::report::{Row, Verdict};
use crate::attempts::{ATTEMPTS, Attempt};
use crate::hijacked::Said;
use crate::lab::Cgroup;
use crate::lab::cell::{self, Cell, LEASE_MS};

/// The kernel lets go of a link some time after its pin is gone.
const LET_GO: Duration = Duration::from_millis(500);

/// A layer by itself.
pub(super) enum Alone<'a> {
    /// Kernel programs of one layer, and two registered runs that nothing else holds: the second has a
    /// loopback of its own, for which it has the lab's, so that nothing but the programs is in its way.
    Programs { cell: Box<Cell>, run: cell::Place, bridged: cell::Place },
    /// The launcher, over an agents' cgroup whose programs are gone.
    Launcher { installation: &'a Installation, watch: Pid },
}

impl<'a> Alone<'a> {
    /// Puts the programs of `layer` up and no others. `None` where this kernel has none.
    pub(super) fn programs(layer: char, place: &Place<'_>) -> Result<Option<Self>> {
        let cell = Box::new(Cell::up());
        // A program that judges no vector serves those of layer B.
        let is_kept = |program: &str| (layer_of(program) == 'A') == (layer == 'A');
        if !cell.proof.programs.iter().any(|program| is_kept(&program.name)) {
            return Ok(None);
        }
        detach(&cell.cage.pin_dir, |program| !is_kept(program))?;
        let run = cell.run("run");
        let bridged = cell.bridged("bridged", place.world.agent.cookie()?);
        Ok(Some(Self::Programs { cell, run, bridged }))
    }

    /// Takes every program away from an installation whose watch is stopped meanwhile.
    pub(super) fn launcher(installation: &'a Installation) -> Result<Self> {
        let watch = Pid::from_raw(installation.process("watch")?).context("no watch process")?;
        kill_process(watch, Signal::STOP)?;
        let alone = Self::Launcher { installation, watch };
        detach(installation.pin_dir(), |_| true)?;
        Ok(alone)
    }

    /// The words that start `command` against the layer, and a fresh lease.
    pub(super) fn command(
        &self,
        place: &Place<'_>,
        command: &[OsString],
        is_bridged: bool,
    ) -> Result<Vec<OsString>> {
        match self {
            Self::Programs { cell, run, bridged } => {
                cell.renew(LEASE_MS);
                let run = if is_bridged { bridged } else { run };
                let cgroup = run.dir.display().to_string();
                Ok(place.offered(&["--uid", UNPRIVILEGED, "--cgroup", &cgroup], command))
            }
            Self::Launcher { installation, .. } => {
                let words = installation.launch_command(place, command)?;
                Ok(if is_bridged { installation::bridged(words) } else { words })
            }
        }
    }

    fn try_out(&self, place: &Place<'_>, attempt: &Attempt) -> Result<Came> {
        match self {
            Self::Programs { cell, run, bridged } => {
                cell.renew(LEASE_MS);
                let run = if attempt.bridged.is_some() { bridged } else { run };
                let cgroup = run.dir.display().to_string();
                let mut offers = vec!["--uid", UNPRIVILEGED, "--cgroup", &cgroup];
                offers.extend(attempt.capability);
                let mut command: Vec<OsString> = vec![place.hijacked().into()];
                command.extend(place.attempt(attempt));
                let nested = Cgroup::new(&run.dir, "nested")?;
                place.try_out(attempt, &offers, &command, |child| moved(attempt, child, &nested))
            }
            Self::Launcher { installation, .. } => {
                let inner = std::iter::once(place.hijacked().into());
                let inner: Vec<OsString> = inner.chain(place.attempt(attempt)).collect();
                let command = installation.launch_command(place, &inner)?;
                let command = if attempt.bridged.is_some() {
                    installation::bridged(command)
                } else {
                    command
                };
                place.try_out(attempt, &[], &command, |child| {
                    caged::meanwhile(installation, attempt, child)
                })
            }
        }
    }
}

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        // A cell takes itself down.
        if let Self::Launcher { watch, .. } = self
            && let Err(error) = kill_process(*watch, Signal::CONT)
        {
            super::say(&format!("the watch stays stopped: {error}"));
        }
    }
}

/// Makes every attempt against one layer. Each row of `rows`, which are in the order of the
/// attempts, learns what the layer did; a layer that the matrix names gets a row of its own.
pub(super) fn run(place: &Place<'_>, layer: char, alone: &Alone<'_>, rows: &mut Vec<Row>) {
    let claims = matrix::rows();
    for (number, attempt) in ATTEMPTS.iter().enumerate() {
        let claimed = claims.iter().any(|row| {
            row.id == attempt.id && row.closed_by.iter().any(|by| by.starts_with(layer))
        });
        let mut row = Row::new(&format!("{}@{layer}", attempt.id), attempt.vector);
        row.without.clone_from(&rows[number].without);
        let row = match alone.try_out(place, attempt) {
            Ok(came) => judged(row, layer, &came),
            Err(error) => {
                let (id, vector) = (row.id.clone(), row.vector.clone());
                Row::or_failed(&id, &vector, Err(error))
            }
        };
        if let Some(with) = &row.with {
            rows[number].layers.insert(layer, with.clone());
        }
        if claimed {
            rows.push(row);
        }
    }
}

fn judged(mut row: Row, layer: char, came: &Came) -> Row {
    let said: Option<Said> = serde_json::from_str(&came.said).ok();
    let possible = row.without.as_deref() == Some("out");
    let (outcome, verdict) = match (came.reached.is_empty(), &said) {
        (false, _) => ("out".to_owned(), Verdict::Escaped),
        (true, None) => ("did not run".to_owned(), Verdict::Escaped),
        (true, Some(said)) => {
            let silent = || "nothing arrived".to_owned();
            let verdict = if possible { Verdict::Closed } else { Verdict::Vacuous };
            (said.errno.clone().unwrap_or_else(silent), verdict)
        }
    };
    row.with = Some(outcome);
    row.us = said.as_ref().map(|said| said.us);
    row.stopped_by = (verdict == Verdict::Closed).then(|| layer.to_string());
    row.verdict = Some(verdict);
    if verdict == Verdict::Escaped {
        let (reached, said) = (came.reached.join(", "), came.complained.trim());
        row.note = Some(format!("canaries reached: [{reached}]; standard error: {said}"));
    }
    row
}

fn moved(attempt: &Attempt, child: &Child, nested: &Cgroup) -> Result<()> {
    if attempt.id == "child_cgroup" {
        control::until_it_is_the_attacker(child);
        nested.take(child.id())?;
    }
    Ok(())
}

/// Removes the pins of links, and with them the links.
fn detach(pin_dir: &Path, wanted: impl Fn(&str) -> bool) -> Result<()> {
    for entry in fs::read_dir(pin_dir.join("links"))? {
        let entry = entry?;
        if wanted(&entry.file_name().to_string_lossy()) {
            fs::remove_file(entry.path())?;
        }
    }
    thread::sleep(LET_GO);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(without: &str, reached: &[&'static str], said: Option<&str>, verdict: Verdict) {
        let mut row = Row::new("x@A", "");
        row.without = Some(without.to_owned());
        let said = said.map(|outcome| Said {
            id: "x".to_owned(),
            outcome: outcome.to_owned(),
            errno: (outcome == "errno").then(|| "EPERM".to_owned()),
            us: 1.0,
            run: None,
            learned: None,
        });
        let said =
            said.map_or_else(String::new, |said| serde_json::to_string(&said).expect("JSON"));
        let came = Came { reached: reached.to_vec(), said, complained: String::new() };
        let row = judged(row, 'A', &came);
        assert_eq!(row.verdict, Some(verdict), "{without} {reached:?}");
        assert_eq!(row.stopped_by.is_some(), verdict == Verdict::Closed);
    }

    #[test]
    fn a_layer_alone_closes_what_could_get_out_and_did_not() {
        check("out", &[], Some("errno"), Verdict::Closed);
        check("out", &[], Some("out"), Verdict::Closed);
        check("out", &["tcp4"], Some("errno"), Verdict::Escaped);
        check("EPERM", &[], Some("errno"), Verdict::Vacuous);
        check("EPERM", &["dns"], Some("errno"), Verdict::Escaped);
        check("out", &[], None, Verdict::Escaped);
    }
}
