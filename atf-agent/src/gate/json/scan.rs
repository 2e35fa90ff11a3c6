//! One pass over a text: structure, depth, and names that occur twice.

use std::borrow::Cow;
use std::fmt;

use super::value::PRIVATE;
use super::{number, text};

/// Objects with more names than this are sorted to find a repeated one; below, comparing all is quicker.
const PAIRWISE_NAMES_MAX: usize = 12;

/// What is wrong, and at which byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::gate) struct Fault {
    pub(in crate::gate) at: usize,
    pub(in crate::gate) what: &'static str,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.what, self.at)
    }
}

/// Reads `bytes` as one JSON value, nested at most `depth_max` deep and of at most `values_max` values,
/// inner ones included, and gives them back as text.
pub(in crate::gate) fn scan(
    bytes: &[u8],
    depth_max: usize,
    values_max: usize,
) -> Result<&str, Fault> {
    let json = std::str::from_utf8(bytes)
        .map_err(|error| Fault { at: error.valid_up_to(), what: "not UTF-8" })?;
    let mut scanner =
        Scanner { json, at: 0, depth_left: depth_max, values_left: values_max, names: Vec::new() };
    if bytes.starts_with(b"\xef\xbb\xbf") {
        return Err(scanner.fault("a byte order mark"));
    }
    scanner.space();
    scanner.value()?;
    scanner.space();
    match scanner.at == bytes.len() {
        true => Ok(json),
        false => Err(scanner.fault("more after the value")),
    }
}

struct Scanner<'a> {
    json: &'a str,
    at: usize,
    depth_left: usize,
    values_left: usize,
    /// The names of all objects that are open, one after the other.
    names: Vec<Cow<'a, str>>,
}

impl<'a> Scanner<'a> {
    fn fault(&self, what: &'static str) -> Fault {
        Fault { at: self.at, what }
    }

    fn peek(&self) -> Option<u8> {
        self.json.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8, what: &'static str) -> Result<(), Fault> {
        if self.peek() != Some(byte) {
            return Err(self.fault(what));
        }
        self.at += 1;
        Ok(())
    }

    fn value(&mut self) -> Result<(), Fault> {
        let Some(left) = self.values_left.checked_sub(1) else {
            return Err(self.fault("more values than are read"));
        };
        self.values_left = left;
        match self.peek() {
            Some(b'{') => self.deeper(Self::object),
            Some(b'[') => self.deeper(Self::array),
            Some(b'"') => self.string().map(|_| ()),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true"),
            Some(b'f') => self.word("false"),
            Some(b'n') => self.word("null"),
            _ => Err(self.fault("not a JSON value")),
        }
    }

    fn deeper(&mut self, inner: fn(&mut Self) -> Result<(), Fault>) -> Result<(), Fault> {
        let Some(left) = self.depth_left.checked_sub(1) else {
            return Err(self.fault("nested too deep"));
        };
        self.depth_left = left;
        self.at += 1;
        inner(self)?;
        self.depth_left += 1;
        Ok(())
    }

    fn object(&mut self) -> Result<(), Fault> {
        let first = self.names.len();
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.space();
            let name = self.string()?;
            if is_special(&name) {
                return Err(self.fault("a name that parsers treat specially"));
            }
            self.names.push(name);
            self.space();
            self.take(b':', "a name without a colon")?;
            self.space();
            self.value()?;
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => break,
                _ => return Err(self.fault("an object that does not go on or end")),
            }
        }
        if repeats(&mut self.names[first..]) {
            return Err(self.fault("a name that occurs twice in an object"));
        }
        self.at += 1;
        self.names.truncate(first);
        Ok(())
    }

    fn array(&mut self) -> Result<(), Fault> {
        self.space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.space();
            self.value()?;
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => break,
                _ => return Err(self.fault("an array that does not go on or end")),
            }
        }
        self.at += 1;
        Ok(())
    }

    fn string(&mut self) -> Result<Cow<'a, str>, Fault> {
        if self.peek() != Some(b'"') {
            return Err(self.fault("not a string"));
        }
        let start = self.at + 1;
        let (text, bytes) = text::read(&self.json[start..])
            .map_err(|fault| Fault { at: start + fault.at, what: fault.what })?;
        self.at = start + bytes;
        Ok(text)
    }

    fn number(&mut self) -> Result<(), Fault> {
        let rest = &self.json[self.at..];
        let of_number = |b: u8| matches!(b, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9');
        let end = rest.bytes().position(|b| !of_number(b)).unwrap_or(rest.len());
        number::check(&rest[..end]).map_err(|what| self.fault(what))?;
        self.at += end;
        Ok(())
    }

    fn word(&mut self, word: &'static str) -> Result<(), Fault> {
        if !self.json.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return Err(self.fault("not a JSON value"));
        }
        self.at += word.len();
        Ok(())
    }
}

/// Whether parsers make something else of a name than a member: in JavaScript `__proto__` can become
/// the object's prototype, whose members are then found under their own names; those in C end a name
/// at its NUL, so that two become one; some in Rust read what a text under a private name says.
fn is_special(name: &str) -> bool {
    name == "__proto__" || name.contains('\0') || name.starts_with(PRIVATE)
}

