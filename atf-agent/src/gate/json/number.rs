//! Numbers: only those that no parser changes. JavaScript has doubles alone, Python integers without
//! end, Rust both; what is the same in all is an integer that a double holds exactly, or a decimal
//! that a double gives back digit for digit.

/// Checks the text of a number.
pub(super) fn check(text: &str) -> Result<(), &'static str> {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let whole = digits(unsigned);
    let rest = &unsigned[whole..];
    if whole == 0 || (whole > 1 && unsigned.starts_with('0')) {
        return Err("not a JSON number");
    }
    if rest.is_empty() {
        return integer(text);
    }
    let after_fraction = match rest.strip_prefix('.') {
        Some(fraction) if digits(fraction) > 0 => &fraction[digits(fraction)..],
        Some(_) => return Err("not a JSON number"),
        None => rest,
    };
    if let Some(exponent) = after_fraction.strip_prefix(['e', 'E']) {
        let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        if exponent.is_empty() || digits(exponent) != exponent.len() {
            return Err("not a JSON number");
        }
    } else if !after_fraction.is_empty() {
        return Err("not a JSON number");
    }
    decimal(text)
}

fn digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

/// An integer that is the same as `i64` and as `f64`. `-0` is not: as an integer it loses its sign.
fn integer(text: &str) -> Result<(), &'static str> {
    let same = |n: i64| n as f64 as i128 == i128::from(n);
    match text.parse::<i64>() {
        Ok(0) if text != "0" => Err("a negative zero"),
        Ok(n) if same(n) => Ok(()),
        _ => Err("an integer that a double does not hold"),
    }
}

/// A decimal whose digits are those of the double that it is read as.
fn decimal(text: &str) -> Result<(), &'static str> {
    let changed = "a number that a double does not hold";
    let value: f64 = text.parse().map_err(|_| changed)?;
    if !value.is_finite() {
        return Err("a number that is not finite");
    }
    match significant(text).is_some_and(|same| Some(same) == significant(&format!("{value:e}"))) {
        true => Ok(()),
        false => Err(changed),
    }
}

/// The significant digits of a number and the power of ten of the last; nothing and 0 for a zero.
fn significant(text: &str) -> Option<(String, i64)> {
    let text = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = format!("{whole}{fraction}");
    let trimmed = all.trim_end_matches('0');
    let significant = trimmed.trim_start_matches('0').to_owned();
    if significant.is_empty() {
        return Some((significant, 0));
    }
    let dropped = i64::try_from(all.len() - trimmed.len()).ok()?;
    let power = exponent.parse::<i64>().ok()?;
    let power = power.checked_sub(i64::try_from(fraction.len()).ok()?)?;
    Some((significant, power.checked_add(dropped)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_numbers_that_every_parser_reads_alike_pass() {
        for text in [
            "0",
            "1",
            "-1",
            "9007199254740992",
            "-9007199254740992",
            "9007199254740994",
            "1152921504606846976",
            "-9223372036854775808",
            "0.5",
            "-0.5",
            "0.1",
            "1.50",
            "100.0",
            "1e2",
            "1E+2",
            "1e-2",
            "12.5e3",
            "0.0",
            "0e5",
            "0e99999999999999999999",
            "1.7976931348623157e308",
            "5e-324",
            "123456.789",
            "2.2250738585072014e-308",
            "-0.0",
        ] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
        for text in [
            "-0",
            "9007199254740993",
            "-9007199254740993",
            "9223372036854775807",
            "9223372036854775808",
            "18446744073709551615",
            "100000000000000000000000000000",
            "0.10000000000000000001",
            "0.1000000000000000055511151231257827",
            "1e400",
            "-1e400",
            "1e-400",
            "3e-324",
            "1.7976931348623159e308",
            "9007199254740993.0",
            "1e99999999999999999999",
            "",
            "-",
            "01",
            "-01",
            "00",
            "1.",
            ".1",
            "1.e1",
            "1e",
            "1e+",
            "1e1.5",
            "1-1",
            "1+1",
            "1.2.3",
            "1e2e3",
            "+1",
            "--1",
        ] {
            assert!(check(text).is_err(), "{text}");
        }
    }
}
