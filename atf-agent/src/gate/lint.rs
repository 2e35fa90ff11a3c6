//! What a pinned schema must say. JSON Schema allows everything that it does not forbid, and passes over
//! keywords that it does not know, so that a schema with a typing error would let everything through.

use serde_json::{Map, Value};

use super::conditions::{self, Conditions};
use super::provenance::Asked;
use crate::call::Untrusted;

/// Marks an argument that is SQL; its value is the profile that the statement has to keep.
pub(super) const SQL_MARK: &str = "x-atf-sql";

/// Marks an argument of which it matters where its strings and numbers come from; its value is `true`, or
/// `"links"` or `"day"` when a part of them is asked for.
pub(super) const PROVENANCE_MARK: &str = "x-atf-provenance";

/// Keywords that a pin may use besides conditions. Each is asserted by the validator or says nothing about values.
const KNOWN: [&str; 23] = [
    "$schema",
    "type",
    "title",
    "description",
    "default",
    "examples",
    "properties",
    "required",
    "additionalProperties",
    "items",
    "enum",
    "const",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "pattern",
    "format",
    "minItems",
    "maxItems",
    "uniqueItems",
    SQL_MARK,
    PROVENANCE_MARK,
];

/// What the whole schema is called.
pub(super) const TOP: &str = "inputSchema";

/// The one dialect.
pub(super) const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// Whether `schema`, which is written out, is the schema of an object that bounds everything in it, with
/// conditions that only take away.
pub(super) fn check(schema: &Value) -> Result<(), String> {
    if schema.get("type").and_then(Value::as_str) != Some("object") {
        return Err("inputSchema: type is not \"object\"".to_owned());
    }
    part(TOP, schema, &mut Conditions::new())
}

/// A text anywhere in `value` that has a character which is not seen or turns the direction of text: what
/// a model reads of a tool and a person who approves it does not. Says where.
pub fn hidden_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => {
            let text = Untrusted::new(text.as_str());
            text.hidden()
                .map(|c| format!("a text with U+{:04X}, which is not seen: {text}", c as u32))
        }
        Value::Array(items) => items.iter().find_map(hidden_text),
        Value::Object(members) => members.iter().find_map(|(name, value)| {
            hidden_text(&Value::String(name.clone())).or_else(|| hidden_text(value))
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

fn part(at: &str, schema: &Value, conditions: &mut Conditions) -> Result<(), String> {
    let Some(schema) = schema.as_object() else {
        return Err(format!("{at}: expected an object that says what is allowed"));
    };
    let is_known = |key: &str| KNOWN.contains(&key) || conditions::KEYWORDS.contains(&key);
    if let Some(unknown) = schema.keys().find(|key| !is_known(key)) {
        let known = [&KNOWN[..], &conditions::KEYWORDS].concat().join(", ");
        return Err(format!("{at}: the keyword {unknown:?} is not known; known are {known}"));
    }
    if schema.get("$schema").is_some_and(|dialect| at != TOP || dialect != DIALECT) {
        return Err(format!("{at}: $schema may stand at the top alone and be {DIALECT}"));
    }
    marks(at, schema)?;
    conditions.check(at, schema)?;
    let is_constant = schema.contains_key("enum") || schema.contains_key("const");
    let kind = schema.get("type").and_then(Value::as_str);
    unread(at, schema, kind.filter(|_| !is_constant))?;
    if is_constant {
        return Ok(());
    }
    match kind {
        Some("object") => object(at, schema, conditions),
        Some("array") => {
            bounded(at, schema, &["maxItems", "items"])?;
            top_level_mark(&format!("{at}.items"), &schema["items"])?;
            part(&format!("{at}.items"), &schema["items"], conditions)
        }
        Some("string") => bounded(at, schema, &["maxLength"]),
        Some("integer" | "number") => bounded(at, schema, &["minimum", "maximum"]),
        Some("boolean" | "null") => Ok(()),
        _ => Err(format!(
            "{at}: expected one type of object, array, string, integer, number, boolean, null, or enum or const"
        )),
    }
}

/// A schema of other values that nobody looks at where it stands.
fn unread(at: &str, schema: &Map<String, Value>, kind: Option<&str>) -> Result<(), String> {
    let read: &[&str] = match kind {
        Some("object") => &["properties", "additionalProperties"],
        Some("array") => &["items"],
        _ => &[],
    };
    let holding = ["properties", "additionalProperties", "items"];
    match holding.iter().find(|key| schema.contains_key(**key) && !read.contains(*key)) {
        None => Ok(()),
        Some(key) => Err(format!(
            "{at}: {key} says nothing here; it is of an object or an array, without enum and const"
        )),
    }
}

fn marks(at: &str, schema: &Map<String, Value>) -> Result<(), String> {
    if schema.contains_key(SQL_MARK) && schema.get("type").and_then(Value::as_str) != Some("string")
    {
        return Err(format!("{at}: {SQL_MARK} marks strings alone"));
    }
    let says_nothing =
        matches!(schema.get("type").and_then(Value::as_str), Some("boolean" | "null"));
    let is_bad = |mark| Asked::read(mark).is_none() || says_nothing;
    if schema.get(PROVENANCE_MARK).is_some_and(is_bad) {
        return Err(format!(
            "{at}: {PROVENANCE_MARK} is true, \"links\" or \"day\", and marks what holds strings or numbers"
        ));
    }
    Ok(())
}

fn object(
    at: &str,
    schema: &Map<String, Value>,
    conditions: &mut Conditions,
) -> Result<(), String> {
    if schema.get("additionalProperties") != Some(&Value::Bool(false)) {
        return Err(format!("{at}: additionalProperties must be false"));
    }
    let none = Map::new();
    let properties = match schema.get("properties") {
        None => &none,
        Some(Value::Object(properties)) => properties,
        Some(_) => return Err(format!("{at}: properties is no object")),
    };
    for (name, property) in properties {
        if at != TOP {
            top_level_mark(&format!("{at}.{name}"), property)?;
        }
        part(&format!("{at}.{name}"), property, conditions)?;
    }
    let required = schema.get("required").and_then(Value::as_array);
    let unknown = required.into_iter().flatten().find(|name| {
        let name = name.as_str().unwrap_or_default();
        !properties.contains_key(name)
    });
    match unknown {
        None => Ok(()),
        Some(name) => Err(format!("{at}: required names {name}, which is no property")),
    }
}

/// A mark that is looked for at the top level alone would say nothing where `schema` stands.
pub(super) fn top_level_mark(at: &str, schema: &Value) -> Result<(), String> {
    match [SQL_MARK, PROVENANCE_MARK].into_iter().find(|mark| schema.get(mark).is_some()) {
        None => Ok(()),
        Some(mark) => Err(format!("{at}: {mark} marks arguments of the top level alone")),
    }
}

fn bounded(at: &str, schema: &Map<String, Value>, bounds: &[&str]) -> Result<(), String> {
    match bounds.iter().find(|bound| !schema.contains_key(**bound)) {
        None => Ok(()),
        Some(missing) => Err(format!("{at}: {missing} is missing; every value is bounded")),
    }
}

/// Whether a pattern is about the whole of a text: `^` first, `$` last, and no alternative between them
/// that stands outside of a group. Flags, which change what the two mean, are not taken.
pub(super) fn is_anchored(pattern: &str) -> bool {
    let Some(inner) = pattern.strip_prefix('^').and_then(|rest| rest.strip_suffix('$')) else {
        return false;
    };
    let (mut escaped, mut in_class, mut deep) = (false, false, 0_usize);
    for (at, c) in inner.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            // A class within a class, or one that begins with `]`, is read in too many ways.
            '[' if in_class || inner[at + 1..].trim_start_matches('^').starts_with(']') => {
                return false;
            }
            '[' => in_class = true,
            ']' => in_class = false,
            _ if in_class => {}
            '(' if inner[at..].starts_with("(?") && !inner[at..].starts_with("(?:") => {
                return false;
            }
            '(' => deep += 1,
            ')' => deep = deep.saturating_sub(1),
            '|' if deep == 0 => return false,
            _ => {}
        }
    }
    !escaped && !in_class && deep == 0
}

