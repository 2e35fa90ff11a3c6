//! The making of runs, without their processes: directory, cgroup, and all that the authority does
//! until the kernel and the gateway know the run. Beside it, the cgroup and its entries alone.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use atf_agent::call::{CgroupId, Digest, Named, RunId, Untrusted};
use atf_agent::wire::{AuthorityReply, AuthorityRequest, Connection, Ids, Mandate, Places};

use crate::bench::Options;
use crate::bench::call::demo_options;
use crate::bench::report::{Row, Target};
use crate::demo::installation::{self, AGENT, Installation};
use crate::lab::cell::{Cell, HOUR_MS, lasting};

/// Runs that are up at once.
const RUNS: usize = 5_000;

/// The most that the making of one may take at the median, in microseconds.
const P50_US: f64 = 5_000.0;
/// The most that all of them may take, in microseconds.
const ALL_US: f64 = 15_000_000.0;

/// The authority answers at once or is not there.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn rows(options: &Options) -> Result<Vec<Row>> {
    let runs = options.extent.of(RUNS);
    let bare = bare(runs)?;
    let folder = installation::folder()?;
    let installation = Installation::start(folder.path(), &demo_options(options, false))?;
    let agents = installation.agents_cgroup()?;
    let mut made = Vec::with_capacity(runs);
    let mut times = Vec::with_capacity(runs);
    let began = Instant::now();
    let all_made = (0..runs).try_for_each(|_| {
        let began = Instant::now();
        made.push(agents.join(make(&installation, &agents)?.to_string()));
        times.push(elapsed_ns(began));
        Ok::<(), anyhow::Error>(())
    });
    let all = elapsed_ns(began);
    for dir in &made {
        fs::remove_dir(dir).with_context(|| format!("cannot remove {}", dir.display()))?;
    }
    all_made.with_context(|| format!("after {} runs", made.len()))?;
    let all_bare = bare.iter().sum();
    let one = Target { p50_us: Some(P50_US), ..Target::default() };
    let whole = Target { p50_us: Some(ALL_US), ..Target::default() };
    let baseline = "cgroup and entries alone";
    Ok(vec![
        Row::timed("run creation, without exec", times, (baseline, bare), one),
        Row::timed(&format!("{runs} runs up"), vec![all], (baseline, vec![all_bare]), whole),
    ])
}

/// One run, as the launcher makes it before it has a process.
fn make(installation: &Installation, agents: &std::path::Path) -> Result<RunId> {
    let (run, places) = (RunId::random(), installation.places());
    let cgroup = agents.join(run.to_string());
    fs::create_dir(&cgroup)?;
    gateway_dir(places, run)?;
    let path = places.authority_socket();
    let mut authority = Connection::<AuthorityRequest, AuthorityReply>::open(&path, PATIENCE)?;
    let answer = authority.ask(&AuthorityRequest::Register {
        run,
        cgroup: CgroupId(fs::metadata(&cgroup)?.ino()),
        agent: AGENT.parse()?,
        mandate: Mandate::Person {
            user: Untrusted::new("bench@example.com"),
            task: Untrusted::new("BENCH"),
            named: Named::nothing(),
        },
        prompt: installation.prompt().parse::<Digest>()?,
        lifetime_s: None,
        network: None,
    })?;
    match answer {
        AuthorityReply::Registered { .. } => Ok(run),
        other => bail!("the authority admits no run: {other:?}"),
    }
}

/// The part of the run's directory in which the gateway listens.
fn gateway_dir(places: &Places, run: RunId) -> Result<PathBuf> {
    let dir = places.run_gateway(run);
    fs::create_dir_all(&dir)?;
    let gateway = Ids::default().gateway;
    chown(&dir, Some(gateway), Some(gateway))?;
    Ok(dir)
}

/// What the kernel alone takes for it.
fn bare(runs: usize) -> Result<Vec<u64>> {
    let cell = Cell::up();
    let mut times = Vec::with_capacity(runs);
    for i in 0..runs {
        let began = Instant::now();
        let dir = cell.cage.agents_dir.join(format!("run-{i}"));
        fs::create_dir(&dir)?;
        let id = CgroupId(fs::metadata(&dir)?.ino());
        cell.runs.admit(id, lasting(HOUR_MS))?;
        times.push(elapsed_ns(began));
    }
    Ok(times)
}

fn elapsed_ns(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX)
}
