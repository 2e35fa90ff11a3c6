//! An agent whose host only starts commands: it speaks MCP to `atf connect` on its standard streams.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::mcp::{self, Answered, Ask};

/// Says hello, makes the call, and gives what came of it.
pub fn ask(atf: &Path, call: &Ask) -> Answered {
    let (answer, error) = match try_ask(atf, call) {
        Ok(answer) => (Some(answer), None),
        Err(error) => (None, Some(format!("{error:#}"))),
    };
    Answered { run: super::identity::run_id(), answer, error, ..Answered::default() }
}

fn try_ask(atf: &Path, call: &Ask) -> Result<Value> {
    let mut command = Command::new(atf);
    command.args(["--log-filter", "warn", "connect"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    // As hosts of MCP do: what they start finds nothing of their environment.
    let mut server =
        command.env_clear().spawn().with_context(|| format!("cannot start {}", atf.display()))?;
    let mut to = server.stdin.take().context("no standard input")?;
    let mut from = BufReader::new(server.stdout.take().context("no standard output")?).lines();
    let hello = Ask { method: "initialize".to_owned(), ..Ask::default() };
    writeln!(to, "{}", mcp::message(&hello))?;
    let told = from.next().context("no answer to initialize")??;
    ensure!(told.contains("protocolVersion"), "initialize: {told}");
    writeln!(to, "{}", json!({"jsonrpc": "2.0", "method": "notifications/initialized"}))?;
    writeln!(to, "{}", mcp::message(call))?;
    // The end of the input must not cost the answer that is under way.
    drop(to);
    let answer = from.next().context("no answer to the call")??;
    ensure!(from.next().is_none(), "more answers than requests");
    let status = server.wait()?;
    ensure!(status.success(), "atf connect ended with {status}");
    Ok(serde_json::from_str(&answer)?)
}
