//! Random and changed input to the schema and the policy, held against the promises of both. The seed is
//! fixed, so that a failure comes again.

use std::cell::Cell;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};

use super::promises::arguments::{Arguments, HONEST};
use super::promises::policy::{Inputs, PLACES, input_with};

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
    "\"$serde_json::private::RawValue\":",
    "99999999999999999999",
    "-0",
    "1.5",
    "[[[[[[[[",
    "\"\":",
];

#[test]
fn changed_arguments_are_allowed_only_within_their_bounds() {
    let (rules, allowed, refused) = (Arguments::shipped(), Cell::new(0), Cell::new(0));
    each(&changed(HONEST, JSON), |arguments| {
        if rules.keep(&arguments) {
            allowed.set(allowed.get() + 1);
        } else {
            let read = serde_json::from_str::<Value>(&arguments);
            refused.set(refused.get() + u32::from(read.is_ok()));
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
    let change = (prop::sample::select(PLACES), prop::option::weighted(0.9, value));
    (any::<bool>(), prop::collection::vec(change, 0..4))
        .prop_map(|(adjusts, changes)| input_with(adjusts, changes))
}

#[test]
fn a_changed_input_is_allowed_only_when_a_plain_reading_allows_it() {
    let (rules, allowed, refused) = (Inputs::shipped(), Cell::new(0), Cell::new(0));
    each(&input(), |input| {
        let count = if rules.keep(&input) { &allowed } else { &refused };
        count.set(count.get() + 1);
    });
    assert!(allowed.get() > 200 && refused.get() > 200, "{allowed:?} {refused:?}");
}
