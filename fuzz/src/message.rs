//! Messages out of the fuzzer's bytes: the bytes themselves, or, where they begin with none of ASCII, a call
//! whose id, name and arguments are made of them: much of it what parsers differ on.

use std::borrow::Cow;

use libfuzzer_sys::arbitrary::{Result, Unstructured};

/// Deepest value that is made.
const DEPTH_MAX: u32 = 4;

/// Names of members, some of them the same to some parsers.
const NAMES: &[&str] = &[
    "a",
    "b",
    "c",
    "A",
    "\\u0061",
    "__proto__",
    "$serde_json::private::RawValue",
    "$serde_json::private::Number",
    "",
    "1",
    "01",
    "constructor",
    "n\\u0000",
    "\u{e9}",
    "e\u{301}",
];

/// Parts of strings, right and wrong.
const PARTS: &[&str] = &[
    "a",
    "z ",
    "\\u0061",
    "\\u00e9",
    "\u{e9}",
    "\u{1f600}",
    "\\ud83d\\ude00",
    "\\ud800",
    "\\udc00",
    "\\n",
    "\\/",
    "\\\"",
    "\\\\",
    "\\x",
    "\t",
    "\u{2028}",
    "\u{fffd}",
    "\\u0000",
    "\u{feff}",
    "\u{202e}",
    "\u{0}",
    "\\uD83D\\uDE00",
];

/// Numbers at the ends of what is read alike, and no numbers.
const NUMBERS: &[&str] = &[
    "0",
    "-0",
    "-0.0",
    "1.0",
    "01",
    "1.",
    ".5",
    "1E400",
    "1e-400",
    "9007199254740991",
    "9007199254740992",
    "9007199254740993",
    "18446744073709551615",
    "18446744073709551616",
    "NaN",
    "-Infinity",
    "0.1",
    "5e-324",
    "1e23",
    "1.7976931348623157e308",
    "+1",
    "0x1",
    "1e5",
];

/// The message that the bytes stand for.
#[must_use]
pub fn message(bytes: &[u8]) -> Cow<'_, [u8]> {
    match bytes.first() {
        Some(first) if !first.is_ascii() => {
            let made = made(&mut Unstructured::new(&bytes[1..]));
            Cow::Owned(made.map(String::into_bytes).unwrap_or_default())
        }
        Some(_) | None => Cow::Borrowed(bytes),
    }
}

fn made(bytes: &mut Unstructured<'_>) -> Result<String> {
    let id = if bytes.ratio(3, 4)? { "1".to_owned() } else { value(bytes, 1)? };
    let name = if bytes.ratio(3, 4)? { "\"ledger.query\"".to_owned() } else { value(bytes, 0)? };
    let arguments = object(bytes, DEPTH_MAX)?;
    Ok(format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":{name},"arguments":{arguments}}}}}"#
    ))
}

fn value(bytes: &mut Unstructured<'_>, depth: u32) -> Result<String> {
    Ok(match bytes.int_in_range(0..=if depth == 0 { 4 } else { 7 })? {
        0 => bytes.choose(&["null", "true", "false", "\u{a0}", "nul"])?.to_string(),
        1 => bytes.choose(NUMBERS)?.to_string(),
        2 => number(bytes)?,
        3 | 4 => string(bytes)?,
        5 => {
            let count = bytes.int_in_range(0..=3)?;
            let items = (0..count).map(|_| value(bytes, depth - 1)).collect::<Result<Vec<_>>>()?;
            format!("[{}]", items.join(","))
        }
        _ => object(bytes, depth)?,
    })
}

fn object(bytes: &mut Unstructured<'_>, depth: u32) -> Result<String> {
    let count = bytes.int_in_range(0..=4)?;
    let mut members = Vec::with_capacity(count);
    for _ in 0..count {
        let name = *bytes.choose(NAMES)?;
        let space = *bytes.choose(&["", "", "", " ", "\r\n\t"])?;
        members.push(format!("\"{name}\"{space}:{}", value(bytes, depth.saturating_sub(1))?));
    }
    Ok(format!("{{{}}}", members.join(",")))
}

fn string(bytes: &mut Unstructured<'_>) -> Result<String> {
    let count = bytes.int_in_range(0..=3)?;
    let parts = (0..count).map(|_| bytes.choose(PARTS).copied()).collect::<Result<Vec<_>>>()?;
    Ok(format!("\"{}\"", parts.concat()))
}

/// A number as JSON spells it, of many digits or few.
fn number(bytes: &mut Unstructured<'_>) -> Result<String> {
    let sign = if bytes.ratio(1, 4)? { "-" } else { "" };
    let whole =
        if bytes.ratio(1, 4)? { bytes.arbitrary::<u64>()? } else { bytes.int_in_range(0..=9)? };
    let mut text = format!("{sign}{whole}");
    if bytes.arbitrary()? {
        text.push('.');
        for _ in 0..bytes.int_in_range(1..=18)? {
            text.push(char::from(bytes.int_in_range(b'0'..=b'9')?));
        }
    }
    if bytes.ratio(1, 3)? {
        text.push_str(bytes.choose(&["e", "E", "e+", "e-"])?);
        text.push_str(&bytes.int_in_range(0..=330)?.to_string());
    }
    Ok(text)
}
