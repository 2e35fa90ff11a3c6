//! The same attempt under ATF: `atf run` is offered the same things in the same place.

use std::ffi::OsString;
use std::path::Path;
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::control;
use super::installation::{AGENT, Doctor, Installation, bridged};
use super::log::Log;
use super::process::{Came, Place};
use super::report::{Row, Verdict};
use crate::attempts::Attempt;
use crate::hijacked::Said;
use crate::lab::Cgroup;
use crate::lab::cgroup::processes_with;

/// Makes the attempt and finishes its row.
pub(super) fn run(
    place: &Place<'_>,
    installation: &Installation,
    log: &Log,
    attempt: &Attempt,
    doctor: &Doctor,
    mut row: Row,
) -> Result<Row> {
    let inner: Vec<OsString> =
        std::iter::once(place.hijacked().into()).chain(place.attempt(attempt)).collect();
    let command = installation.run_command(AGENT, attempt.id, place, &inner);
    let command = if attempt.bridged.is_some() { bridged(command) } else { command };
    let came =
        place.try_out(attempt, &[], &command, |child| meanwhile(installation, attempt, child))?;
    let said: Option<Said> = serde_json::from_str(&came.said).ok();
    judge(&mut row, &came, said.as_ref(), attempt, doctor);
    row.us = said.as_ref().map(|said| said.us);
    if row.verdict == Some(Verdict::Closed) {
        row.stopped_by = Some(stopped_by(log, said.as_ref(), attempt)?);
    }
    Ok(row)
}

/// What the lab does while the attacker runs under ATF.
pub(super) fn meanwhile(
    installation: &Installation,
    attempt: &Attempt,
    child: &mut Child,
) -> Result<()> {
    match attempt.id {
        "child_cgroup" => nest(&installation.agents_cgroup()?, child),
        _ => Ok(()),
    }
}

fn judge(row: &mut Row, came: &Came, said: Option<&Said>, attempt: &Attempt, doctor: &Doctor) {
    let possible = row.without.as_deref() == Some("out");
    let listed = doctor.not_covered.iter().any(|id| id == attempt.id);
    let outcome = match said {
        Some(said) => said.errno.clone().unwrap_or_else(|| "nothing arrived".to_owned()),
        None => "did not run".to_owned(),
    };
    row.with = Some(if came.reached.is_empty() { outcome } else { "out".to_owned() });
    row.verdict = Some(match (came.reached.is_empty(), said.is_some()) {
        (false, _) if listed => Verdict::NotCovered,
        (false, _) => Verdict::Escaped,
        // An agent that never ran has not been stopped by the cage.
        (true, false) => Verdict::Escaped,
        (true, true) if !possible => Verdict::Vacuous,
        (true, true) => Verdict::Closed,
    });
    if row.verdict == Some(Verdict::Escaped) {
        let (reached, said) = (came.reached.join(", "), came.complained.trim());
        row.note = Some(format!("canaries reached: [{reached}]; standard error: {said}"));
    }
}

/// The kernel's own words when it denied anything to this run; else layer C, by the error.
fn stopped_by(log: &Log, said: Option<&Said>, attempt: &Attempt) -> Result<String> {
    let run = said.and_then(|said| said.run.as_deref()).context("the attacker had no token")?;
    if let Some((layer, vector)) = log.first_denial(run)? {
        return Ok(format!("{layer} {vector}"));
    }
    let errno = said.and_then(|said| said.errno.as_deref());
    Ok(format!("C {}", layer_c(attempt.does(), errno.unwrap_or("silence"))))
}

