//! Each step of the decision by itself, beside the library call that it cannot do without.

use std::hint::black_box;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail};
use atf_agent::call::Refusal;
use atf_agent::gate::{Counters, Facts, Message, Received, Stated};
use atf_agent::gate::{authenticate, check_schema, check_sql, judge, trace};
use regorus::Engine;
use serde_json::{Value, json};
use sqlparser::dialect::SQLiteDialect;
use sqlparser::parser::Parser;

use super::calls::Size;
use super::{Bench, WARM_UP, elapsed_ns, unix_ns, unix_s};
use crate::bench::report::{Row, Target};

/// Calls of a turn: the steps first, as the whole decision has them, and then the baselines, which leave nothing of the
/// steps in the processor's caches.
const TURN: usize = 100;

/// What each step and each baseline took, in nanoseconds.
#[derive(Default)]
struct Times {
    receive: Pair,
    authenticate: Pair,
    schema: Pair,
    sql: Pair,
    policy: Pair,
}

/// The times of a step, and of its baseline.
#[derive(Default)]
struct Pair(Vec<u64>, Vec<u64>);

impl Pair {
    fn row(mut self, step: &str, size: Size, baseline: &str, most_us: Option<f64>) -> Row {
        let name = format!("{step}, {}", size.name());
        self.0.drain(..WARM_UP);
        self.1.drain(..WARM_UP);
        let target = Target { p50_us: most_us, ..Target::default() };
        Row::timed(&name, self.0, (baseline, self.1), target)
    }
}

/// One row for each step of a call of this size, and the times of a policy that is asked anew, in nanoseconds.
pub(super) fn rows(bench: &Bench, size: Size) -> Result<(Vec<Row>, Vec<u64>)> {
    let mut times = Times::default();
    let engine = engine(bench)?;
    let rounds = WARM_UP + bench.rounds;
    let turns = || (0..rounds).step_by(TURN).map(|turn| turn..rounds.min(turn + TURN));
    let walked = |i: usize, times: &mut Times| {
        let message = size.message(i, bench.prompt);
        walk(bench, &message, times).map_err(|refusal| anyhow!("{refusal:?}"))
    };
    for turn in turns() {
        turn.clone().try_for_each(|i| walked(i, &mut times))?;
        for i in turn {
            let message = size.message(i, bench.prompt);
            baselines(bench, &engine, (size, i), &message, &mut times)?;
        }
    }
    let mut anew = Times::default();
    for i in turns().flatten() {
        bench.policy.forget();
        walked(i, &mut anew)?;
    }
    let Times { receive, authenticate, schema, sql, policy } = times;
    let anew_ns = anew.policy.0.get(WARM_UP..).unwrap_or_default().to_vec();
    let mut rows = vec![
        receive.row("receive", size, "serde_json, the message as a value", None),
        authenticate.row("authenticate", size, "the token's RS256, nothing remembered", None),
        schema.row("schema", size, "serde_json, the arguments as a value", Some(2.0)),
    ];
    if size != Size::Small {
        let target = (size == Size::Typical).then_some(50.0);
        rows.push(sql.row("sql", size, "sqlparser alone", target));
    }
    let anew = Pair(anew.policy.0, policy.1.clone());
    rows.push(policy.row("policy", size, "a plain regorus engine, kept", Some(15.0)));
    rows.push(anew.row("policy, asked anew", size, "a plain regorus engine, kept", None));
    Ok((rows, anew_ns))
}

