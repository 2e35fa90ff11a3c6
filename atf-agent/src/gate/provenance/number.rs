//! The one spelling of a number: what `$1,100.50`, `1100.50` and the JSON number `1.1005e3` have in
//! common.

use serde_json::Number;

/// Longest text that is read as a number. A longer one is a text.
const DIGITS_MAX: usize = 40;

/// Signs of money that may stand before or after a number.
const MONEY: [char; 4] = ['$', '\u{20ac}', '\u{a3}', '\u{a5}'];

/// The spelling of `word`, when the whole of it is a number: digits, by threes with commas or without,
/// and a fraction. A leading zero, a plus, an exponent or a second sign make it a text: a date, a
/// telephone number, a version.
pub(super) fn spelled(word: &str) -> Option<String> {
    let word = word.strip_prefix(MONEY).or_else(|| word.strip_suffix(MONEY)).unwrap_or(word);
    let (sign, digits) = word.strip_prefix('-').map_or(("", word), |digits| ("-", digits));
    if digits.len() > DIGITS_MAX {
        return None;
    }
    let (whole, fraction) = digits.split_once('.').map_or((digits, None), |(w, f)| (w, Some(f)));
    let all_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if fraction.is_some_and(|fraction| !all_digits(fraction)) {
        return None;
    }
    let whole = ungrouped(whole)?;
    if !all_digits(&whole) || (whole.len() > 1 && whole.starts_with('0')) {
        return None;
    }
    let fraction = fraction.unwrap_or_default().trim_end_matches('0');
    Some(match (whole.as_str(), fraction) {
        ("0", "") => "0".to_owned(),
        (whole, "") => format!("{sign}{whole}"),
        (whole, fraction) => format!("{sign}{whole}.{fraction}"),
    })
}

/// Digits without the commas between groups of three; `None` when the groups are other ones.
fn ungrouped(whole: &str) -> Option<String> {
    let mut groups = whole.split(',');
    let first = groups.next().unwrap_or_default();
    let rest: Vec<&str> = groups.collect();
    let grouped = (1..=3).contains(&first.len()) && rest.iter().all(|group| group.len() == 3);
    (rest.is_empty() || grouped).then(|| format!("{first}{}", rest.concat()))
}

/// The spelling of a JSON number. What is whole or has a fraction is written out, without an exponent.
pub(super) fn spelled_json(number: &Number) -> String {
    let exact = number.as_i64().map(|n| n.to_string());
    let exact = exact.or_else(|| number.as_u64().map(|n| n.to_string()));
    let written = exact.or_else(|| number.as_f64().map(|n| n.to_string()));
    let written = written.unwrap_or_else(|| number.to_string());
    spelled(&written).unwrap_or(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_one_spelling_and_what_is_none_has_none() {
        for (word, expected) in [
            ("1100", Some("1100")),
            ("1,100", Some("1100")),
            ("$1,100.50", Some("1100.5")),
            ("1100.50\u{20ac}", Some("1100.5")),
            ("-5.0", Some("-5")),
            ("-0", Some("0")),
            ("0.10", Some("0.1")),
            ("12,345,678", Some("12345678")),
            ("1,10", None),
            ("1,1000", None),
            ("1,2,3", None),
            ("1,", None),
            ("007", None),
            ("+49", None),
            ("1e3", None),
            ("2022-04-01", None),
            ("1.2.3", None),
            (".5", None),
            ("5.", None),
            ("$", None),
            ("--5", None),
            ("$$5", None),
            ("\u{ff11}", None),
            ("", None),
        ] {
            assert_eq!(spelled(word).as_deref(), expected, "{word}");
        }
        for (json, expected) in [
            ("100", "100"),
            ("100.0", "100"),
            ("1e2", "100"),
            ("98.70", "98.7"),
            ("-3", "-3"),
            ("9007199254740991", "9007199254740991"),
        ] {
            let number: Number = serde_json::from_str(json).unwrap();
            assert_eq!(spelled_json(&number), expected, "{json}");
        }
    }
}
