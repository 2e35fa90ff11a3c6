//! Calls through all steps, with the shipped policy and pins: each attack is refused by the step that
//! should refuse it, and the honest call gets a permit.

#![allow(clippy::too_many_lines, reason = "a table of attacks is one test")]

use serde_json::json;

use super::attempt::{Attempt, Gate};
use super::{Judged, Moment, Permit, Pins, Policy, Terms, demand, reserve};
use crate::call::{CgroupId, DecisionId, Digest, Reason, Refusal, RunId, Step};
use crate::identity::{AgreementKey, Purpose, Verifier, forge};
use crate::state::{Caps, Demand, Reservation};
use crate::wire::PermitBody;

#[test]
fn each_attack_is_refused_by_its_step() {
    let gate = Gate::shipped();
    let check = |what: &str, attempt: &Attempt, expected: Option<(Step, Reason)>| {
        let found = attempt.decide(&gate);
        let refusal = found.as_ref().err().map(|no| (no.step, no.reason));
        assert_eq!(refusal, expected, "{what}: {found:?}");
    };
    check("the control", &Attempt::honest(), None);
    let adjust = |amount: serde_json::Value| {
        Attempt::adjust(json!({"entry_id": 1, "amount_cents": amount, "reason": "x"}))
    };
    check("the cap itself", &adjust(json!(50_000)), None);
    let token = |reason| Some((Step::Authenticate, reason));
    let schema = Some((Step::Schema, Reason::SchemaArguments));
    for (what, attempt, expected) in [
        (
            "an empty token",
            Attempt::with(|a| a.jwt = Some(String::new())),
            token(Reason::TokenInvalid),
        ),
        (
            "an expired token",
            Attempt::with(|a| {
                (a.claims.iat, a.claims.nbf, a.claims.exp) = (1, 1, 300);
            }),
            token(Reason::TokenInvalid),
        ),
        (
            "a token of another run",
            Attempt::with(|a| a.run = RunId::random()),
            token(Reason::TokenOtherRun),
        ),
        (
            "a tool that the token does not name",
            Attempt::with(|a| {
                a.claims.entitlements.allowed_tools = vec!["ledger.query".parse().unwrap()];
            }),
            token(Reason::ToolNotNamed),
        ),
        (
            "a tool that no pin has",
            Attempt::with(|a| {
                a.tool = "shell.run";
                a.claims.entitlements.allowed_tools = vec!["shell.run".parse().unwrap()];
            }),
            Some((Step::Schema, Reason::ToolNotPinned)),
        ),
        ("an argument is missing", Attempt::adjust(json!({"entry_id": 1})), schema),
        ("no arguments", Attempt::adjust(json!({})), schema),
        (
            "an argument more",
            Attempt::adjust(
                json!({"entry_id": 1, "amount_cents": 1, "reason": "x", "force": true}),
            ),
            schema,
        ),
        ("a text as amount", adjust(json!("100")), schema),
        ("a decimal as amount", adjust(json!(1.5)), schema),
        ("nothing as amount", adjust(json!(null)), schema),
        ("a negative amount", adjust(json!(-1)), schema),
        ("an amount beyond the schema", adjust(json!(100_000_001)), schema),
        (
            "a reason too long",
            Attempt::adjust(json!({"entry_id": 1, "amount_cents": 1, "reason": "x".repeat(201)})),
            schema,
        ),
        (
            "a DROP TABLE",
            Attempt::query("DROP TABLE ledger_entries"),
            Some((Step::Sql, Reason::SqlRefused)),
        ),
        (
            "a table that is not allowed",
            Attempt::query("SELECT name FROM sqlite_master LIMIT 1"),
            Some((Step::Sql, Reason::SqlRefused)),
        ),
        (
            "another prompt",
            Attempt::with(|a| a.prompt = Some(Digest::of(b"other"))),
            Some((Step::Policy, Reason::PromptDigest)),
        ),
        (
            "no prompt",
            Attempt::with(|a| a.prompt = None),
            Some((Step::Policy, Reason::PromptDigest)),
        ),
        (
            "an amount over the cap",
            adjust(json!(50_001)),
            Some((Step::Policy, Reason::CapExceeded)),
        ),
    ] {
        check(what, &attempt, expected);
    }
}

