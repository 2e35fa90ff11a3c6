//! Inputs of the policy out of the fuzzer's bytes: an honest one with some changes, or any text.

use atf_agent::gate::promises::policy::{Inputs, PLACES, input_with};
use libfuzzer_sys::arbitrary::{Arbitrary, Result, Unstructured};
use serde_json::{Value, json};

/// Most changes of one input.
const CHANGES_MAX: usize = 5;

/// Deepest value that is put into an input.
const DEPTH_MAX: u32 = 3;

/// Names and texts that the policy knows, and others.
const WORDS: &[&str] = &[
    "",
    "aa",
    "x",
    "/x",
    "select",
    "delete",
    "class",
    "sql",
    "amount_cents",
    "argument",
    "origin",
    "at",
    "named",
    "trusted",
    "untrusted",
    "nowhere",
    "elsewhere",
    "ledger.query",
    "ledger.adjust",
    "tools/call",
    "resources/read",
    "server",
    "method",
    "tool",
    "values",
    "secret_read",
    "tools",
    "prompt",
];

/// What the policy is asked.
#[derive(Debug)]
pub enum Question {
    /// An input that is allowed, but for these changes.
    Changed(bool, Vec<(&'static str, Option<Value>)>),
    /// A text.
    Text(String),
}

impl Question {
    /// Asks it; says whether it is allowed.
    ///
    /// # Panics
    /// When the promise is not kept.
    pub fn keeps(self, inputs: &Inputs) -> bool {
        match self {
            Self::Changed(adjusts, changes) => inputs.keep(&input_with(adjusts, changes)),
            Self::Text(text) => inputs.keep_text(&text),
        }
    }
}

impl<'a> Arbitrary<'a> for Question {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        if bytes.ratio(1, 16)? {
            let rest = bytes.bytes(bytes.len())?;
            return Ok(Self::Text(String::from_utf8_lossy(rest).into_owned()));
        }
        let adjusts = bytes.arbitrary()?;
        let mut changes = Vec::new();
        while changes.len() < CHANGES_MAX && !bytes.is_empty() {
            let place = *bytes.choose(PLACES)?;
            let removes = bytes.ratio(1, 8)?;
            changes.push((place, if removes { None } else { Some(value(bytes, DEPTH_MAX)?) }));
        }
        Ok(Self::Changed(adjusts, changes))
    }
}

fn value(bytes: &mut Unstructured<'_>, depth: u32) -> Result<Value> {
    let kinds = if depth == 0 { 5 } else { 7 };
    Ok(match bytes.int_in_range(0..=kinds)? {
        0 => Value::Null,
        1 => json!(bytes.arbitrary::<bool>()?),
        2 => json!(bytes.int_in_range(-1..=50_001)?),
        3 => json!(bytes.arbitrary::<i64>()?),
        4 => json!(fraction(bytes)?),
        5 => json!(word(bytes)?),
        6 => {
            let count = bytes.int_in_range(0..=3)?;
            (0..count).map(|_| value(bytes, depth - 1)).collect::<Result<Vec<_>>>()?.into()
        }
        _ => {
            let count = bytes.int_in_range(0..=3)?;
            let member = |bytes: &mut Unstructured<'_>| {
                Ok((word(bytes)?.to_owned(), value(bytes, depth - 1)?))
            };
            let members = (0..count).map(|_| member(bytes));
            Value::Object(members.collect::<Result<_>>()?)
        }
    })
}

/// No whole number, which the policy's reader may take for one that is spelled without a point.
fn fraction(bytes: &mut Unstructured<'_>) -> Result<f64> {
    let any = bytes.arbitrary::<f64>()?;
    Ok(if any.is_normal() && any.fract() != 0.0 { any } else { 0.5 })
}

fn word(bytes: &mut Unstructured<'_>) -> Result<&'static str> {
    bytes.choose(WORDS).copied()
}