/// Whether a name occurs twice. The order of `names` is not kept.
fn repeats(names: &mut [Cow<'_, str>]) -> bool {
    if names.len() <= PAIRWISE_NAMES_MAX {
        return (1..names.len()).any(|i| names[..i].contains(&names[i]));
    }
    names.sort_unstable();
    names.windows(2).any(|pair| pair[0] == pair[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEPTH: usize = 64;
    const VALUES: usize = 1_000;

    fn check(json: &[u8], good: bool) {
        let found = scan(json, DEPTH, VALUES);
        let shown = String::from_utf8_lossy(&json[..json.len().min(80)]).into_owned();
        assert_eq!(found.is_ok(), good, "{shown}: {found:?}");
    }

    #[test]
    fn plain_json_passes() {
        for json in [
            "{}",
            " \t\r\n[ ] ",
            r#"{"a":[1,-2,3.5,1e2,true,false,null,"x"],"b":{"a":{}}}"#,
            r#"{"a":{"a":{"a":1}},"A":2,"á":3}"#,
            r#""\u00e9\ud83d\ude00\"\\\/\b\f\n\r\t""#,
            "0",
        ] {
            check(json.as_bytes(), true);
        }
    }

    #[test]
    fn what_is_not_json_is_refused() {
        for json in [
            "",
            " ",
            "{",
            "}",
            "[",
            "]",
            "[1,]",
            "[,1]",
            "{,}",
            r#"{"a"}"#,
            r#"{"a":}"#,
            r#"{"a":1,}"#,
            r#"{a:1}"#,
            "{'a':1}",
            "[1 2]",
            r#"{"a":1 "b":2}"#,
            "nul",
            "True",
            "NaN",
            "Infinity",
            "-Infinity",
            "undefined",
            "{} {}",
            "{}x",
            "// c\n{}",
            "/**/{}",
            "\"",
            "\"a",
            "\"\\\"",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\\u12g4\"",
            "\"a\nb\"",
            "\"\t\"",
            "\"\0\"",
            "\u{feff}{}",
            "{\u{a0}}",
            "\u{2028}1",
            "01",
            "1.",
            ".5",
            "+1",
            "--1",
            "0x10",
            "1e",
            "1_000",
            "\"a\" \"b\"",
            r#"{1:2}"#,
            r#"{null:2}"#,
        ] {
            check(json.as_bytes(), false);
        }
        for bytes in [&b"\"\xff\""[..], b"\"\xc0\xaf\"", b"\"\xed\xa0\x80\"", b"\xff\xfe{\0}\0"] {
            check(bytes, false);
        }
    }

    #[test]
    fn a_name_that_occurs_twice_is_refused_at_any_depth_and_in_any_spelling() {
        let many = |last: &str| {
            let names: Vec<String> = (0..100).map(|i| format!("\"k{i}\":{i}")).collect();
            format!("{{{},{last}:0}}", names.join(","))
        };
        for (json, good) in [
            (r#"{"a":1,"b":1}"#.to_owned(), true),
            (r#"{"a":1,"a":1}"#.to_owned(), false),
            (r#"{"a":1,"\u0061":1}"#.to_owned(), false),
            (r#"{"\u0061":1,"\u0061":1}"#.to_owned(), false),
            (r#"{"😀":1,"\ud83d\ude00":1}"#.to_owned(), false),
            (r#"{"/":1,"\/":1}"#.to_owned(), false),
            (r#"{"":1,"":1}"#.to_owned(), false),
            (r#"[{"x":[{"y":{"a":1,"b":{},"a":2}}]}]"#.to_owned(), false),
            (r#"{"a":{"b":1},"b":{"a":1}}"#.to_owned(), true),
            (r#"[{"a":1},{"a":1}]"#.to_owned(), true),
            (many("\"k100\""), true),
            (many("\"k\\u0037\""), false),
        ] {
            check(json.as_bytes(), good);
        }
    }

    #[test]
    fn a_name_that_parsers_treat_specially_is_refused_and_is_data_elsewhere() {
        for (json, good) in [
            (r#"{"a":[{"__proto__":{"b":1}}]}"#, false),
            (r#"{"__pr\u006fto__":1}"#, false),
            (r#"{"a\u0000":1}"#, false),
            (r#"{"\u0000a":1,"a":2}"#, false),
            (r#"{"$serde_json::private::RawValue":"{}"}"#, false),
            (r#"[{"\u0024serde_json::private::Number":"1"}]"#, false),
            (r#"{"a":"$serde_json::private::RawValue","serde_json":1}"#, true),
            (r#"{"proto":1,"__proto":2,"__PROTO__":3,"constructor":4}"#, true),
            (r#"{"a":"__proto__","b":"\u0000"}"#, true),
        ] {
            check(json.as_bytes(), good);
        }
    }

    #[test]
    fn values_are_counted_wherever_they_are() {
        for (open, one, close) in
            [("[", "0", "]"), (r#"{"a":["#, "[]", "]}"), ("[[", "\"x\"", "],{}]")]
        {
            // Each is but a comma away from the next; what encloses them counts too.
            let of = |n: usize| format!("{open}{}{close}", vec![one; n].join(","));
            check(of(VALUES - 3).as_bytes(), true);
            check(of(VALUES).as_bytes(), false);
            check(of(250_000).as_bytes(), false);
        }
        let named = |n: usize| (0..n).map(|i| format!("\"{i}\":0")).collect::<Vec<_>>().join(",");
        check(format!("{{{}}}", named(VALUES - 1)).as_bytes(), true);
        check(format!("{{{}}}", named(VALUES)).as_bytes(), false);
    }

    #[test]
    fn depth_is_counted() {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let nested = |n: usize| format!("{}1{}", open.repeat(n), close.repeat(n));
            check(nested(DEPTH).as_bytes(), true);
            check(nested(DEPTH + 1).as_bytes(), false);
            check(open.repeat(100_000).as_bytes(), false);
        }
    }
}