/// The attack: the token narrows a tool, and the call reaches for what the pin alone would give.
#[test]
fn both_the_pin_and_the_token_have_to_hold() {
    let gate = Gate::shipped();
    let most = |cents: u64| json!({"properties": {"amount_cents": {"maximum": cents}}});
    let reasons = json!({"properties": {"reason": {"enum": ["refund", "fee"]}}});
    let attempt = |narrowing: &serde_json::Value, cents: u64| {
        Attempt::with(|a| {
            a.claims.entitlements.narrowing = serde_json::from_value(narrowing.clone()).unwrap();
            a.arguments =
                json!({"entry_id": 1, "amount_cents": cents, "reason": "refund"}).to_string();
        })
    };
    let adjust = |fragments: serde_json::Value| json!({ "ledger.adjust": fragments });
    let narrowed = Some(Reason::TokenNarrowed);
    for (what, narrowing, cents, expected) in [
        ("no narrowing", json!({}), 100, None),
        ("within it", adjust(json!([most(100)])), 100, None),
        ("above it", adjust(json!([most(100)])), 101, narrowed),
        ("another tool's", json!({"ledger.query": [most(1)]}), 100, None),
        ("within both", adjust(json!([most(200), most(100)])), 100, None),
        ("above the second", adjust(json!([most(200), most(100)])), 101, narrowed),
        ("above the first", adjust(json!([most(100), most(200)])), 101, narrowed),
        ("a listed text", adjust(json!([reasons])), 100, None),
        (
            "wider than the pin",
            adjust(json!([most(u64::MAX)])),
            100_000_001,
            Some(Reason::SchemaArguments),
        ),
        (
            "an argument misspelt",
            adjust(json!([{"properties": {"amount_cent": {"maximum": 1_000}}}])),
            100,
            narrowed,
        ),
        ("a keyword misspelt", adjust(json!([{"propertys": {}}])), 100, narrowed),
        (
            "a pattern within",
            adjust(json!([{"properties": {"reason": {"pattern": "refund"}}}])),
            100,
            narrowed,
        ),
    ] {
        let attempt = attempt(&narrowing, cents);
        // Twice: what is kept of the first call says the same.
        for _ in 0..2 {
            let found = attempt.decide(&gate);
            let refusal = found.as_ref().err().map(|no| (no.step, no.reason));
            assert_eq!(refusal, expected.map(|reason| (Step::Schema, reason)), "{what}: {found:?}");
        }
    }
}

/// The control of the two rows with SQL. It needs the real rules: a placeholder denies all.
#[test]
fn an_honest_select_is_allowed() {
    let select = "SELECT id, amount_cents FROM ledger_entries WHERE id = 1 LIMIT 10";
    let found = Attempt::query(select).decide(&Gate::shipped());
    assert!(found.is_ok(), "{found:?}");
}

/// The attack: each self-join multiplies the work of the executor, whose every other call waits.
#[test]
fn more_joins_than_a_report_needs_are_refused() {
    let gate = Gate::shipped();
    let join = |n: usize| {
        let joins: String = (0..n)
            .map(|i| format!(" JOIN ledger_entries e{i} ON e{i}.merchant_id = e.merchant_id"))
            .collect();
        Attempt::query(&format!("SELECT count(e.id) FROM ledger_entries e{joins} LIMIT 1"))
    };
    for (joins, allowed) in [(1, true), (3, true), (4, false), (6, false), (8, false)] {
        let found = join(joins).decide(&gate);
        let refusal = found.as_ref().err().map(|no| (no.step, no.reason));
        let expected = (!allowed).then_some((Step::Sql, Reason::SqlRefused));
        assert_eq!(refusal, expected, "{joins} joins: {found:?}");
    }
}

/// A double that is whole satisfies `integer` (JSON Schema 2020-12 section 6.1.1).
#[test]
fn an_amount_in_another_spelling_of_the_number_gets_no_more_than_the_number() {
    let gate = Gate::shipped();
    for (amount, reserved) in
        [("100", Some(100)), ("100.0", Some(100)), ("1e2", Some(100)), ("6e4", None)]
    {
        let attempt = Attempt::with(|a| {
            a.arguments = format!(r#"{{"entry_id":1,"amount_cents":{amount},"reason":"x"}}"#);
        });
        let found = attempt.decide(&gate).ok();
        let cents = found.map(|judged| judged.obligations().reserve_cents);
        assert_eq!(cents, reserved, "{amount}");
    }
}

#[test]
fn the_rules_are_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Verifier>();
    shared::<Pins>();
    shared::<Policy>();
    shared::<Caps>();
}

