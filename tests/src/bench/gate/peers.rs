//! Other deciders in the same run, each doing the nearest that it has to one decision: what `peers.py` says.
//! None of them reads a token, a pinned schema or SQL; the rows say what each does.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::calls::Size;
use super::steps::{shipped_input, shipped_policy};
use super::{Bench, WARM_UP};
use crate::bench::report::{Row, Target};

const SCRIPT: &str = include_str!("peers.py");

/// Our own times of the same size of call, in nanoseconds.
pub(super) struct Ours<'a> {
    /// The whole decision.
    pub(super) decision_ns: &'a [u64],
    /// The policy's step.
    pub(super) policy_ns: &'a [u64],
}

/// A decider: its name in the script and its folder, what it does, and what of ours that stands beside.
struct Peer {
    name: &'static str,
    does: &'static str,
    ours: Part,
}

enum Part {
    Policy,
    Decision,
}

const PEERS: [Peer; 3] = [
    Peer { name: "regopy", does: "regopy 1.5.2, the same policy alone", ours: Part::Policy },
    Peer {
        name: "cmcp",
        does: "cmcp-runtime 0.7.1, Cedar on agent, tool and amount alone",
        ours: Part::Decision,
    },
    Peer {
        name: "agt",
        does: "agent-governance-toolkit-core 5.0.0, tool list and patterns alone",
        ours: Part::Decision,
    },
];

/// One row for each peer; `packages` has a folder for each.
pub(super) fn rows(
    bench: &Bench,
    packages: &Path,
    size: Size,
    ours: &Ours<'_>,
) -> Result<Vec<Row>> {
    let row = |peer: &Peer| {
        let theirs = times(bench, packages, size, peer)
            .with_context(|| format!("{} beside the gate", peer.name))?;
        let (step, times) = match peer.ours {
            Part::Policy => ("policy", ours.policy_ns),
            Part::Decision => ("gate decision", ours.decision_ns),
        };
        let name = format!("{step}, {}", size.name());
        Ok(Row::timed(&name, times.to_vec(), (peer.does, theirs), Target::default()))
    };
    PEERS.iter().map(row).collect()
}

/// What each call took the peer, in nanoseconds by its own clock.
fn times(bench: &Bench, packages: &Path, size: Size, peer: &Peer) -> Result<Vec<u64>> {
    let (policy, data) = shipped_policy(bench)?;
    let calls = (0..WARM_UP + bench.rounds).map(|i| {
        let arguments = size.arguments(i);
        let input = shipped_input(bench, size, arguments.clone());
        json!({"tool": size.tool(), "arguments": arguments, "input": input})
    });
    let job = json!({
        "peer": peer.name, "policy": policy, "data": data, "warm_up": WARM_UP,
        "calls": calls.collect::<Vec<_>>(),
    });
    let mut python = Command::new("python3")
        .args(["-W", "ignore", "-c", SCRIPT])
        .env("PYTHONPATH", packages.join(peer.name))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start python3")?;
    // The script reads all of it before it writes anything.
    let mut stdin = python.stdin.take().context("python3 has no standard input")?;
    stdin.write_all(job.to_string().as_bytes())?;
    drop(stdin);
    let output = python.wait_with_output()?;
    if !output.status.success() {
        bail!("it ended with {}", output.status);
    }
    serde_json::from_slice(&output.stdout).context("it printed no list of times")
}
