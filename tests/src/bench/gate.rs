//! The decision in process: from the bytes of a call to the judgement, beside the one step that no
//! gate with signed tokens can leave out.

use std::path::Path;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use atf_agent::call::{Caller, CgroupId, Digest, RunId};
use atf_agent::gate::{self, Counters, Facts, Limits, Pins, Policy, Presented, Rules};
use atf_agent::identity::{Claims, Context as TokenContext, Entitlements, Minter, Verifier};
use serde_json::json;

use super::report::{Row, Target};

const WARM_UP: usize = 200;
const ROUNDS: usize = 5_000;

const ISSUER: &str = "https://atf.orchestrator.internal";
const AUDIENCE: &str = "atf.mcp-gateway.internal";

pub(super) fn rows(policies: &Path) -> Result<Vec<Row>> {
    let caller = Caller { run: RunId::random(), cgroup: CgroupId(1) };
    let prompt = Digest::of(b"the bench's prompt");
    let minter = Minter::generate()?;
    let verifier = Verifier::from_jwks(&minter.jwks(), ISSUER, AUDIENCE)?;
    let jwt = minter.mint(&claims(caller.run, prompt)?)?;
    let (pins, policy) = (Pins::read(&policies.join("tools"))?, Policy::read(policies)?);
    let limits = Limits::default();
    let rules = Rules { verifier: &verifier, pins: &pins, policy: &policy, limits: &limits };
    let presented = Presented { caller, jwt: Some(&jwt), prompt: None };

    let mut token = Vec::with_capacity(ROUNDS);
    for _ in 0..WARM_UP + ROUNDS {
        let began = Instant::now();
        verifier.verify(&jwt, unix_s())?;
        token.push(elapsed_ns(began));
    }
    token.drain(..WARM_UP);

    let query = |i: usize| {
        let sql = format!(
            "SELECT e.id, e.amount_cents, m.name FROM ledger_entries e \
             JOIN merchants m ON m.id = e.merchant_id WHERE e.id = {} ORDER BY e.id LIMIT 10",
            i % 200 + 1
        );
        ("ledger.query", json!({"sql": sql}))
    };
    let adjust = |i: usize| {
        let cents = i % 100 + 1;
        ("ledger.adjust", json!({"entry_id": 1, "amount_cents": cents, "reason": "bench"}))
    };
    let with_sql = decide(presented, rules, prompt, query)?;
    let without = decide(presented, rules, prompt, adjust)?;
    let baseline = || ("the token's RS256 alone", token.clone());
    let targets = Target { p50_us: Some(150.0), p99_us: Some(1_000.0), ..Target::default() };
    Ok(vec![
        Row::timed("gate decision, a join", with_sql, baseline(), targets),
        Row::timed("gate decision, no SQL", without, baseline(), targets),
    ])
}

/// Times the whole pure decision, with other arguments each time.
fn decide(
    presented: Presented<'_>,
    rules: Rules<'_>,
    prompt: Digest,
    call: impl Fn(usize) -> (&'static str, serde_json::Value),
) -> Result<Vec<u64>> {
    let mut times = Vec::with_capacity(ROUNDS);
    for i in 0..WARM_UP + ROUNDS {
        let (tool, arguments) = call(i);
        let bytes = json!({"jsonrpc": "2.0", "id": i, "method": "tools/call", "params": {
            "name": tool, "arguments": arguments, "_meta": {"io.atf/promptSha256": prompt}}})
        .to_string();
        let began = Instant::now();
        let facts = Facts { counters: Counters::default(), now_unix_ns: unix_ns() };
        let judged = gate::decide(bytes.as_bytes(), presented, rules, facts);
        times.push(elapsed_ns(began));
        if let Err(refusal) = judged {
            bail!("a call that must be allowed was refused: {refusal:?}");
        }
    }
    times.drain(..WARM_UP);
    Ok(times)
}

fn claims(run: RunId, prompt: Digest) -> Result<Claims> {
    let claims = json!({
        "iss": ISSUER, "sub": "agent:bench", "aud": AUDIENCE,
        "iat": unix_s(), "nbf": unix_s(), "exp": unix_s() + 300, "jti": format!("task-run:{run}"),
        "context": TokenContext { parent_user: "bench@example.com".into(), task_id: "BENCH".into() },
        "entitlements": Entitlements {
            allowed_tools: vec!["ledger.query".parse()?, "ledger.adjust".parse()?],
        },
        "prompt_integrity_hash": format!("sha256:{prompt}"),
    });
    serde_json::from_value(claims).context("the claims are of the profile")
}

fn elapsed_ns(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

fn unix_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

fn unix_s() -> u64 {
    unix_ns() / 1_000_000_000
}
