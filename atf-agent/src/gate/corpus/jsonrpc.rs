//! Messages, judged by the strict reader alone: is this one that every parser reads alike?

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::{CorpusError, CorpusReport, run};
use crate::gate::{Limits, Received};

/// The bytes of a message: as text, or in base64 where they are no UTF-8.
#[derive(Deserialize)]
struct Bytes {
    message: Option<String>,
    message_base64: Option<String>,
}

/// Judges each line's message within the default limits.
///
/// # Errors
/// [`CorpusError`] at the first line that is not a case, or has no message or two.
pub fn jsonrpc(lines: impl Iterator<Item = String>) -> Result<CorpusReport, CorpusError> {
    let limits = Limits::default();
    run(lines, |case: Bytes| {
        let bytes = match (case.message, case.message_base64) {
            (Some(text), None) => text.into_bytes(),
            (None, Some(encoded)) => {
                STANDARD.decode(encoded).map_err(|error| format!("message_base64: {error}"))?
            }
            (None, None) => return Err("neither message nor message_base64".to_owned()),
            (Some(_), Some(_)) => return Err("message and message_base64".to_owned()),
        };
        Ok(Received::read(&bytes, &limits).is_ok())
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
