//! Makes a value fit for a log that other programs read: integers that a double holds, and texts of
//! a bounded length.

use serde_json::Value;

use crate::call::Digest;

/// The largest integer that every JSON reader holds exactly (RFC 8785 section 3.2.2.3, RFC 7493
/// section 2.2). Larger ones are written as decimal strings: nanoseconds of the boot clock pass it
/// after 104 days.
const INTEGER_MAX: u64 = (1 << 53) - 1;

/// Longest text in bytes. Longer ones, which only an agent or a server supplies, are cut and their
/// digest is kept, so that nobody can make a record that shippers refuse.
const TEXT_BYTES_MAX: usize = 2_048;

/// Makes `value` fit, in place, at any depth.
pub(super) fn make(value: &mut Value) {
    match value {
        Value::Number(number) => {
            let large = number.as_u64().is_some_and(|n| n > INTEGER_MAX)
                || number.as_i64().is_some_and(|n| n.unsigned_abs() > INTEGER_MAX);
            if large {
                *value = Value::String(number.to_string());
            }
        }
        Value::String(text) => {
            if text.len() > TEXT_BYTES_MAX {
                *value = Value::String(cut(text));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(make),
        Value::Object(fields) => fields.values_mut().for_each(make),
        Value::Null | Value::Bool(_) => {}
    }
}

fn cut(text: &str) -> String {
    let end = text.floor_char_boundary(TEXT_BYTES_MAX);
    format!("{}… [cut: {} bytes, sha256 {}]", &text[..end], text.len(), Digest::of(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn large_integers_and_long_texts_are_made_plain() {
        for (found, expected) in [
            (json!(9_007_199_254_740_991_u64), json!(9_007_199_254_740_991_u64)),
            (json!(9_007_199_254_740_992_u64), json!("9007199254740992")),
            (json!([{"a": u64::MAX}]), json!([{"a": "18446744073709551615"}])),
            (json!(-9_007_199_254_740_992_i64), json!("-9007199254740992")),
            (json!("x".repeat(2_048)), json!("x".repeat(2_048))),
        ] {
            let mut made = found.clone();
            make(&mut made);
            assert_eq!(made, expected, "{found}");
        }
        let mut long = json!("é".repeat(4_000));
        make(&mut long);
        let text = long.as_str().unwrap();
        assert!(text.len() < 2_200 && text.contains("[cut: 8000 bytes, sha256 "));
    }
}
