//! Random and changed input to the schema and the policy: nothing panics, and what is allowed is
//! allowed by a second, plain reading of the rules. The seed is fixed, so that a failure comes again.

use std::cell::Cell;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};

use super::line::{Attempt, Gate};

/// Inputs of each kind: some seconds in a debug build.
const CASES: u32 = 3_000;

fn each<S: Strategy>(strategy: &S, check: impl Fn(S::Value)) {
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let done = TestRunner::new_with_rng(config, rng).run(strategy, |case| {
        check(case);
        Ok(())
    });
    done.unwrap();
}

/// One change of a text: a piece is left out, doubled, or replaced.
fn change(
    text: &str,
    (at, length, with): (prop::sample::Index, usize, &str),
    doubled: bool,
) -> String {
    let chars: Vec<char> = text.chars().collect();
    let from = at.index(chars.len() + 1);
    let to = (from + length).min(chars.len());
    let (head, tail) = (chars[..from].iter(), chars[to..].iter());
    let piece: String = chars[from..to].iter().collect();
    let middle = if doubled { format!("{piece}{with}{piece}") } else { with.to_owned() };
    head.chain(middle.chars().collect::<Vec<_>>().iter()).chain(tail).collect()
}

/// Texts of `seeds` after one to four changes.
pub(super) fn changed(
    seeds: &'static [&'static str],
    pieces: &'static [&'static str],
) -> impl Strategy<Value = String> {
    let one =
        (any::<prop::sample::Index>(), 0..9_usize, prop::sample::select(pieces), any::<bool>());
    (prop::sample::select(seeds), prop::collection::vec(one, 0..5)).prop_map(|(seed, changes)| {
        changes.into_iter().fold(seed.to_owned(), |text, (at, length, with, doubled)| {
            change(&text, (at, length, with), doubled)
        })
    })
}

const ARGUMENTS: &[&str] = &[
    r#"{"entry_id":1,"amount_cents":100,"reason":"refund"}"#,
    r#"{"entry_id":9007199254740991,"amount_cents":50000,"reason":"é"}"#,
    r#"{"reason":"x","amount_cents":1,"entry_id":2}"#,
];

const JSON: &[&str] = &[
    "",
    "0",
    "1",
    "9",
    "-",
    ".",
    "e",
    "e5",
    "1e400",
    ",",
    ":",
    "\"",
    "{",
    "}",
    "[",
    "]",
    "null",
    "true",
    "\\u0000",
    "\\ud800",
    "\\n",
    " ",
    "\u{feff}",
    "\u{202e}",
    "\"x\":1,",
    "\"amount_cents\":1,",
    "\"__proto__\":{},",
    "99999999999999999999",
    "-0",
    "1.5",
    "[[[[[[[[",
    "\"\":",
];

/// The bounds of `ledger.adjust`, read again: its pin and the shipped caps.
fn may_be_adjusted(arguments: &Value) -> bool {
    let whole = |name: &str, least: f64, most: f64| {
        let number = arguments[name].as_f64();
        number.is_some_and(|n| n.fract() == 0.0 && (least..=most).contains(&n))
    };
    let reason = arguments["reason"].as_str().map(|reason| reason.chars().count());
    arguments.as_object().is_some_and(|members| members.len() == 3)
        && whole("entry_id", 1.0, 9_007_199_254_740_991.0)
        && whole("amount_cents", 1.0, 50_000.0)
        && reason.is_some_and(|length| (1..=200).contains(&length))
}

#[test]
fn changed_arguments_are_allowed_only_within_their_bounds() {
    let (gate, allowed, refused) = (Gate::shipped(), Cell::new(0), Cell::new(0));
    each(&changed(ARGUMENTS, JSON), |arguments| {
        let attempt = Attempt::with(|a| a.arguments.clone_from(&arguments));
        match attempt.decide(&gate) {
            Ok(_) => {
                let read: Value = serde_json::from_str(&arguments).unwrap();
                assert!(may_be_adjusted(&read), "{arguments}");
                allowed.set(allowed.get() + 1);
            }
            Err(_) => {
                let read = serde_json::from_str::<Value>(&arguments);
                refused.set(refused.get() + u32::from(read.is_ok()));
            }
        }
    });
    // Both sides were reached, often: what is refused here is JSON to another reader.
    assert!(allowed.get() > 200 && refused.get() > 200, "{allowed:?} {refused:?}");
}

