//! Calls through the gate: honest ones by each door, then six that a hijacked agent would make, each in a fresh
//! run. Which step refused, and why, is read from the log; the caller is told little.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::installation::{AGENT, Installation, READER, bridged};
use super::log::{Log, is};
use super::process::{Place, wait};
use super::report::Row;
use crate::hijacked::mcp::Answered;

/// One call that must be refused.
struct Refused {
    id: &'static str,
    what: &'static str,
    agent: &'static str,
    tool: &'static str,
    arguments: Value,
    step: &'static str,
    reason: &'static str,
}

/// A query that the policies allow.
pub(crate) fn honest() -> (&'static str, Value) {
    ("ledger.query", json!({"sql": "SELECT id, amount_cents FROM ledger_entries LIMIT 5"}))
}

/// A query that they refuse.
pub(crate) fn drop_table() -> (&'static str, Value) {
    ("ledger.query", json!({"sql": "DROP TABLE ledger_entries"}))
}

fn refused() -> [Refused; 4] {
    let refuse = |id, what, (tool, arguments), (step, reason)| Refused {
        id,
        what,
        agent: AGENT,
        tool,
        arguments,
        step,
        reason,
    };
    let adjust = |cents: Value| {
        ("ledger.adjust", json!({"entry_id": 1, "amount_cents": cents, "reason": "demo"}))
    };
    [
        refuse("drop_table", "a DROP TABLE", drop_table(), ("sql", "sql.refused")),
        Refused {
            agent: READER,
            ..refuse(
                "tool_not_named",
                "a tool that the token does not name",
                adjust(json!(1)),
                ("authenticate", "token.tool_not_named"),
            )
        },
        refuse(
            "bad_argument",
            "an argument that the schema refuses",
            adjust(json!("much")),
            ("schema", "schema.arguments"),
        ),
        refuse(
            "over_the_cap",
            "an amount over its cap",
            adjust(json!(60_000)),
            ("policy", "cap.exceeded"),
        ),
    ]
}

/// Makes the calls.
pub(crate) fn run(place: &Place<'_>, installation: &Installation, log: &Log) -> Vec<Row> {
    let prompt = installation.prompt();
    let call = |id, what, agent, called: (&str, &Value), claimed: &str, expected| {
        let words = call_arguments("ask", called, claimed, &[]);
        let tried = ask(place, installation, agent, id, &words)
            .and_then(|answered| judge(log, &answered, id, what, expected));
        Row::or_failed(id, what, tried)
    };
    let (id, what) = ("honest_call", "an honest SELECT");
    let mut rows =
        vec![Row::or_failed(id, what, honest_row(place, installation, &prompt, (id, what)))];
    let (id, what) = ("stdio_host", "the same through atf connect");
    rows.push(Row::or_failed(id, what, stdio_row(place, installation, (id, what))));
    for (id, what, address) in [
        ("bridge_call", "the same by a URL of the run's loopback", "127.0.0.1"),
        ("bridge_call6", "the same by a URL with IPv6", "::1"),
    ] {
        let tried = bridged_row(place, installation, log, address, (id, what));
        rows.push(Row::or_failed(id, what, tried));
    }
    for it in refused() {
        let expected = (it.step, it.reason);
        rows.push(call(it.id, it.what, it.agent, (it.tool, &it.arguments), &prompt, expected));
    }
    let (tool, arguments) = honest();
    let expected = ("policy", "policy.prompt_digest");
    let (id, what, changed) = ("changed_prompt", "a changed prompt digest", "0".repeat(64));
    rows.push(call(id, what, AGENT, (tool, &arguments), &changed, expected));
    let (id, what) = ("stolen_token", "a token stolen from another run");
    rows.push(Row::or_failed(id, what, stolen(place, installation, log, &prompt, (id, what))));
    rows
}

/// The attacker's arguments for an MCP mode.
pub(crate) fn call_arguments(
    mode: &str,
    (tool, arguments): (&str, &Value),
    prompt: &str,
    more: &[&str],
) -> Vec<OsString> {
    let arguments = arguments.to_string();
    let words = ["mcp", mode, "--tool", tool, "--arguments", &arguments, "--prompt", prompt];
    words.iter().chain(more).map(OsString::from).collect()
}

/// Starts a run whose agent is the attacker with these arguments.
pub(crate) fn start(
    place: &Place<'_>,
    installation: &Installation,
    agent: &str,
    task: &str,
    arguments: &[OsString],
) -> Command {
    started(&run_words(place, installation, agent, task, arguments))
}

fn run_words(
    place: &Place<'_>,
    installation: &Installation,
    agent: &str,
    task: &str,
    arguments: &[OsString],
) -> Vec<OsString> {
    let inner: Vec<OsString> =
        std::iter::once(place.hijacked().into()).chain(arguments.iter().cloned()).collect();
    installation.run_command(agent, task, place, &inner)
}

