//! Strings: escapes resolved, so that two spellings of one name are one name; lone surrogates refused.

use std::borrow::Cow;

use super::Fault;

/// Reads the rest of a string behind its opening quote. Gives the text and the bytes read, the closing
/// quote among them.
pub(super) fn read(rest: &str) -> Result<(Cow<'_, str>, usize), Fault> {
    let bytes = rest.as_bytes();
    let plain = bytes.iter().position(|&b| b == b'"' || b == b'\\' || b < 0x20);
    let fault = |at: usize, what: &'static str| Err(Fault { at, what });
    let Some(mut at) = plain else {
        return fault(bytes.len(), "a string that does not end");
    };
    if bytes[at] == b'"' {
        return Ok((Cow::Borrowed(&rest[..at]), at + 1));
    }
    let mut text = rest[..at].to_owned();
    loop {
        match bytes.get(at) {
            Some(b'"') => return Ok((Cow::Owned(text), at + 1)),
            Some(b'\\') => {
                let (character, length) =
                    escape(&bytes[at..]).map_err(|what| Fault { at, what })?;
                text.push(character);
                at += length;
            }
            Some(b) if *b < 0x20 => return fault(at, "a control character in a string"),
            Some(_) => {
                let more = bytes[at..]
                    .iter()
                    .position(|&b| b == b'"' || b == b'\\' || b < 0x20)
                    .unwrap_or(bytes.len() - at);
                text.push_str(&rest[at..at + more]);
                at += more;
            }
            None => return fault(at, "a string that does not end"),
        }
    }
}

/// The character of an escape sequence, and the bytes that it takes.
fn escape(bytes: &[u8]) -> Result<(char, usize), &'static str> {
    let simple = |c: char| Ok((c, 2));
    match bytes.get(1) {
        Some(b'"') => simple('"'),
        Some(b'\\') => simple('\\'),
        Some(b'/') => simple('/'),
        Some(b'b') => simple('\u{8}'),
        Some(b'f') => simple('\u{c}'),
        Some(b'n') => simple('\n'),
        Some(b'r') => simple('\r'),
        Some(b't') => simple('\t'),
        Some(b'u') => unit(bytes).and_then(|first| match first {
            0xd800..=0xdbff => {
                let second = unit(bytes.get(6..).unwrap_or_default());
                let low = second.ok().filter(|unit| (0xdc00..=0xdfff).contains(unit));
                let low = low.ok_or("a lone surrogate")?;
                let code = 0x1_0000 + ((first - 0xd800) << 10) + (low - 0xdc00);
                char::from_u32(code).map(|c| (c, 12)).ok_or("a lone surrogate")
            }
            _ => char::from_u32(first).map(|c| (c, 6)).ok_or("a lone surrogate"),
        }),
        _ => Err("an unknown escape"),
    }
}

/// The code unit of `\uXXXX` at the start of `bytes`.
fn unit(bytes: &[u8]) -> Result<u32, &'static str> {
    let digits = match bytes {
        [b'\\', b'u', digits @ ..] if digits.len() >= 4 => &digits[..4],
        _ => return Err("an unknown escape"),
    };
    digits.iter().try_fold(0, |sum, &b| {
        let digit = char::from(b).to_digit(16).ok_or("an unknown escape")?;
        Ok(sum * 16 + digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_resolved_and_surrogates_must_be_pairs() {
        for (rest, expected) in [
            (r#"abc"rest"#, Some(("abc", 4))),
            (r#"""#, Some(("", 1))),
            (r#"a\u0062c\n""#, Some(("abc\n", 11))),
            (r#"\ud83d\ude00""#, Some(("😀", 13))),
            (r#"\uD83D\uDE00é""#, Some(("😀é", 15))),
            (r#"\ud83d""#, None),
            (r#"\ude00""#, None),
            (r#"\ud83d\u0041""#, None),
            (r#"\ud83d\ud83d""#, None),
            (r#"\ude00\ud83d""#, None),
            (r#"\ud83dx""#, None),
            (r#"\U0041""#, None),
            (r#"\u004""#, None),
            (r#"\u+041""#, None),
            (r#"\"#, None),
            (r#"\u"#, None),
            ("é\\", None),
        ] {
            let found = read(rest).ok();
            let found = found.as_ref().map(|(text, bytes)| (&**text, *bytes));
            assert_eq!(found, expected, "{rest}");
        }
    }
}
