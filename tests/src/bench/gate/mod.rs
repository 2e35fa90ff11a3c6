//! The decision in process: from the bytes of a call to the judgement, as a whole and step by step.

mod calls;
mod memory;
mod peers;
mod steps;

use std::path::PathBuf;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use atf_agent::call::{Caller, CgroupId, Digest, Named, Narrowing, Reach, RunId};
use atf_agent::gate::{self, Counters, Facts, Known, Limits, Pins, Policy, Presented, Rules};
use atf_agent::identity::{Claims, Context as TokenContext, Entitlements, Minter, Verifier};
use serde_json::json;

use super::Options;
use super::report::{Row, Target};
use calls::Size;

const WARM_UP: usize = 200;
const ROUNDS: usize = 5_000;

const ISSUER: &str = "https://atf.orchestrator.internal";
const AUDIENCE: &str = "atf.mcp-gateway.internal";

/// What all measurements of the gate share: one run, its token, and the shipped rules.
struct Bench {
    policies: PathBuf,
    caller: Caller,
    prompt: Digest,
    jwt: String,
    jwks: String,
    verifier: Verifier,
    pins: Pins,
    policy: Policy,
    limits: Limits,
    known: Known,
    /// How often each thing is done.
    rounds: usize,
}

impl Bench {
    fn new(options: &Options) -> Result<Self> {
        let policies = &options.policies;
        let caller = Caller { run: RunId::random(), cgroup: CgroupId(1) };
        let prompt = Digest::of(b"the bench's prompt");
        let minter = Minter::generate()?;
        let jwks = minter.jwks();
        Ok(Self {
            policies: policies.clone(),
            caller,
            prompt,
            jwt: minter.mint(&claims(caller.run, prompt)?)?,
            verifier: Verifier::from_jwks(&jwks, ISSUER, AUDIENCE)?,
            jwks,
            pins: Pins::read(&policies.join("tools"))?,
            policy: Policy::read(policies)?,
            limits: Limits::default(),
            known: Known::fresh(&Named::nothing()),
            rounds: options.extent.of(ROUNDS),
        })
    }

    /// A verifier that has seen no token yet.
    fn fresh_verifier(&self) -> Result<Verifier> {
        Ok(Verifier::from_jwks(&self.jwks, ISSUER, AUDIENCE)?)
    }

    /// The decision on one message, which must be a yes.
    fn decide(&self, message: &[u8]) -> Result<()> {
        let presented = Presented { caller: self.caller, jwt: Some(&self.jwt), prompt: None };
        let rules = Rules {
            verifier: &self.verifier,
            pins: &self.pins,
            policy: &self.policy,
            limits: &self.limits,
        };
        let facts = Facts { counters: Counters::default(), now_unix_ns: unix_ns() };
        match gate::decide(message, presented, rules, (facts, &self.known)) {
            Ok(_) => Ok(()),
            Err(refusal) => bail!("a call that must be allowed was refused: {refusal:?}"),
        }
    }
}

/// The whole decision, without SQL and with a typical query: what the area `line` shows of the gate.
pub(super) fn rows(options: &Options) -> Result<Vec<Row>> {
    let bench = Bench::new(options)?;
    Ok(vec![whole(&bench, Size::Typical)?.0, whole(&bench, Size::Small)?.0])
}

/// The area `gate`: each size of call as a whole and by step, beside the peers where there are any, and
/// the memory.
pub(super) fn steps(options: &Options) -> Result<Vec<Row>> {
    let bench = Bench::new(options)?;
    let mut rows = Vec::new();
    for size in Size::ALL {
        let (row, decision_ns) = whole(&bench, size)?;
        let (steps, policy_ns) = steps::rows(&bench, size)?;
        rows.push(row);
        rows.extend(steps);
        if let Some(packages) = &options.peers {
            let ours = peers::Ours { decision_ns: &decision_ns, policy_ns: &policy_ns };
            rows.extend(peers::rows(&bench, packages, size, &ours)?);
        }
    }
    rows.push(memory::row(&bench)?);
    Ok(rows)
}

/// Times the whole pure decision, beside the one step that no gate with signed tokens can leave out
/// for a token that it has not seen. Returns our times too, in nanoseconds.
fn whole(bench: &Bench, size: Size) -> Result<(Row, Vec<u64>)> {
    let (mut times, mut token) = (Vec::new(), Vec::new());
    for i in 0..WARM_UP + bench.rounds {
        let message = size.message(i, bench.prompt);
        let began = Instant::now();
        bench.decide(&message)?;
        times.push(elapsed_ns(began));
        let fresh = bench.fresh_verifier()?;
        let began = Instant::now();
        fresh.verify(&bench.jwt, unix_s())?;
        token.push(elapsed_ns(began));
    }
    times.drain(..WARM_UP);
    token.drain(..WARM_UP);
    let most_us = match size {
        Size::Small => Some(40.0),
        Size::Typical => Some(90.0),
        Size::Large => None,
    };
    let name = format!("gate decision, {}", size.name());
    let baseline = ("the token's RS256, nothing remembered", token);
    let target = Target { p50_us: most_us, p99_us: Some(500.0), ..Target::default() };
    Ok((Row::timed(&name, times.clone(), baseline, target), times))
}

fn claims(run: RunId, prompt: Digest) -> Result<Claims> {
    let claims = json!({
        "iss": ISSUER, "sub": "agent:bench", "aud": AUDIENCE,
        "iat": unix_s(), "nbf": unix_s(), "exp": unix_s() + 300, "jti": format!("task-run:{run}"),
        "context": TokenContext { parent_user: "bench@example.com".into(), task_id: "BENCH".into() },
        "entitlements": Entitlements {
            allowed_tools: vec!["ledger.query".parse()?, "ledger.adjust".parse()?],
            narrowing: Narrowing::default(),
            reach: Reach::default(),
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