#[cfg(test)]
mod tests {
    use super::super::Pins;

    /// A pin with one argument `a` of the schema given.
    fn pin(argument: &str) -> String {
        format!(
            r#"{{"name":"t","inputSchema":{{"type":"object","properties":{{"a":{argument}}},"additionalProperties":false}}}}"#
        )
    }

    fn check(json: &str, good: bool) {
        let found = Pins::default().add(json.as_bytes());
        assert_eq!(found.is_ok(), good, "{json}: {found:?}");
    }

    #[test]
    fn a_pin_that_bounds_everything_is_taken() {
        for argument in [
            r#"{"type":"string","maxLength":5,"pattern":"^[a-z]+$"}"#,
            r#"{"type":"string","maxLength":50,"format":"email"}"#,
            r#"{"type":"integer","minimum":0,"maximum":9}"#,
            r#"{"type":"boolean"}"#,
            r#"{"enum":["a","b"]}"#,
            r#"{"type":"integer","minimum":0,"maximum":9,"x-atf-provenance":true}"#,
            r#"{"type":"string","maxLength":9,"x-atf-provenance":"links"}"#,
            r#"{"type":"string","maxLength":9,"x-atf-provenance":"day"}"#,
            r#"{"type":"array","maxItems":3,"items":{"type":"number","minimum":0,"maximum":1}}"#,
            r#"{"type":"object","properties":{"b":{"type":"null"}},"required":["b"],"additionalProperties":false}"#,
        ] {
            check(&pin(argument), true);
        }
    }

