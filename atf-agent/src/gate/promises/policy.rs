//! What the policy is asked: nothing panics, and what it allows is what a plain reading of the shipped rules
//! allows.

use serde_json::{Value, json};

use crate::gate::attempt::Gate;

/// Where an input is changed, as JSON pointers.
pub const PLACES: &[&str] = &[
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
/// An input that is allowed, but for these changes; `None` removes what is there.
#[must_use]
pub fn input_with<'p>(
    adjusts: bool,
    changes: impl IntoIterator<Item = (&'p str, Option<Value>)>,
) -> Value {
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
}

/// The policy that inputs are judged by.
pub struct Inputs(Gate);

impl Inputs {
    /// The one that is shipped.
    ///
    /// # Panics
    /// When it cannot be read.
    #[must_use]
    pub fn shipped() -> Self {
        Self(Gate::shipped())
    }

    /// Asks the policy; says whether it allows the input.
    ///
    /// # Panics
    /// When a plain reading says something else.
    pub fn keep(&self, input: &Value) -> bool {
        let is_allowed = self.keep_text(&input.to_string());
        assert_eq!(is_allowed, may_pass(input), "{input}");
        is_allowed
    }

    /// Asks the policy about a text, which may be no JSON; says whether it allows it.
    ///
    /// # Panics
    /// When it does, and a plain reading does not.
    pub fn keep_text(&self, text: &str) -> bool {
        let decision = self.0.policy.decide(text);
        let is_allowed =
            decision.is_ok_and(|decision| decision.allow && decision.reasons.is_empty());
        let may = |input: &Value| may_pass(input);
        assert!(!is_allowed || serde_json::from_str(text).as_ref().is_ok_and(may), "{text}");
        is_allowed
    }
}

/// The shipped policy, read again in plain words.
fn may_pass(input: &Value) -> bool {
    let tool = input.pointer("/call/tool").and_then(Value::as_str);
    // The shipped data names no server: nothing but a tool is asked for.
    let called = input.pointer("/call/method").and_then(Value::as_str) == Some("tools/call");
    let named = input.pointer("/identity/tools");
    let prompts = (input.get("prompt"), input.pointer("/identity/prompt"));
    let reads = input.pointer("/sql/sql/class").and_then(Value::as_str) == Some("select");
    // A part of a cent cannot be reserved.
    let amount = input.pointer("/call/arguments/amount_cents").and_then(Value::as_u64);
    let origin = |value: &Value| {
        let origin = value.get("origin").and_then(Value::as_str);
        // A value of no argument, which is a name, has no demand that it keeps.
        value.get("argument").is_some_and(Value::is_string)
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
        Some("ledger.adjust") => amount.is_some_and(|amount| amount <= 50_000),
        _ => false,
    };
    // Of a collection with names, Rego's `in` means the values.
    let entitled = match named {
        Some(Value::Array(all)) => all.iter().any(|name| name.as_str() == tool),
        Some(Value::Object(all)) => all.values().any(|name| name.as_str() == tool),
        _ => false,
    };
    let prompted =
        matches!(prompts, (Some(Value::String(said)), Some(Value::String(known))) if said == known);
    called && taken && within && entitled && prompted
}