/// Members that an input may have, right and wrong.
fn input() -> impl Strategy<Value = Value> {
    let value = prop_oneof![
        Just(json!(null)),
        Just(json!(true)),
        Just(json!(-1)),
        Just(json!(1)),
        Just(json!(50_000)),
        Just(json!(50_001)),
        Just(json!(1e300)),
        Just(json!("")),
        Just(json!("aa")),
        Just(json!([])),
        Just(json!({})),
        Just(json!(["ledger.query"])),
        Just(json!("ledger.query")),
        Just(json!("select")),
        Just(json!("ledger.adjust")),
        Just(json!("tools/call")),
        Just(json!("resources/read")),
        Just(json!({"sql": {"class": "select"}})),
        Just(json!({"sql": {"class": "delete"}})),
        Just(json!({"amount_cents": 7})),
        Just(json!([{"argument": "x", "at": "/x", "origin": "nowhere"}])),
        Just(json!([{"at": "/x", "origin": "nowhere"}])),
        Just(
            json!([{"argument": "x", "origin": "named"}, {"argument": "y", "origin": "elsewhere"}])
        ),
    ];
    const PLACES: &[&str] = &[
        "/call/method",
        "/call/tool",
        "/call/arguments",
        "/call/arguments/amount_cents",
        "/call",
        "/identity/tools",
        "/identity/prompt",
        "/identity",
        "/prompt",
        "/sql",
        "/sql/sql/class",
        "/provenance",
        "/provenance/values",
        "/counters",
        "/time/now_ns",
    ];
    let change = (prop::sample::select(PLACES), prop::option::weighted(0.9, value));
    (any::<bool>(), prop::collection::vec(change, 0..4)).prop_map(|(adjusts, changes)| {
        let (tool, arguments, sql) = match adjusts {
            true => ("ledger.adjust", json!({"amount_cents": 100}), json!({})),
            false => ("ledger.query", json!({"sql": "x"}), json!({"sql": {"class": "select"}})),
        };
        let mut input = json!({
            "identity": {"tools": ["ledger.query", "ledger.adjust"], "prompt": "aa"},
            "call": {"method": "tools/call", "tool": tool, "arguments": arguments, "sink": false},
            "provenance": {"values": [], "secret_read": false}, "sql": sql, "counters": {}, "prompt": "aa", "time": {"now_ns": 1},
        });
        for (place, value) in changes {
            let (parent, name) = place.rsplit_once('/').unwrap_or_default();
            match (input.pointer_mut(parent), value) {
                (Some(Value::Object(members)), Some(value)) => {
                    members.insert(name.to_owned(), value);
                }
                (Some(Value::Object(members)), None) => drop(members.remove(name)),
                (Some(_) | None, _) => {}
            }
        }
        input
    })
}

/// The shipped policy, read again in plain words.
fn may_pass(input: &Value) -> bool {
    let tool = input.pointer("/call/tool").and_then(Value::as_str);
    // The shipped data names no server: nothing but a tool is asked for.
    let called = input.pointer("/call/method").and_then(Value::as_str) == Some("tools/call");
    let named = input.pointer("/identity/tools").and_then(Value::as_array);
    let prompts = (input.get("prompt"), input.pointer("/identity/prompt"));
    let reads = input.pointer("/sql/sql/class").and_then(Value::as_str) == Some("select");
    let amount = input.pointer("/call/arguments/amount_cents").and_then(Value::as_f64);
    let origin = |value: &Value| {
        let origin = value.get("origin").and_then(Value::as_str);
        // A value of no argument has no demand that it keeps.
        value.get("argument").is_some()
            && origin
                .is_some_and(|known| ["named", "trusted", "untrusted", "nowhere"].contains(&known))
    };
    // No value at all is a collection of none.
    let taken = match input.pointer("/provenance/values") {
        Some(Value::Array(values)) => values.iter().all(origin),
        Some(Value::Object(values)) => values.values().all(origin),
        _ => false,
    };
    let within = match tool {
        Some("ledger.query") => reads,
        Some("ledger.adjust") => amount.is_some_and(|amount| (0.0..=50_000.0).contains(&amount)),
        _ => false,
    };
    let entitled = named.is_some_and(|named| named.iter().any(|name| name.as_str() == tool));
    let prompted =
        matches!(prompts, (Some(Value::String(said)), Some(Value::String(known))) if said == known);
    called && taken && within && entitled && prompted
}

#[test]
fn a_changed_input_is_allowed_only_when_a_plain_reading_allows_it() {
    let (gate, allowed, refused) = (Gate::shipped(), Cell::new(0), Cell::new(0));
    each(&input(), |input| {
        let decision = gate.policy.decide(&input.to_string());
        let allows = decision.is_ok_and(|decision| decision.allow && decision.reasons.is_empty());
        assert_eq!(allows, may_pass(&input), "{input}");
        let count = if allows { &allowed } else { &refused };
        count.set(count.get() + 1);
    });
    assert!(allowed.get() > 200 && refused.get() > 200, "{allowed:?} {refused:?}");
}
