//! The id of a request: what every peer of ours carries unchanged, and nothing else.

use serde::Serialize;
use serde_json::value::RawValue;

/// Longest id in bytes. SDKs send counters and UUIDs.
const ID_BYTES_MAX: usize = 128;

/// Largest whole number that a double holds with all before it.
const ID_NUMBER_MAX: i64 = 1 << 53;

/// A JSON-RPC id: a string of at most 128 bytes or an integer within 2^53 of zero.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(untagged)]
pub enum Id {
    /// A string.
    Text(String),
    /// An integer.
    Number(i64),
}

impl Id {
    /// The id, when `raw` is one. Null, booleans, decimals (even `1.0`), objects and arrays are none.
    pub(super) fn read(raw: &RawValue) -> Option<Self> {
        let raw = raw.get();
        if raw.starts_with('"') {
            let text: String = serde_json::from_str(raw).ok()?;
            return (text.len() <= ID_BYTES_MAX).then_some(Self::Text(text));
        }
        let number: i64 = raw.parse().ok()?;
        (number.unsigned_abs() <= ID_NUMBER_MAX.unsigned_abs()).then_some(Self::Number(number))
    }
}
