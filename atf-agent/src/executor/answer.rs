//! The tools' answers: MCP `CallToolResult` objects.

use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

use super::outcome::Outcome;

/// Longest answer in bytes; it travels twice in one frame of the wire.
const ANSWER_BYTES_MAX: usize = 2 << 20;

/// A good answer, as text for models and as structure for programs.
pub(super) fn good(structured: &Value) -> Outcome {
    let text = structured.to_string();
    if text.len() > ANSWER_BYTES_MAX {
        return failed(&format!(
            "the answer has {} bytes, at most {ANSWER_BYTES_MAX} are given; ask for less",
            text.len()
        ));
    }
    outcome(&json!({
        "content": [{"type": "text", "text": text}],
        "structuredContent": structured,
        "isError": false,
    }))
}

/// What a run answers is on its way to the server that has asked.
pub(super) fn given() -> Outcome {
    outcome(&json!({}))
}

/// The tool could not do it; nothing was changed.
pub(super) fn failed(why: &str) -> Outcome {
    outcome(&json!({
        "content": [{"type": "text", "text": why}],
        "isError": true,
    }))
}

fn outcome(result: &Value) -> Outcome {
    let raw: Result<Box<RawValue>, _> = to_raw_value(result);
    raw.map_or_else(|e| Outcome::Unknown(e.to_string()), Outcome::Answered)
}