/// One call through all steps, each timed.
fn walk(bench: &Bench, message: &[u8], times: &mut Times) -> Result<(), Refusal> {
    let began = Instant::now();
    let Message::Request(received) = Received::read(message, &bench.limits, &Stated::default())?
    else {
        return Ok(());
    };
    times.receive.0.push(elapsed_ns(began));

    let began = Instant::now();
    let jwt = Some(bench.jwt.as_str());
    let authenticated = authenticate(received, bench.caller, jwt, &bench.verifier, unix_s())?;
    times.authenticate.0.push(elapsed_ns(began));

    let began = Instant::now();
    let well_formed = check_schema(authenticated, &bench.pins)?;
    times.schema.0.push(elapsed_ns(began));

    let began = Instant::now();
    let checked = check_sql(well_formed, &bench.pins)?;
    times.sql.0.push(elapsed_ns(began));

    let began = Instant::now();
    let facts = Facts { counters: Counters::default(), now_unix_ns: unix_ns() };
    let judged = judge(trace(checked, &bench.known), &bench.policy, facts).1?;
    times.policy.0.push(elapsed_ns(began));
    drop(judged);
    Ok(())
}

fn baselines(
    bench: &Bench,
    engine: &Engine,
    (size, i): (Size, usize),
    message: &[u8],
    times: &mut Times,
) -> Result<()> {
    let began = Instant::now();
    black_box(serde_json::from_slice::<Value>(message)?);
    times.receive.1.push(elapsed_ns(began));

    let fresh = bench.fresh_verifier()?;
    let began = Instant::now();
    black_box(fresh.verify(&bench.jwt, unix_s())?);
    times.authenticate.1.push(elapsed_ns(began));

    let arguments = size.arguments(i);
    let text = arguments.to_string();
    let began = Instant::now();
    black_box(serde_json::from_str::<Value>(&text)?);
    times.schema.1.push(elapsed_ns(began));

    let sql = size.sql(i).unwrap_or_default();
    let began = Instant::now();
    black_box(Parser::parse_sql(&SQLiteDialect {}, &sql)?);
    times.sql.1.push(elapsed_ns(began));

    let input = shipped_input(bench, size, arguments).to_string();
    let mut engine = engine.clone();
    let began = Instant::now();
    engine.set_input_json(&input)?;
    let answer = engine.eval_rule("data.atf.gate.decision".to_owned())?;
    times.policy.1.push(elapsed_ns(began));
    match answer.as_object().map(|object| object.get(&"allow".into())) {
        Ok(Some(regorus::Value::Bool(true))) => Ok(()),
        _ => bail!("the baseline's input is not what the policy reads: {answer}"),
    }
}

/// An engine as an embedder would make it, once, over the same policy.
fn engine(bench: &Bench) -> Result<Engine> {
    let (source, data) = shipped_policy(bench)?;
    let mut engine = Engine::new();
    engine.add_policy("gate.rego".to_owned(), source)?;
    engine.add_data_json(&data)?;
    // The first question makes the engine compile; those that are timed do not.
    engine.set_input_json("{}")?;
    engine.eval_rule("data.atf.gate.decision".to_owned())?;
    Ok(engine)
}

/// The texts of the shipped policy and of its data.
pub(super) fn shipped_policy(bench: &Bench) -> Result<(String, String)> {
    let read = |name: &str| {
        let path = bench.policies.join(name);
        std::fs::read_to_string(&path)
            .with_context(|| format!("the baseline needs {}", path.display()))
    };
    Ok((read("atf/gate.rego")?, read("data.json")?))
}

/// What the shipped policy reads of a call, by hand.
pub(super) fn shipped_input(bench: &Bench, size: Size, arguments: Value) -> Value {
    json!({
        "caller": {"run": bench.caller.run, "cgroup": 1},
        "identity": {
            "agent": "bench", "user": "bench@example.com", "task": "BENCH",
            "tools": ["ledger.query", "ledger.adjust"], "prompt": bench.prompt,
        },
        "call": {
            "method": "tools/call", "server": "ledger", "tool": size.tool(), "arguments": arguments, "sink": false,
        },
        "sql": {"sql": {"class": "select"}},
        "provenance": {"values": [], "secret_read": false},
        "counters": {"calls": 0, "refusals": 0, "spent_cents": 0},
        "prompt": bench.prompt,
        "time": {"now_ns": unix_ns()},
    })
}
