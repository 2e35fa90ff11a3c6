//! `bench gateway`: the whole line under load, beside the same load on the same tool with nothing
//! before it. All checks are on: caller, token, schema, SQL, policy, caps, permit, receipt, log.

mod memory;
mod peers;

use std::fs;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use atf_agent::kernel::boot_ms;

use crate::bench::call::demo_options;
use crate::bench::direct::Direct;
use crate::bench::report::{Report, Row, Target};
use crate::bench::{Extent, Options};
use crate::demo::calls::{call_arguments, honest, start};
use crate::demo::installation::{self, AGENT, Installation};
use crate::demo::process::Place;
use crate::hijacked::load::Loaded;
use crate::lab::World;

pub use peers::{Peer, Peers};

/// Calls that one run may have under way (the gateway's default); more connections are more runs.
const CALLS_OF_A_RUN: usize = 16;

/// Rounds, in turns with the direct one.
const ROUNDS: usize = 3;

/// Time for all runs of a round to start, in milliseconds.
const START_MS: u64 = 1_500;

/// How long a round loads, in milliseconds.
const LOAD_MS: u64 = 2_000;

/// The least that says something: a few calls, even at a fixed rate.
const LOAD_MS_MIN: u64 = 200;

/// One kind of load.
struct Load {
    name: &'static str,
    connections: usize,
    /// See [`crate::hijacked::load::Plan::every_us`].
    every_us: u64,
}

const LOADS: [Load; 5] = [
    Load { name: "1 connection", connections: 1, every_us: 0 },
    Load { name: "8 connections", connections: 8, every_us: 0 },
    Load { name: "32 connections", connections: 32, every_us: 0 },
    Load { name: "128 connections", connections: 128, every_us: 0 },
    Load { name: "1,000 calls/s", connections: 8, every_us: 8_000 },
];

/// How the log is kept, and whether a call waits for less than the disk.
const AUDITS: [(&str, bool); 2] = [("durable", false), ("queued", true)];

/// What one kind of load came to.
#[derive(Clone, Default)]
struct Came {
    times_ns: Vec<u64>,
    /// Calls a second, of each round.
    rates: Vec<f64>,
}

/// One kind of load, and what it came to with everybody who was under it, in turns.
struct Measured {
    load: &'static Load,
    through: Came,
    direct: Came,
    /// In the order of the peers.
    peers: Vec<Came>,
}

/// The area `gateway`.
///
/// # Errors
/// When something cannot be set up (root?) or a call is refused.
pub fn gateway(options: &Options) -> Result<Report> {
    let mut rows = Vec::new();
    let loads = if loads(options).next().is_some() { &AUDITS[..] } else { &[] };
    for &(audit, queued) in loads {
        for Measured { load, through, direct, peers } in measure(options, queued)? {
            let names = options.beside.all.iter().map(|peer| peer.name.as_str());
            for (name, came) in names.zip(peers) {
                rows.extend(load.rows_of(&format!("{name} beside {audit}"), came, &direct));
            }
            rows.extend(load.rows(audit, queued, through, &direct));
        }
    }
    let mut report = Report { area: "gateway".to_owned(), rows };
    let only = options.only.as_deref().unwrap_or_default();
    if !memory::NAME.contains(only) {
        return Ok(report);
    }
    let memory = memory::row(options).with_context(|| format!("after\n{}", report.table()))?;
    report.rows.push(memory);
    Ok(report)
}

impl Load {
    /// The rows of a peer.
    fn rows_of(&self, who: &str, came: Came, direct: &Came) -> [Row; 2] {
        self.figures(who, came, direct, Target::default(), None)
    }

    fn rows(&self, audit: &str, queued: bool, through: Came, direct: &Came) -> [Row; 2] {
        let (one, fixed) = (self.connections == 1, self.every_us > 0);
        let target = Target {
            added_us: (queued && one).then_some(450.0),
            p99_us: (queued && fixed).then_some(5_000.0),
            ..Target::default()
        };
        let least = match (queued, self.connections) {
            _ if fixed => None,
            (true, 8..) => Some(5_000.0),
            (false, 128) => Some(4_000.0),
            _ => None,
        };
        self.figures(audit, through, direct, target, least)
    }

    fn figures(
        &self,
        who: &str,
        came: Came,
        direct: &Came,
        target: Target,
        least: Option<f64>,
    ) -> [Row; 2] {
        let name = |what: &str| format!("{}, {who}: {what}", self.name);
        let (times, rates) =
            (("direct", direct.times_ns.clone()), ("direct", direct.rates.clone()));
        [
            Row::timed(&name("latency"), came.times_ns, times, target),
            Row::rate(&name("throughput"), came.rates, rates, least),
        ]
    }
}

