//! At each bound a value is from nowhere: what is not kept vouches for nothing.

use serde_json::json;

use super::attacks::{prose, tool};
use super::known::{BROUGHT_MAX, RESULT_MARKS_MAX};
use super::{Known, Origin, name};
use crate::call::NAMED_MARKS_MAX;

fn numbered(from: usize, count: usize) -> String {
    let words: Vec<String> = (from..from + count).map(|i| format!("word{i}")).collect();
    words.join(" ")
}

#[test]
fn a_long_task_names_its_beginning() {
    let named = name(&[&numbered(0, NAMED_MARKS_MAX), "the prompt"]);
    assert_eq!(named.marks().len(), NAMED_MARKS_MAX);
    let known = Known::fresh(&named);
    assert_eq!(known.origin(&json!("word7 word8")), Origin::Named, "the control");
    let last = format!("word{}", NAMED_MARKS_MAX - 1);
    assert_eq!(known.origin(&json!(last)), Origin::Nowhere);
    assert_eq!(known.origin(&json!("prompt")), Origin::Nowhere);
}

#[test]
fn results_past_the_bound_vouch_for_nothing_and_take_no_memory() {
    for (trust, origin) in [("trusted", Origin::Trusted), ("untrusted", Origin::Untrusted)] {
        let mut known = Known::fresh(&name(&[]));
        known.learns(&tool(trust, false), &prose(&numbered(0, RESULT_MARKS_MAX / 2 - 10)));
        known.learns(&tool(trust, false), &prose("alice@example.org"));
        assert_eq!(known.origin(&json!("alice@example.org")), origin, "the control");
        for round in 1..4 {
            let more = numbered(round * RESULT_MARKS_MAX, RESULT_MARKS_MAX);
            known.learns(&tool(trust, false), &prose(&more));
        }
        known.learns(&tool(trust, false), &prose("bob@example.org"));
        assert_eq!(known.origin(&json!("bob@example.org")), Origin::Nowhere);
        assert_eq!(known.origin(&json!("alice@example.org")), origin, "what was kept stays");
        let (trusted, untrusted, _) = known.kept();
        assert!(trusted <= RESULT_MARKS_MAX && untrusted <= RESULT_MARKS_MAX);
    }
}

/// The attack: fill the memory of what was brought in, so that the next value is not noted.
#[test]
fn a_run_that_brings_in_more_than_is_noted_has_no_trusted_results_any_more() {
    let (trusted, untrusted) = (tool("trusted", false), tool("untrusted", false));
    let mut known = Known::fresh(&name(&[]));
    known.learns(&trusted, &prose("alice@example.org"));
    for round in 0..BROUGHT_MAX / 8_000 {
        known.acts(&untrusted, &json!({"x": numbered(round * 8_000, 8_000)}));
    }
    known.learns(&trusted, &prose("bob@example.org"));
    assert_eq!(known.origin(&json!("bob@example.org")), Origin::Trusted, "the control");
    known.acts(&untrusted, &json!({"x": numbered(1_000_000, 8_000)}));
    known.acts(&untrusted, &json!({"x": "mallory@evil.example"}));
    known.learns(&trusted, &prose("mallory@evil.example"));
    assert_eq!(known.origin(&json!("mallory@evil.example")), Origin::Untrusted);
    assert_eq!(known.origin(&json!("alice@example.org")), Origin::Trusted, "what was kept stays");

    // And in one call: the value stands behind more words than are noted of one.
    let mut known = Known::fresh(&name(&[]));
    let long = format!("{} mallory@evil.example", numbered(0, 9_000));
    known.acts(&untrusted, &json!({ "x": long }));
    known.learns(&trusted, &prose("mallory@evil.example"));
    assert_eq!(known.origin(&json!("mallory@evil.example")), Origin::Untrusted);
}

#[test]
fn a_long_value_is_from_nowhere() {
    let long = numbered(0, 600);
    let known = Known::fresh(&name(&[&long]));
    assert_eq!(known.origin(&json!(long[..4_001])), Origin::Named, "the control");
    assert_eq!(known.origin(&json!(long)), Origin::Nowhere);
}
