//! The negative control: the attempt without ATF, as an unprivileged user in the agent's namespace.
//! An attempt that nothing stops here, and that does not succeed, shows nothing under ATF.

use std::ffi::OsString;
use std::process::Child;
use std::time::Duration;
use std::{fs, thread};

use anyhow::Result;

use super::process::{Came, Place, UNPRIVILEGED};
use super::report::{Row, Verdict};
use crate::attempts::Attempt;
use crate::hijacked::{Said, WAITING};
use crate::lab::Cgroup;
use crate::lab::cgroup::mount_point;

/// Makes the attempt and begins its row.
pub(super) fn run(place: &Place<'_>, attempt: &Attempt) -> Result<Row> {
    let mut offers = vec!["--uid", UNPRIVILEGED];
    offers.extend(attempt.capability);
    let mut command: Vec<OsString> = vec![place.hijacked().into()];
    command.extend(place.attempt(attempt));
    let came = if attempt.id == "child_cgroup" {
        let parent = Cgroup::new(&mount_point()?, "atf-lab")?;
        let first = Cgroup::new(parent.path(), "agent")?;
        let nested = Cgroup::new(first.path(), "nested")?;
        place.try_out(attempt, &offers, &command, |child| {
            first.take(child.id())?;
            until_it_is_the_attacker(child);
            Ok(nested.take(child.id())?)
        })?
    } else {
        place.try_out(attempt, &offers, &command, |_| Ok(()))?
    };
    Ok(row(place, attempt, &came))
}

fn row(place: &Place<'_>, attempt: &Attempt, came: &Came) -> Row {
    let mut row = Row::new(attempt.id, attempt.vector);
    if came.reached.contains(&attempt.canary) {
        row.without = Some("out".to_owned());
        return row;
    }
    let said = serde_json::from_str::<Said>(&came.said).ok();
    let errno = said.as_ref().and_then(|said| said.errno.clone());
    row.verdict = Some(Verdict::Vacuous);
    let absent = place.world.oracle.absent(attempt.canary);
    row.note = match absent {
        Some(error) => Some(format!("no canary: {error}")),
        None if said.is_none() => Some(came.complained.clone()),
        None => None,
    };
    let silent = if absent.is_some() { "no canary here" } else { "nothing arrived" };
    row.without = Some(errno.unwrap_or_else(|| silent.to_owned()));
    row
}

/// The process execs twice before it is the attacker, who says by its name that it waits to be moved.
pub(super) fn until_it_is_the_attacker(child: &Child) {
    /// Far longer than an exec takes, even under emulation.
    const TURNS: u32 = 2_000;
    for _ in 0..TURNS {
        if waits(child.id()) {
            return;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// Whether a process says that it waits to be moved.
pub(super) fn waits(process: u32) -> bool {
    let name = fs::read_to_string(format!("/proc/{process}/comm"));
    name.is_ok_and(|name| name.trim().as_bytes() == WAITING.to_bytes())
}