/// A sample leaves out what takes several runs at once.
fn loads(options: &Options) -> impl Iterator<Item = &'static Load> {
    let all = options.extent == Extent::Whole;
    let only = options.only.as_deref().unwrap_or_default();
    let named = LOADS.iter().filter(move |load| load.name.contains(only));
    named.filter(move |load| all || load.connections <= CALLS_OF_A_RUN)
}

fn measure(options: &Options, queued: bool) -> Result<Vec<Measured>> {
    let folder = installation::folder()?;
    let world = World::new(&folder.path().join("lab")).context("cannot build the lab (root?)")?;
    let place = Place::new(&world, folder.path(), &options.demo, &options.hijacked)?;
    let installation = Installation::start(folder.path(), &demo_options(options, queued))?;
    let direct = Direct::start(folder.path(), options.beside.upstream)?;
    let token = folder.path().join("token");
    fs::write(&token, "none")?;
    let load_ms = match options.extent {
        Extent::Whole => LOAD_MS,
        Extent::Sample => LOAD_MS_MIN,
    };
    let none = vec![Came::default(); options.beside.all.len()];
    let measured = |load| Measured {
        load,
        through: Came::default(),
        direct: Came::default(),
        peers: none.clone(),
    };
    let mut all: Vec<_> = loads(options).map(measured).collect();
    for _ in 0..options.extent.of(ROUNDS) {
        for Measured { load, through, direct: beside, peers } in &mut all {
            let caged = |words: &[_]| {
                let mut command = start(&place, &installation, AGENT, "load", words);
                piped(&mut command);
                place.spawn(command)
            };
            round((load, load_ms), &installation.prompt(), caged, through)?;
            let plain = |words: &[_]| {
                let mut command = Command::new(place.hijacked());
                command.env("ATF_SOCKET", &direct.socket).env("ATF_TOKEN_FILE", &token);
                uncaged(command.args(words))
            };
            round((load, load_ms), &installation.prompt(), plain, beside)?;
            for (peer, came) in options.beside.all.iter().zip(peers) {
                let its = options.beside.token_file.as_ref().unwrap_or(&token);
                let at = |words: &[_]| {
                    let mut command = Command::new(place.hijacked());
                    command.env("ATF_TOKEN_FILE", its).args(words).args(["--url", &peer.url]);
                    uncaged(&mut command)
                };
                let measured = round((load, load_ms), &installation.prompt(), at, came);
                measured.with_context(|| format!("the peer {}", peer.name))?;
            }
        }
    }
    Ok(all)
}

/// Has what it says read.
fn piped(command: &mut Command) -> &mut Command {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped())
}

/// Starts a load of no run, on the host's own loopback, where peers listen.
fn uncaged(command: &mut Command) -> Result<Child> {
    piped(command).spawn().context("cannot start a load")
}

/// Has as many processes as it takes load at the same time, each with its share of the connections.
fn round(
    (load, load_ms): (&Load, u64),
    prompt: &str,
    start: impl Fn(&[std::ffi::OsString]) -> Result<Child>,
    came: &mut Came,
) -> Result<()> {
    let (tool, arguments) = honest();
    let begin = (boot_ms() + START_MS).to_string();
    let (lasts, every) = (load_ms.to_string(), load.every_us.to_string());
    let mut processes = Vec::new();
    for first in (0..load.connections).step_by(CALLS_OF_A_RUN) {
        let connections = (load.connections - first).min(CALLS_OF_A_RUN).to_string();
        let more = [
            "--connections",
            &connections,
            "--from-boot-ms",
            &begin,
            "--for-ms",
            &lasts,
            "--every-us",
            &every,
        ];
        processes.push(start(&call_arguments("load", (tool, &arguments), prompt, &more))?);
    }
    let mut calls = 0;
    for process in processes {
        let output = process.wait_with_output()?;
        let said: Loaded = serde_json::from_slice(&output.stdout).with_context(|| {
            let complained = String::from_utf8_lossy(&output.stderr);
            format!("{}: nothing was measured; standard error: {complained}", load.name)
        })?;
        calls += said.times_ns.len();
        came.times_ns.extend(said.times_ns);
    }
    ensure!(calls > 0, "{}: no call was made", load.name);
    came.rates.push(calls as f64 * 1e3 / load_ms as f64);
    Ok(())
}