    #[test]
    fn a_pin_that_leaves_something_open_is_refused() {
        for argument in [
            "true",
            "{}",
            r#"{"type":"string"}"#,
            r#"{"type":"string","maxlength":5}"#,
            r#"{"type":["string","null"],"maxLength":5}"#,
            r#"{"type":"integer","minimum":0}"#,
            r#"{"type":"number","maximum":0}"#,
            r#"{"type":"array","items":{"type":"boolean"}}"#,
            r#"{"type":"array","maxItems":3}"#,
            r#"{"type":"array","maxItems":3,"items":{"type":"string"}}"#,
            r#"{"type":"object","properties":{}}"#,
            r#"{"type":"object","additionalProperties":true}"#,
            r#"{"type":"object","additionalProperties":false,"required":["b"]}"#,
            r#"{"type":"object","aditionalProperties":false}"#,
            r##"{"$ref":"#/$defs/x"}"##,
            r#"{"$ref":"https://evil.test/schema.json"}"#,
            r#"{"anyOf":[{}]}"#,
            r#"{"not":{}}"#,
            r#"{"type":"string","maxLength":5,"pattern":"(a+)+\\1"}"#,
            r#"{"type":"string","maxLength":5,"pattern":"(?=a)"}"#,
            r#"{"type":"string","maxLength":5,"format":"no-such-format"}"#,
            r#"{"type":"string","maxLength":-1}"#,
            r#"{"type":"integer","minimum":"0","maximum":9}"#,
            r#"{"type":"integer","minimum":0,"maximum":9,"x-atf-sql":{}}"#,
            r#"{"type":"integer","minimum":0,"maximum":9,"x-atf-provenance":false}"#,
            r#"{"type":"string","maxLength":9,"x-atf-provenance":"link"}"#,
            r#"{"type":"string","maxLength":9,"x-atf-provenance":["links"]}"#,
            r#"{"type":"integer","minimum":0,"maximum":9,"x-atf-provenence":true}"#,
            r#"{"type":"boolean","x-atf-provenance":true}"#,
            r#"{"type":"array","maxItems":3,"items":{"type":"string","maxLength":5,"x-atf-provenance":true}}"#,
            r#"{"type":"string","maxLength":5,"$schema":"https://json-schema.org/draft/2020-12/schema"}"#,
        ] {
            check(&pin(argument), false);
        }
        let good = pin(r#"{"type":"boolean"}"#);
        check(&good, true);
        for (from, to) in [
            ("\"name\":\"t\"", "\"name\":\"a b\""),
            ("\"name\":\"t\",", ""),
            ("\"name\":\"t\"", "\"name\":\"t\",\"outputSchema\":{}"),
            ("\"name\":\"t\"", "\"name\":\"t\",\"name\":\"t\""),
            ("\"name\":\"t\"", "\"name\":\"t\",\"description\":\"a\u{200b}b\""),
            ("\"name\":\"t\"", "\"name\":\"t\",\"title\":\"\\u202etxt\""),
            ("\"name\":\"t\"", "\"name\":\"t\",\"x-atf-server\":\"00\""),
            ("\"name\":\"t\"", "\"name\":\"t\",\"x-atf-sink\":1"),
            ("\"name\":\"t\"", "\"name\":\"t\",\"x-atf-results\":true"),
            ("\"name\":\"t\"", "\"name\":\"t\",\"x-atf-results\":{\"trust\":\"yes\"}"),
            ("\"name\":\"t\"", "\"name\":\"t\",\"x-atf-results\":{\"secrets\":true}"),
            ("\"name\":\"t\"", "\"name\":\"t\",\"x-atf-results\":{\"trusted_at\":[\"id\"]}"),
            (",\"additionalProperties\":false", ""),
            ("\"type\":\"object\"", "\"type\":\"array\""),
            (
                "\"type\":\"object\"",
                "\"$schema\":\"http://json-schema.org/draft-07/schema#\",\"type\":\"object\"",
            ),
        ] {
            check(&good.replacen(from, to, 1), false);
        }
    }

    #[test]
    fn the_digest_is_of_the_meaning_and_the_name_is_taken_once() {
        let mut pins = Pins::default();
        let json = pin(r#"{"type":"boolean"}"#);
        pins.add(json.as_bytes()).unwrap();
        assert!(pins.add(json.as_bytes()).is_err(), "a second pin of a name");
        let digest = |json: &str| {
            let mut pins = Pins::default();
            pins.add(json.as_bytes()).unwrap();
            pins.iter().next().unwrap().digest()
        };
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        let pretty = serde_json::to_string_pretty(&value).unwrap();
        assert_eq!(digest(&json), digest(&pretty));
        assert_ne!(digest(&json), digest(&pin(r#"{"enum":[true,false]}"#)));
    }

    #[test]
    fn what_is_for_the_gate_alone_is_not_listed() {
        let pins = Pins::read(&super::super::policy_rows::shipped().join("tools")).unwrap();
        assert_eq!(pins.iter().count(), 2);
        for pin in pins.iter() {
            let listed = pin.listing().to_string();
            assert!(listed.contains("inputSchema") && !listed.contains("x-atf"), "{listed}");
        }
    }
}