/// Which part of the launcher's work gives this error to this attempt, as the cage's matrix calls it.
fn layer_c<'a>(id: &str, errno: &'a str) -> &'a str {
    match (id, errno) {
        ("inherited_fd", "EBADF") => "descriptors",
        // The filter refuses the ioctl itself; a foreign terminal is not even there.
        ("tiocsti", "EPERM") => "seccomp",
        ("tiocsti", _) => "terminal",
        ("raw" | "raw_connected" | "raw_header" | "raw6", "EPERM") => "capabilities",
        // A new network namespace has echo sockets for nobody.
        ("ping4" | "ping4_connected" | "ping6", "EACCES") => "netns",
        ("shared_memory" | "message_queue", "ENOENT") => "ipcns",
        ("signal" | "proc_environ" | "proc_memory" | "setns", "ENOENT" | "ESRCH") => "pidns",
        ("foreign_fifo", "EACCES") => "landlock",
        (_, "ENOENT" | "EACCES") => "mounts",
        (_, "ESRCH") => "pidns",
        (_, "ENOSYS" | "EAFNOSUPPORT" | "EPERM") => "seccomp",
        (_, "ENETUNREACH" | "EADDRNOTAVAIL" | "ECONNREFUSED" | "ENODEV") => "netns",
        (_, other) => other,
    }
}

/// Moves the attacker into a child cgroup of its run's, as soon as there is one.
fn nest(agents: &Path, child: &mut Child) -> Result<()> {
    /// Longer than ATF takes to start a run, even under emulation.
    const START_MAX: Duration = Duration::from_secs(30);
    let began = Instant::now();
    loop {
        let runs = std::fs::read_dir(agents);
        let runs = runs.with_context(|| format!("no {}", agents.display()))?;
        for entry in runs.flatten().filter(|entry| entry.path().is_dir()) {
            let found =
                processes_with(&entry.path(), "hijacked", "child_cgroup").unwrap_or_default();
            if let Some(process) = found.iter().find(|process| control::waits(**process)) {
                // The run takes its cgroups with it, so this one is not ours to remove.
                let nested = std::mem::ManuallyDrop::new(Cgroup::new(&entry.path(), "nested")?);
                return Ok(nested.take(*process)?);
            }
        }
        if child.try_wait()?.is_some() || began.elapsed() > START_MAX {
            bail!("the attacker did not appear under {}", agents.display());
        }
        thread::sleep(Duration::from_millis(5));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attempts::ATTEMPTS;

    /// Without ATF, canaries reached under it, what the attacker says, whether the doctor lists it.
    type Case<'a> = (&'a str, &'a [&'static str], Option<&'a str>, bool);

    fn check((without, reached, said, listed): Case<'_>, verdict: Verdict, with: &str) {
        let attempt = &ATTEMPTS[0];
        let mut row = Row::new(attempt.id, "");
        row.without = Some(without.to_owned());
        let came =
            Came { reached: reached.to_vec(), said: String::new(), complained: String::new() };
        let said = said.map(|outcome| Said {
            id: attempt.id.to_owned(),
            outcome: outcome.to_owned(),
            errno: (outcome == "errno").then(|| "EPERM".to_owned()),
            us: 1.0,
            run: None,
            learned: None,
        });
        let doctor = Doctor {
            posture: "CORE".to_owned(),
            not_covered: listed.then(|| attempt.id.to_owned()).into_iter().collect(),
        };
        judge(&mut row, &came, said.as_ref(), attempt, &doctor);
        let found = (row.verdict, row.with.as_deref());
        assert_eq!(found, (Some(verdict), Some(with)), "{without} {reached:?} {listed}");
    }

    #[test]
    fn only_the_oracle_decides_whether_an_attempt_got_out() {
        let (denied, boasts) = (Some("errno"), Some("out"));
        check(("out", &[], denied, false), Verdict::Closed, "EPERM");
        check(("out", &[], boasts, false), Verdict::Closed, "nothing arrived");
        check(("out", &["tcp4"], denied, false), Verdict::Escaped, "out");
        check(("out", &["dns"], denied, false), Verdict::Escaped, "out");
        check(("out", &["tcp4"], boasts, true), Verdict::NotCovered, "out");
    }

    #[test]
    fn what_was_not_possible_or_did_not_run_is_not_closed() {
        check(("EPERM", &[], Some("errno"), false), Verdict::Vacuous, "EPERM");
        check(("EPERM", &["tcp4"], Some("out"), false), Verdict::Escaped, "out");
        check(("out", &[], None, false), Verdict::Escaped, "did not run");
        check(("out", &[], None, true), Verdict::Escaped, "did not run");
    }
}
