//! Arguments out of the fuzzer's bytes: the bytes themselves, or, where they begin with none of ASCII, an
//! object of the members that the pin has, within their bounds and past them.

use libfuzzer_sys::arbitrary::{Result, Unstructured};

/// Members, and one that is none.
const NAMES: [&str; 4] = ["entry_id", "amount_cents", "reason", "x"];

/// Numbers at the bounds, and what is no number there.
const VALUES: [&str; 18] = [
    "0",
    "1",
    "-1",
    "50000",
    "50001",
    "100000000",
    "9007199254740991",
    "9007199254740992",
    "1.0",
    "1e4",
    "5e4",
    "5.1e4",
    "0.5",
    "\"1\"",
    "null",
    "true",
    "[1]",
    "{}",
];

/// The arguments that the bytes stand for.
#[must_use]
pub fn arguments(bytes: &[u8]) -> String {
    match bytes.first() {
        Some(first) if !first.is_ascii() => {
            made(&mut Unstructured::new(&bytes[1..])).unwrap_or_default()
        }
        Some(_) | None => String::from_utf8_lossy(bytes).into_owned(),
    }
}

fn made(bytes: &mut Unstructured<'_>) -> Result<String> {
    let mut members = Vec::new();
    for name in NAMES {
        // Mostly the three that are wanted, once.
        let times = match bytes.int_in_range(0..=15)? {
            0 => 0,
            1 => 2,
            _ => usize::from(name != "x"),
        };
        for _ in 0..times {
            members.push(format!("\"{name}\":{}", value(bytes, name == "reason")?));
        }
    }
    if bytes.arbitrary()? {
        members.reverse();
    }
    Ok(format!("{{{}}}", members.join(",")))
}

fn value(bytes: &mut Unstructured<'_>, is_text: bool) -> Result<String> {
    if bytes.ratio(1, 8)? {
        return bytes.choose(&VALUES).map(|value| (*value).to_owned());
    }
    if is_text {
        let part = *bytes.choose(&["a", "\u{e9}", "\\u0061", "\\ud83d\\ude00", "\u{1f600}"])?;
        return Ok(format!("\"{}\"", part.repeat(bytes.int_in_range(0..=201)?)));
    }
    Ok(bytes.int_in_range(-1_i64..=60_000)?.to_string())
}
