//! Messages, judged by the strict reader alone: is this one that every parser reads alike, and do its
//! headers say what it says?

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;

use super::{CorpusError, CorpusReport, run};
use crate::gate::{Limits, Received, Stated};

/// The bytes of a message, as text, or in base64 where they are no UTF-8; and how it came.
#[derive(Deserialize)]
struct Case {
    message: Option<String>,
    message_base64: Option<String>,
    revision: Option<String>,
    headers: Option<BTreeMap<String, Values>>,
}

/// A header that is there once, or as often as the list is long.
#[derive(Deserialize)]
#[serde(untagged)]
enum Values {
    Once(String),
    Each(Vec<String>),
}

impl Case {
    fn bytes(&self) -> Result<Vec<u8>, String> {
        match (&self.message, &self.message_base64) {
            (Some(text), None) => Ok(text.clone().into_bytes()),
            (None, Some(encoded)) => {
                STANDARD.decode(encoded).map_err(|error| format!("message_base64: {error}"))
            }
            (None, None) => Err("neither message nor message_base64".to_owned()),
            (Some(_), Some(_)) => Err("message and message_base64".to_owned()),
        }
    }

    /// What the headers state. With a revision alone, the others are those that an honest client
    /// takes from the message.
    fn stated(&self, bytes: &[u8]) -> Stated {
        let mut stated = match (&self.headers, &self.revision) {
            (None, None) => return Stated::default(),
            (Some(headers), _) => Stated {
                has_headers: true,
                revision: value(headers, "mcp-protocol-version"),
                method: value(headers, "mcp-method"),
                name: value(headers, "mcp-name"),
                ..Stated::default()
            },
            (None, Some(_)) => honest(bytes),
        };
        stated.revision = stated.revision.or_else(|| self.revision.clone());
        stated
    }
}

/// The value of a header; more than one is the empty text, as the gateway has it.
fn value(headers: &BTreeMap<String, Values>, name: &str) -> Option<String> {
    let mut all = headers.iter().filter(|(found, _)| found.eq_ignore_ascii_case(name)).flat_map(
        |(_, values)| match values {
            Values::Once(value) => std::slice::from_ref(value),
            Values::Each(values) => values.as_slice(),
        },
    );
    let first = all.next()?.clone();
    Some(if all.next().is_some() { String::new() } else { first })
}

fn honest(bytes: &[u8]) -> Stated {
    let message: Value = serde_json::from_slice(bytes).unwrap_or_default();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    Stated {
        has_headers: true,
        revision: None,
        method: text(&message["method"]),
        name: text(&message["params"]["name"]),
        ..Stated::default()
    }
}

/// Judges each line's message within the default limits.
///
/// # Errors
/// [`CorpusError`] at the first line that is not a case, or has no message or two.
pub fn jsonrpc(lines: impl Iterator<Item = String>) -> Result<CorpusReport, CorpusError> {
    let limits = Limits::default();
    run(lines, |case: Case| {
        let bytes = case.bytes()?;
        Ok(Received::read(&bytes, &limits, &case.stated(&bytes)).is_ok())
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn judge(rows: &[Value]) -> Result<CorpusReport, CorpusError> {
        jsonrpc(rows.iter().map(Value::to_string))
    }

    #[test]
    fn messages_are_judged_byte_for_byte() {
        let honest = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
        let twice = r#"{"jsonrpc":"2.0","id":1,"id":1,"method":"ping"}"#;
        let mut latin1 = honest.as_bytes().to_vec();
        latin1[34] = 0xff;
        let rows = [
            json!({"id": "honest", "message": honest, "expect": "allow"}),
            json!({"id": "twice", "message": twice, "expect": "deny"}),
            json!({"id": "encoded", "message_base64": STANDARD.encode(honest), "expect": "allow"}),
            json!({"id": "latin1", "message_base64": STANDARD.encode(&latin1), "expect": "deny"}),
        ];
        let report = judge(&rows).unwrap();
        assert!(report.is_right() && report.right == 4, "{report:?}");
        // The control: a label that is wrong is a mistake in each direction.
        let wrong = [
            json!({"id": "honest", "message": honest, "expect": "deny"}),
            json!({"id": "twice", "message": twice, "expect": "allow"}),
        ];
        let report = judge(&wrong).unwrap();
        assert_eq!(
            (report.false_allow, report.false_deny),
            (vec!["honest".into()], vec!["twice".into()])
        );
    }

    #[test]
    fn a_row_may_name_its_revision_and_its_headers() {
        let old = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
        let new = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;
        let (v1, v2) = ("2025-06-18", "2026-07-28");
        let headers = |method: Value| json!({"MCP-Protocol-Version": v2, "Mcp-Method": method});
        let row = |message: &str, revision: Value, headers: Value, expect: &str| {
            json!({"id": "r", "message": message, "revision": revision, "headers": headers,
                   "expect": expect})
        };
        let none = Value::Null;
        let rows = [
            row(old, json!(v1), none.clone(), "allow"),
            row(old, json!("2030-01-01"), none.clone(), "deny"),
            row(old, json!(v2), none.clone(), "deny"),
            row(new, json!(v2), none.clone(), "allow"),
            row(new, json!(v1), none.clone(), "deny"),
            row(new, none.clone(), none.clone(), "allow"),
            row(new, none.clone(), headers(json!("tools/list")), "allow"),
            row(new, none.clone(), headers(json!("tools/call")), "deny"),
            row(new, none.clone(), headers(json!(["tools/list", "tools/list"])), "deny"),
            row(new, none.clone(), json!({"Mcp-Method": "tools/list"}), "deny"),
            row(new, json!(v2), json!({"Mcp-Method": "tools/list"}), "allow"),
            row(new, json!(v2), json!({}), "deny"),
        ];
        let report = judge(&rows).unwrap();
        assert!(report.is_right() && report.right == rows.len(), "{report:?}");
    }

    #[test]
    fn a_row_without_one_message_is_an_error() {
        for row in [
            json!({"id": "a", "expect": "deny"}),
            json!({"id": "a", "expect": "deny", "message": "x", "message_base64": "eA=="}),
            json!({"id": "a", "expect": "deny", "message_base64": "?"}),
        ] {
            let found = judge(std::slice::from_ref(&row));
            assert!(matches!(found, Err(CorpusError::Case { line: 1, .. })), "{row}: {found:?}");
        }
    }
}
