//! A run, from outside: it is told which calls to make.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result};
use serde_json::Value;

use super::inside::Call;
use super::place::Place;
use crate::hijacked::mcp::Answered;

/// A run that waits for calls.
pub(super) struct Player {
    child: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
}

impl Player {
    /// Starts a run of `agent`; its task is what the file says.
    pub(super) fn start(place: &Place, agent: &str, task: Option<&Path>) -> Result<Self> {
        let installation = &place.installation;
        let command = [place.program.clone().into(), "inside".into(), installation.prompt().into()];
        let visible = [place.program.clone()];
        let mut words = installation.words(agent, "agentdojo", &visible, &command);
        let options = words.iter().position(|word| word == "--").context("no -- in the words")?;
        if let Some(task) = task {
            words.splice(options..options, ["--task-file".into(), task.into()]);
        }
        let mut child = Command::new(&words[0])
            .args(&words[1..])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start a run")?;
        let to = child.stdin.take();
        let from = BufReader::new(child.stdout.take().context("the run has no output")?);
        Ok(Self { child, to, from })
    }

    /// Has it make a call.
    pub(super) fn call(&mut self, call: &Call) -> Result<Answered> {
        let to = self.to.as_mut().context("the run has no input")?;
        writeln!(to, "{}", serde_json::to_string(call)?)?;
        let mut line = String::new();
        self.from.read_line(&mut line)?;
        serde_json::from_str(&line).with_context(|| format!("the run said {line:?} to {call:?}"))
    }

    /// Has it make a call that must give a value.
    pub(super) fn value(&mut self, call: &Call) -> Result<Value> {
        let answered = self.call(call)?;
        let answer = answered.answer.as_ref();
        let value = answer.and_then(|answer| answer.pointer("/result/structuredContent/result"));
        value.cloned().with_context(|| format!("{call:?} gave no value: {answered:?}"))
    }

    /// Lets it end.
    pub(super) fn end(mut self) -> Result<()> {
        drop(self.to.take());
        let status = self.child.wait()?;
        anyhow::ensure!(status.success(), "the run ended with {status}");
        Ok(())
    }
}
