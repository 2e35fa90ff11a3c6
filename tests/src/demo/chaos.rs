//! Chaos: runs try to get out while something is killed, hung or torn out under them, at a moment that
//! is drawn by a seed. Whatever it is and whenever it comes, nothing reaches a canary.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use super::control;
use super::installation::{AGENT, Doctor, Installation, bridged, output};
use super::process::{Place, wait};
use super::report::{Row, Verdict};
use super::say;
use crate::attempts::{ATTEMPTS, Attempt};
use crate::hijacked::Said;
use crate::random::Random;

/// Runs at the same time.
const RUNS: usize = 4;

/// The latest moment of a round at which something happens, in milliseconds: runs have started,
/// tried and ended by then.
const MOMENT_MAX_MS: u64 = 600;

/// How long the gateway hangs: longer than its lease, so that the kernel has to notice.
const HANGS: Duration = Duration::from_millis(2_500);

/// The longest that a run may take, and that ATF may take to be whole again.
const PATIENCE: Duration = Duration::from_secs(60);

/// What happens to ATF.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Blow {
    /// SIGKILL of a process of ATF's.
    Kill(&'static str),
    /// SIGKILL of the launcher that keeps one of the runs.
    KillKeeper,
    /// SIGSTOP of the gateway, so that its lease runs out.
    HangGateway,
    /// A pinned link is removed.
    Unpin(&'static str),
}

const BLOWS: [(&str, &str, Blow); 9] = [
    ("chaos_gateway", "SIGKILL of the gateway", Blow::Kill("gateway")),
    ("chaos_authority", "SIGKILL of the authority", Blow::Kill("authority")),
    ("chaos_recorder", "SIGKILL of the recorder", Blow::Kill("recorder")),
    ("chaos_executor", "SIGKILL of the executor", Blow::Kill("executor")),
    ("chaos_watch", "SIGKILL of the watch", Blow::Kill("watch")),
    ("chaos_keeper", "SIGKILL of a run's keeper", Blow::KillKeeper),
    ("chaos_hang", "the gateway hangs until its lease is out", Blow::HangGateway),
    ("chaos_unpin_create", "the link of sock_create is removed", Blow::Unpin("sock_create")),
    ("chaos_unpin_egress", "the link of egress is removed", Blow::Unpin("egress")),
];

/// After so many rounds it is said how far it is.
const TOLD_EVERY: u32 = 50;

/// Attempts that need something of their parent, which a round does not give.
const NEED_AN_OFFER: [&str; 3] = ["inherited_fd", "tiocsti", "child_cgroup"];

/// What one kind of blow came to.
#[derive(Default)]
struct Tally {
    rounds: u32,
    /// Runs whose agent made its attempt and told of it.
    tried: u32,
    /// What must not be.
    wrong: Vec<String>,
}

/// Deals `rounds` blows, their moments drawn by `seed`, and gives a row for each kind.
pub(super) fn run(
    place: &Place<'_>,
    installation: &Installation,
    doctor: &Doctor,
    rounds: u32,
    seed: u64,
) -> Result<Vec<Row>> {
    say(&format!("chaos: {rounds} rounds, --seed {seed} deals them again"));
    let attempts = possible(place, doctor)?;
    let mut random = Random(seed);
    let mut tallies = BLOWS.map(|_| Tally::default());
    for round in 0..rounds {
        // Each kind has its turn; who tries what, who is hit and when is drawn.
        let at = round as usize % BLOWS.len();
        let (tally, (_, what, blow)) = (&mut tallies[at], BLOWS[at]);
        tally.rounds += 1;
        if let Err(error) = one(place, installation, &attempts, blow, &mut random, tally) {
            tally.wrong.push(format!("round {round}, {what}: {error:#}"));
        }
        let done = round + 1;
        if done % TOLD_EVERY == 0 {
            let wrong: usize = tallies.iter().map(|tally| tally.wrong.len()).sum();
            say(&format!("chaos: {done} of {rounds} rounds, {wrong} with something wrong"));
        }
    }
    ensure!(tallies.iter().any(|tally| tally.tried > 0), "no agent came as far as its attempt");
    let mut rows = Vec::new();
    for ((id, what, _), tally) in BLOWS.into_iter().zip(tallies) {
        if tally.rounds > 0 {
            rows.push(row(id, what, &tally));
        }
    }
    let left = Row::new("chaos_left", "what is left when all is over");
    rows.push(Row::or_failed("chaos_left", &left.vector.clone(), nothing_left(installation, left)));
    Ok(rows)
}

fn row(id: &str, what: &str, tally: &Tally) -> Row {
    let mut row = Row::new(id, what);
    row.without = Some("out".to_owned());
    row.with = Some(format!("0 bytes, {} attempts in {} rounds", tally.tried, tally.rounds));
    if !tally.wrong.is_empty() {
        row.with = Some("not kept".to_owned());
        return row.promise(false, tally.wrong.join("; "));
    }
    if tally.tried == 0 {
        // It may be no fault: a cage that is not proven starts nobody.
        row.verdict = Some(Verdict::Vacuous);
        row.note = Some("no agent came as far as its attempt".to_owned());
        return row;
    }
    row.promise(true, "")
}

/// The attempts that get out without ATF, here and now, and that this host closes.
fn possible(place: &Place<'_>, doctor: &Doctor) -> Result<Vec<&'static Attempt>> {
    let mut possible = Vec::new();
    for attempt in &ATTEMPTS {
        let listed = doctor.not_covered.iter().any(|id| id == attempt.id);
        if listed || NEED_AN_OFFER.contains(&attempt.does()) {
            continue;
        }
        if control::run(place, attempt)?.without.as_deref() == Some("out") {
            possible.push(attempt);
        }
    }
    ensure!(possible.len() > 5, "only {} attempts are possible here", possible.len());
    Ok(possible)
}

/// One round: runs start, something happens, the runs end.
fn one(
    place: &Place<'_>,
    installation: &Installation,
    attempts: &[&'static Attempt],
    blow: Blow,
    random: &mut Random,
    tally: &mut Tally,
) -> Result<()> {
    until_whole(installation)?;
    let before = place.world.oracle.seen();
    let mut runs = Vec::new();
    for number in 0..RUNS {
        let attempt = attempts[random.below(attempts.len() as u64) as usize];
        runs.push(start(place, installation, attempt, number)?);
    }
    sleep(Duration::from_millis(random.below(MOMENT_MAX_MS)));
    let unlucky = random.below(RUNS as u64) as usize;
    let dealt = deal(installation, blow, &runs[unlucky].0);
    for (child, said) in &mut runs {
        wait(child, PATIENCE)?;
        let said = fs::read_to_string(&*said)?;
        tally.tried += u32::from(serde_json::from_str::<Said>(&said).is_ok());
    }
    dealt?;
    let after = place.world.oracle.seen();
    let reached = after.iter().zip(&before).filter(|(after, before)| after != before);
    let reached: Vec<&str> = reached.map(|(after, _)| after.0).collect();
    if !reached.is_empty() {
        bail!("the canaries {} were reached", reached.join(", "));
    }
    Ok(())
}

/// Starts a run that makes one attempt; what it says goes into a file.
fn start(
    place: &Place<'_>,
    installation: &Installation,
    attempt: &Attempt,
    number: usize,
) -> Result<(Child, PathBuf)> {
    let inner: Vec<OsString> =
        std::iter::once(place.hijacked().into()).chain(place.attempt(attempt)).collect();
    let words = installation.run_command(AGENT, attempt.id, place, &inner);
    let words = if attempt.bridged.is_some() { bridged(words) } else { words };
    let said = place.scratch.join(format!("chaos-{number}"));
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).stdin(Stdio::null());
    command.stdout(File::create(&said)?).stderr(Stdio::null());
    Ok((place.spawn(command)?, said))
}

fn deal(installation: &Installation, blow: Blow, keeper: &Child) -> Result<()> {
    match blow {
        Blow::Kill(name) => signal(installation.process(name)?, Signal::KILL),
        Blow::KillKeeper => signal(keeper.id().cast_signed(), Signal::KILL),
        Blow::HangGateway => {
            let gateway = installation.process("gateway")?;
            signal(gateway, Signal::STOP)?;
            sleep(HANGS);
            signal(gateway, Signal::CONT)
        }
        Blow::Unpin(link) => {
            match fs::remove_file(installation.places().pin_dir.join("links").join(link)) {
                // A repair is at work on it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                done => done.with_context(|| format!("cannot remove the link of {link}")),
            }
        }
    }
}

/// A process that has ended by itself is no matter.
fn signal(process: i32, signal: Signal) -> Result<()> {
    let process = Pid::from_raw(process).context("0 is no process")?;
    match kill_process(process, signal) {
        Err(rustix::io::Errno::SRCH) | Ok(()) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Waits until every daemon answers and the cage is proven.
pub(super) fn until_whole(installation: &Installation) -> Result<()> {
    let places = installation.places();
    let sockets = [places.authority_socket(), places.recorder_socket(), places.executor_socket()];
    let began = Instant::now();
    loop {
        let answer = |path| std::os::unix::net::UnixStream::connect(path).is_ok();
        let proven = output(installation.atf().args(["enforcer", "check"]));
        if proven.is_ok() && sockets.iter().all(answer) {
            return Ok(());
        }
        if began.elapsed() > PATIENCE {
            let why = proven.err().map_or_else(|| "a daemon is away".to_owned(), |e| e.to_string());
            bail!("ATF is not whole again after {} s: {why}", PATIENCE.as_secs());
        }
        sleep(Duration::from_millis(20));
    }
}

/// Keepers that were killed left their runs registered. Any launch sweeps them away; after one, no run
/// is registered and no cgroup is there but the one that keeps the agents' cgroup.
fn nothing_left(installation: &Installation, row: Row) -> Result<Row> {
    until_whole(installation)?;
    let began = Instant::now();
    loop {
        let swept = installation.sweep();
        let runs = output(installation.atf().args(["runs", "--output", "json"]))?;
        let registered: Vec<serde_json::Value> = serde_json::from_str(&runs)?;
        let mut cgroups: Vec<String> = Vec::new();
        for entry in fs::read_dir(installation.agents_cgroup()?)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() && entry.file_name() != "keep" {
                cgroups.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        if registered.is_empty() && cgroups.is_empty() {
            return Ok(Row { with: Some("nothing".to_owned()), ..row }.promise(true, ""));
        }
        if began.elapsed() > PATIENCE {
            let (registered, swept) = (registered.len(), swept.err());
            bail!("{registered} runs are registered, cgroups {cgroups:?} stay: {swept:?}");
        }
        sleep(Duration::from_millis(200));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blow_under_which_nobody_tried_anything_shows_nothing() {
        for (tried, wrong, verdict) in [
            (3, vec![], Verdict::Closed),
            (0, vec![], Verdict::Vacuous),
            (3, vec!["the canaries tcp4 were reached".to_owned()], Verdict::Escaped),
        ] {
            let tally = Tally { rounds: 1, tried, wrong };
            assert_eq!(row("x", "x", &tally).verdict, Some(verdict));
        }
    }
}
