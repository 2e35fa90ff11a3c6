//! The Rego that ATF runs: only rules whose answer depends on their input and on nothing else, and that
//! end. A policy that steps outside is refused when it is loaded, with file and line.

use std::collections::BTreeSet;

use super::rego;

/// Roots of built-in functions that read a clock, chance, the network or the host, or that print.
const BANNED: [&str; 8] = ["http", "net", "opa", "print", "rand", "test", "trace", "uuid"];

/// Most numbers that one `numbers.range` may make. It runs to its end before any time limit is looked
/// at: five million took 217 ms.
const RANGE_MAX: u64 = 1_000;

/// Checks the source of a module; the error names line and word.
pub(super) fn check(source: &str) -> Result<(), String> {
    let tokens = tokens(source);
    let imported = imported(&tokens);
    for (i, token) in tokens.iter().enumerate() {
        let text = |offset: usize| tokens.get(i + offset).map_or("", |token| token.text);
        let refuse = |why: String| Err(format!("line {}: {why}", token.line));
        if i > 0 && tokens[i - 1].text == "." {
            continue;
        }
        let used = matches!(text(1), "." | "[" | "(");
        match token.text {
            word if used && BANNED.contains(&word) => {
                return refuse(format!(
                    "{word} is not available: a decision depends on its input alone"
                ));
            }
            "time" if text(1) == "[" || (text(1) == "." && text(2) == "now_ns") => {
                return refuse("time.now_ns is not available; use input.time.now_ns".to_owned());
            }
            "numbers"
                if used
                    && !bounded(&[
                        text(1),
                        text(2),
                        text(3),
                        text(4),
                        text(5),
                        text(6),
                        text(7),
                    ]) =>
            {
                return refuse(format!(
                    "numbers.range takes two whole numbers, not more than {RANGE_MAX} apart"
                ));
            }
            word if !word.starts_with(|c: char| c.is_ascii_digit()) => {
                let path = called(&tokens[i..]);
                let is_rule = ["data", "input"].contains(&word) || imported.contains(word);
                if path.contains('.') && !is_rule && !rego::has_function(&path) {
                    return refuse(format!("{path} is no function that is available"));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// The path that is called here, `time.clock` of `time.clock(`; empty when nothing is.
fn called(tokens: &[Token<'_>]) -> String {
    let mut path = tokens.first().map_or("", |token| token.text).to_owned();
    for pair in tokens.get(1..).unwrap_or_default().chunks(2) {
        match pair {
            [dot, word] if dot.text == "." => path = format!("{path}.{}", word.text),
            [open, ..] if open.text == "(" => return path,
            _ => return String::new(),
        }
    }
    String::new()
}

/// The names that `import` gives to rules of elsewhere.
fn imported<'a>(tokens: &[Token<'a>]) -> BTreeSet<&'a str> {
    let mut names = BTreeSet::new();
    for (at, _) in tokens.iter().enumerate().filter(|(_, token)| token.text == "import") {
        let mut rest = tokens[at + 1..].iter().map(|token| token.text);
        let mut name = rest.next().unwrap_or_default();
        while let Some(sign) = rest.next() {
            match sign {
                "." | "as" => name = rest.next().unwrap_or_default(),
                _ => break,
            }
        }
        names.insert(name);
    }
    names
}

/// Whether what follows `numbers` is `.range(LOW, HIGH)` of a bounded length.
fn bounded(follows: &[&str; 7]) -> bool {
    let [".", "range", "(", low, ",", high, ")"] = follows else {
        return false;
    };
    match (low.parse::<u64>(), high.parse::<u64>()) {
        (Ok(low), Ok(high)) => low.abs_diff(high) <= RANGE_MAX,
        _ => false,
    }
}

pub(super) struct Token<'a> {
    pub(super) text: &'a str,
    line: usize,
}

/// Words, numbers and single signs; strings and comments are left out, a string as an empty token.
pub(super) fn tokens(source: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let (mut rest, mut line) = (source, 1);
    while let Some(first) = rest.chars().next() {
        let word = |c: char| c.is_alphanumeric() || c == '_';
        let length = match first {
            '#' => rest.find('\n').unwrap_or(rest.len()),
            '"' => string(rest),
            '`' => rest[1..].find('`').map_or(rest.len(), |end| end + 2),
            c if word(c) => rest.find(|c| !word(c)).unwrap_or(rest.len()),
            c => c.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        match first {
            '#' => {}
            '"' | '`' => tokens.push(Token { text: "", line }),
            c if c.is_whitespace() => {}
            _ => tokens.push(Token { text: token, line }),
        }
        line += token.matches('\n').count();
        rest = after;
    }
    tokens
}

/// The source on one line, without its comments.
pub(super) fn plain(source: &str) -> String {
    let mut plain = String::new();
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '#' => rest.find('\n').unwrap_or(rest.len()),
            '"' => string(rest),
            '`' => rest[1..].find('`').map_or(rest.len(), |end| end + 2),
            c => c.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        match first {
            '#' => {}
            c if c.is_whitespace() => {
                if !plain.ends_with(' ') {
                    plain.push(' ');
                }
            }
            _ => plain.push_str(token),
        }
        rest = after;
    }
    plain.trim().to_owned()
}

/// Bytes of the string that `rest` starts with.
fn string(rest: &str) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_that_looks_outside_its_input_is_refused() {
        let control = [
            "import rego.v1",
            "allow if input.time.now_ns > 5",
            "allow if input.http.send == 1",
            "allow if time.clock(input.time.now_ns)[0] < 18",
            "x := \"http.send(1)\" # rand.intn(1)",
            "x := `time.now_ns()` ",
            "x := \"a \\\" http.send(\"",
            "x := numbers.range(1, 1000)",
            "import data.limits.net as cap",
            "import data.atf.lib\nallow if lib.small(input.a)",
            "import data.atf.lib as l\nallow if l.small(input.a)",
            "allow if data.atf.lib.small(input.a)",
            "x := [1.5, (2)]",
            "allow if startswith(input.a, \"b\")",
            "allow if strings.reverse(input.a) == \"b\"",
        ];
        for source in control {
            assert_eq!(check(source), Ok(()), "{source}");
        }
        for source in [
            "x := time.now_ns()",
            "x := time . now_ns ()",
            "x := time[\"now_ns\"]()",
            "x := rand.intn(\"a\", 5)",
            "x := uuid.rfc4122(\"a\")",
            "x := opa.runtime()",
            "x := http.send({})",
            "x := http[\"send\"]({})",
            "x := net.lookup_ip_addr(\"a\")",
            "x := 1 { print(\"a\") }",
            "x := trace(\"a\")",
            "x := test.sleep(\"1s\")",
            "x := \"\\\\\" \n y := http.send({})",
            "x := numbers.range(1, 5000000)",
            "x := numbers.range(1, input.n)",
            "x := numbers.range_step(1, 5, 1)",
            "x := numbers[\"range\"](1, 5)",
            "x := io.jwt.decode(input.a)",
            "x := crypto.sha256(input.a)",
            "allow if lib.small(input.a)",
        ] {
            assert!(check(source).is_err(), "{source}");
        }
    }
}
