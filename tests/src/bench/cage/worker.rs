//! A process that times operations where it has been put. It speaks lines: an order comes in, one
//! line of JSON goes out. Its sockets are made after it was moved, so that they are of its cgroup.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use atf_agent::kernel::boot_ns;
use rustix::process::Pid;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::operation::{Operation, Stage};
use crate::lab::Namespace;

/// The word on the command line that makes the bench a worker.
const WORD: &str = "cage-worker";

/// Operations before those that are timed.
const WARM_UP: usize = 50;

/// What a worker is told.
#[derive(Debug, Serialize, Deserialize)]
enum Order {
    /// Do it so often, and say what each took.
    Time { operation: Operation, count: usize },
    /// Do it until it is refused, and say when the refusal came.
    UntilRefused { operation: Operation },
}

/// How long each of a batch took, and how many of them were refused.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Batch {
    pub(super) times_ns: Vec<u64>,
    pub(super) refused: usize,
}

/// A worker, seen from outside. It ends with its value.
pub(super) struct Worker {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Worker {
    /// Starts one in the cgroup at `cgroup` (or where we are) and in `namespace` (or ours).
    pub(super) fn start(cgroup: Option<&Path>, namespace: Option<&Namespace>) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(WORD).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = match namespace {
            Some(namespace) => namespace.within(|| command.spawn()),
            None => command.spawn(),
        }
        .context("cannot start a worker")?;
        let (orders, answers) = (child.stdin.take(), child.stdout.take());
        let (orders, answers) = (orders.context("no input")?, answers.context("no output")?);
        if let Some(cgroup) = cgroup {
            std::fs::write(cgroup.join("cgroup.procs"), child.id().to_string())
                .with_context(|| format!("cannot move a worker to {}", cgroup.display()))?;
        }
        Ok(Self { child, orders, answers: BufReader::new(answers) })
    }

    /// Its process.
    pub(super) fn pid(&self) -> Option<Pid> {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// Has it do `operation` `count` times.
    pub(super) fn time(&mut self, operation: Operation, count: usize) -> Result<Batch> {
        self.order(&Order::Time { operation, count })?;
        self.answer()
    }

    /// Has it do `operation` until that is refused; `meanwhile` runs when it has begun. When the
    /// refusal came, boot clock, nanoseconds.
    pub(super) fn until_refused(
        &mut self,
        operation: Operation,
        meanwhile: impl FnOnce() -> Result<()>,
    ) -> Result<u64> {
        self.order(&Order::UntilRefused { operation })?;
        let _begun: bool = self.answer()?;
        meanwhile()?;
        self.answer()
    }

    fn order(&mut self, order: &Order) -> Result<()> {
        writeln!(self.orders, "{}", serde_json::to_string(order)?).context("a worker is gone")
    }

    fn answer<T: serde::de::DeserializeOwned>(&mut self) -> Result<T> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        serde_json::from_str(&line).with_context(|| format!("a worker said {line:?}"))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if let Err(error) = self.child.kill().and_then(|()| self.child.wait()) {
            eprintln!("atf-bench: a worker stays: {error}");
        }
    }
}

/// The worker's own life: until its input ends.
///
/// # Errors
/// When an operation fails in another way than by a refusal.
pub fn work() -> Result<()> {
    for line in io::stdin().lines() {
        let answer = match serde_json::from_str(&line?)? {
            Order::Time { operation, count } => json!(time(operation, count)?),
            Order::UntilRefused { operation } => json!(until_refused(operation)?),
        };
        println!("{answer}");
    }
    Ok(())
}

fn time(operation: Operation, count: usize) -> Result<Batch> {
    let stage = Stage::set(operation)?;
    let mut batch = Batch::default();
    for i in 0..WARM_UP + count {
        let mut act = stage.ready()?;
        let began = Instant::now();
        let done = act.go();
        let elapsed = began.elapsed();
        if i >= WARM_UP {
            batch.times_ns.push(u64::try_from(elapsed.as_nanos())?);
            batch.refused += usize::from(is_refused(&done)?);
        }
        act.clear(done.is_ok())?;
    }
    Ok(batch)
}

fn until_refused(operation: Operation) -> Result<u64> {
    let stage = Stage::set(operation)?;
    let mut act = stage.ready()?;
    if is_refused(&act.go())? {
        bail!("it was refused before it could be");
    }
    act.again()?;
    println!("true");
    loop {
        let done = act.go();
        let now = boot_ns();
        if is_refused(&done)? {
            return Ok(now);
        }
        act.again()?;
    }
}

/// Whether the kernel said EPERM.
///
/// # Errors
/// Any other error is the bench's own fault.
fn is_refused(done: &rustix::io::Result<()>) -> Result<bool> {
    match done {
        Ok(()) => Ok(false),
        Err(rustix::io::Errno::PERM) => Ok(true),
        Err(error) => bail!("an operation failed with {error}"),
    }
}