pub(super) fn terms() -> Terms {
    Terms { decision: DecisionId::random(), nonce: Digest::of(b"nonce"), now_unix_s: forge::NOW }
}

/// Step 6 as the line does it.
pub(super) fn reserved(judged: &Judged, caps: &Caps) -> Result<Reservation, Refusal> {
    let now = Moment { unix_s: forge::NOW, boot_ms: 1 };
    reserve(judged, &demand(judged, now, 1_000)?, caps)
}

#[test]
fn a_permit_says_what_was_judged() {
    let (gate, caps) = (Gate::shipped(), Caps::default());
    let attempt = Attempt::honest();
    let judged = attempt.decide(&gate).unwrap();
    let reservation = reserved(&judged, &caps).unwrap();
    assert_eq!(caps.spent(attempt.run), 100);
    let permit = Permit::issue(judged, reservation, None, terms()).unwrap();
    let key = AgreementKey::generate().unwrap();
    let key = key.to_reader(Purpose::Permit, key.public()).unwrap();
    let sent = permit.sent(&key);
    assert!(key.holds(sent.body.as_bytes(), sent.code));
    let body: PermitBody = serde_json::from_str(&sent.body).unwrap();
    assert_eq!(&body, permit.body());
    assert_eq!(permit.digest(), Digest::of(sent.body.as_bytes()));
    assert_eq!(body.run, attempt.run);
    assert_eq!(body.arguments, Digest::of(attempt.arguments.as_bytes()));
    assert_eq!(body.expires_unix_s, forge::NOW + super::PERMIT_TTL_S);
    assert_eq!(body.policy, gate.policy.revision());
    permit.into_reservation().refund();
    assert_eq!(caps.spent(attempt.run), 0);
}

#[test]
fn a_reservation_of_another_run_or_amount_makes_no_permit() {
    let (gate, caps) = (Gate::shipped(), Caps::default());
    let judged = || Attempt::honest().decide(&gate).unwrap();
    for (what, cents, own) in [("another run", 100, false), ("another amount", 99, true)] {
        let judged = judged();
        let run = if own { judged.call().caller().run } else { RunId::random() };
        let demand = Demand { cents, per_run_cents: 1_000, ..Demand::default() };
        let reservation = caps.reserve(run, &demand).unwrap();
        assert!(Permit::issue(judged, reservation, None, terms()).is_err(), "{what}");
    }
}

#[test]
fn a_run_passes_its_cap_by_no_number_of_calls() {
    let (gate, caps) = (Gate::shipped(), Caps::default());
    let cap = gate.policy.per_run_cents();
    let attempt = Attempt::with(|a| {
        a.arguments = r#"{"entry_id":1,"amount_cents":50000,"reason":"x"}"#.to_owned();
    });
    let judged = attempt.decide(&gate).unwrap();
    let allowed = (0..10).filter(|_| reserved(&judged, &caps).is_ok()).count();
    assert_eq!((allowed, caps.spent(attempt.run)), (4, cap));
    let refusal = reserved(&judged, &caps).err();
    let refusal = refusal.map(|no| (no.step, no.reason));
    assert_eq!(refusal, Some((Step::Reserve, Reason::CapExceeded)));
}

#[test]
fn the_log_learns_all_that_was_known() {
    let gate = Gate::shipped();
    let attempt = Attempt::honest();
    let judged = attempt.decide(&gate).unwrap();
    let mut call = crate::audit::Call {
        decision: DecisionId::random(),
        run: attempt.run,
        cgroup: CgroupId(7),
        method: None,
        agent: None,
        user: None,
        task: None,
        token: None,
        tool: None,
        target: None,
        pin: None,
        arguments: None,
        rewritten: Vec::new(),
        answers: None,
        prompt: None,
        policy: None,
        hearing: None,
        approval: None,
        began: None,
        permit: None,
        gate_ns: 0,
    };
    judged.describe(&mut call);
    let absent: Vec<String> = match serde_json::to_value(&call).unwrap() {
        serde_json::Value::Object(members) => {
            members.into_iter().filter(|(_, value)| value.is_null()).map(|(name, _)| name).collect()
        }
        other => panic!("{other}"),
    };
    assert_eq!(absent, ["permit"], "a tool has no other target");
}
