//! Each process is killed in turn. While it is down nothing opens; when it is back, the honest agent
//! works again on the same path.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use super::calls::{call_arguments, honest, start};
use super::installation::{AGENT, Installation};
use super::process::{Place, wait};
use super::report::Row;
use super::say;
use crate::hijacked::mcp::Round;

/// The processes, in the order of their deaths.
pub(super) const PROCESSES: [&str; 4] = ["gateway", "authority", "recorder", "executor"];

/// The longest that a process may take to come back and be of use, under emulation.
const BACK_MAX: Duration = Duration::from_secs(60);

/// Good calls in a row after which all is well again.
const GOOD_ROUNDS: u32 = 3;

/// Kills each process under a run that calls honestly and tries to get out, ten times a second.
pub(super) fn run(place: &Place<'_>, installation: &Installation) -> Vec<Row> {
    let mut rows = Vec::new();
    let done = under_a_steady_run(place, installation, |rounds| {
        for process in PROCESSES {
            say(&format!("SIGKILL of the {process}"));
            let (id, what) = (format!("kill_{process}"), format!("SIGKILL of the {process}"));
            let tried = kill(place, installation, rounds, process, Row::new(&id, &what));
            rows.push(Row::or_failed(&id, &what, tried));
        }
    });
    if let Err(error) = done {
        rows.push(Row::or_failed("kill", "SIGKILL of each process", Err(error)));
    }
    rows
}

/// Has a run call honestly and try to get out again and again while `work` looks at its rounds.
pub(super) fn under_a_steady_run(
    place: &Place<'_>,
    installation: &Installation,
    work: impl FnOnce(&Receiver<Round>),
) -> Result<()> {
    let (tool, arguments) = honest();
    let words = call_arguments("steady", (tool, &arguments), &installation.prompt(), &[]);
    let mut command = start(place, installation, AGENT, "steady", &words);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = place.spawn(command)?;
    let rounds = read_rounds(&mut child)?;
    let works = until_good(&rounds).context("the honest agent does not work in the first place");
    if works.is_ok() {
        work(&rounds);
    }
    drop(child.stdin.take());
    wait(&mut child, BACK_MAX)?;
    works.map(drop)
}

fn kill(
    place: &Place<'_>,
    installation: &Installation,
    rounds: &Receiver<Round>,
    name: &str,
    mut row: Row,
) -> Result<Row> {
    let before = place.world.oracle.seen();
    let old = installation.process(name)?;
    let process = Pid::from_raw(old).with_context(|| format!("{old} is no process id"))?;
    let began = Instant::now();
    kill_process(process, Signal::KILL)?;
    // Rounds that began before the kill are no evidence.
    while rounds.try_recv().is_ok() {}
    let back =
        successor(installation, rounds, name, old).and_then(|out| Ok(until_good(rounds)? || out));
    row.us = Some(began.elapsed().as_secs_f64() * 1e6);
    let opened = place.world.oracle.seen() != before;
    let (with, kept, note) = match &back {
        _ if opened => ("out", false, "a canary was reached".to_owned()),
        Err(error) => ("not back", false, format!("{error:#}")),
        Ok(true) => ("out", false, "an attempt saw no error".to_owned()),
        Ok(false) => ("closed, then back", true, String::new()),
    };
    row.with = Some(with.to_owned());
    Ok(row.promise(kept, note))
}

/// Waits until the honest call works again and again; whether an attempt saw no error meanwhile.
pub(super) fn until_good(rounds: &Receiver<Round>) -> Result<bool> {
    let (began, mut good, mut out, mut last) = (Instant::now(), 0, false, None);
    while good < GOOD_ROUNDS {
        let left = BACK_MAX.saturating_sub(began.elapsed());
        let Ok(round) = rounds.recv_timeout(left) else {
            let waited = BACK_MAX.as_secs();
            bail!("no {GOOD_ROUNDS} good calls in a row after {waited} s; the last: {last:?}");
        };
        good = if round.call.is_result() { good + 1 } else { 0 };
        out |= is_out(&round);
        last = Some(round);
    }
    Ok(out)
}

/// Waits until the process lives again; whether an attempt saw no error meanwhile. What the honest
/// call does meanwhile says nothing: without the authority, say, calls go on.
fn successor(
    installation: &Installation,
    rounds: &Receiver<Round>,
    name: &str,
    old: i32,
) -> Result<bool> {
    let (began, mut out) = (Instant::now(), false);
    loop {
        out |= rounds.try_iter().fold(false, |out, round| out | is_out(&round));
        if installation.process(name).is_ok_and(|process| process != old) {
            return Ok(out);
        }
        if began.elapsed() > BACK_MAX {
            bail!("nobody started the {name} again");
        }
        thread::sleep(Duration::from_millis(10));
    }
}

fn is_out(round: &Round) -> bool {
    round.attempt.outcome == "out"
}

fn read_rounds(child: &mut Child) -> Result<Receiver<Round>> {
    let stdout = child.stdout.take().context("the agent has no output")?;
    let (send, rounds) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let Ok(round) = serde_json::from_str(&line) else {
                continue;
            };
            if send.send(round).is_err() {
                return;
            }
        }
    });
    Ok(rounds)
}