fn started(words: &[OsString]) -> Command {
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    command
}

fn ask(
    place: &Place<'_>,
    installation: &Installation,
    agent: &str,
    task: &str,
    arguments: &[OsString],
) -> Result<Answered> {
    answered(place, task, start(place, installation, agent, task, arguments))
}

fn answered(place: &Place<'_>, task: &str, command: Command) -> Result<Answered> {
    let (said, complained) = place.finish(command, |_| Ok(()))?;
    serde_json::from_str(&said)
        .with_context(|| format!("{task}: no answer; standard error: {complained}"))
}

/// A call that is permitted and one that is refused, each by a run with a bridge that is told of nothing else.
fn bridged_row(
    place: &Place<'_>,
    installation: &Installation,
    log: &Log,
    address: &str,
    (id, what): (&str, &str),
) -> Result<Row> {
    let prompt = installation.prompt();
    let ask = |(tool, arguments): (&str, Value)| {
        let words = call_arguments("ask", (tool, &arguments), &prompt, &["--address", address]);
        let words = run_words(place, installation, AGENT, id, &words);
        answered(place, id, started(&bridged(words)))
    };
    let permitted = ask(honest())?;
    let row = judge(log, &ask(drop_table())?, id, what, ("sql", "sql.refused"))?;
    match permitted.is_result() {
        true => Ok(row),
        false => Ok(row.promise(false, format!("{permitted:?}"))),
    }
}

fn honest_row(
    place: &Place<'_>,
    installation: &Installation,
    prompt: &str,
    (id, what): (&str, &str),
) -> Result<Row> {
    let (tool, arguments) = honest();
    let words = call_arguments("ask", (tool, &arguments), prompt, &[]);
    let answered = ask(place, installation, AGENT, id, &words)?;
    let mut row = Row::new(id, what);
    let worked = answered.is_result();
    row.with = Some(if worked { "rows" } else { "refused" }.to_owned());
    Ok(row.promise(worked, format!("{answered:?}")))
}

/// The agent claims no prompt digest itself: `atf connect` claims the run's.
fn stdio_row(
    place: &Place<'_>,
    installation: &Installation,
    (id, what): (&str, &str),
) -> Result<Row> {
    let ((tool, arguments), program) = (honest(), installation.program().as_os_str());
    let arguments = arguments.to_string();
    let words = ["mcp", "stdio", "--tool", tool, "--arguments", &arguments, "--atf"];
    let mut words: Vec<OsString> = words.map(OsString::from).to_vec();
    words.push(program.to_owned());
    let answered = ask(place, installation, AGENT, id, &words)?;
    let worked =
        answered.answer.as_ref().is_some_and(|answer| answer["result"]["isError"] == json!(false));
    let mut row = Row::new(id, what);
    row.with = Some(if worked { "rows" } else { "refused" }.to_owned());
    Ok(row.promise(worked, format!("{answered:?}")))
}

/// One run lends its token to another, as when a log or a screen leaks it. The lender lives on.
fn stolen(
    place: &Place<'_>,
    installation: &Installation,
    log: &Log,
    prompt: &str,
    (id, what): (&str, &str),
) -> Result<Row> {
    let lend = ["mcp", "lend"].map(OsString::from);
    let mut command = start(place, installation, AGENT, "lender", &lend);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut lender = place.spawn(command)?;
    let stdout = lender.stdout.take().context("the lender has no output")?;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    let token: String = serde_json::from_str(&line).context("the lender lent no token")?;
    let (tool, arguments) = honest();
    let words = call_arguments("ask", (tool, &arguments), prompt, &["--token", &token]);
    let answered = ask(place, installation, AGENT, "thief", &words)?;
    drop(lender.stdin.take());
    wait(&mut lender, Duration::from_secs(20))?;
    judge(log, &answered, id, what, ("authenticate", "token.other_run"))
}

fn judge(
    log: &Log,
    answered: &Answered,
    id: &str,
    what: &str,
    (step, reason): (&str, &str),
) -> Result<Row> {
    let run = answered.run.as_deref().context("the attacker had no token")?;
    let refused = log.first(|event| {
        is(event, "decided")
            && event["call"]["run"] == run
            && event["verdict"]["verdict"] == "refused"
    })?;
    let mut row = Row::new(id, what);
    row.with = Some(if answered.is_result() { "rows" } else { "refused" }.to_owned());
    let Some(refused) = refused else {
        return Ok(
            row.promise(false, format!("no refusal in the log; the caller got {answered:?}"))
        );
    };
    let verdict = &refused["verdict"];
    let right = verdict["step"] == step && verdict["reason"] == reason && !answered.is_result();
    let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    row.stopped_by = Some(format!("{}: {}", text(&verdict["step"]), text(&verdict["reason"])));
    Ok(row.promise(
        right,
        format!("expected {step}: {reason}, found {verdict}; the caller got {answered:?}"),
    ))
}
