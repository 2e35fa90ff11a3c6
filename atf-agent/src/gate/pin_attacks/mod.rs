//! Attacks on a pin by what its schema may say besides bounds: references and conditions. Each beside a pin that
//! differs in that alone and is taken, or a call that is.

mod conditions;
mod references;

use serde_json::{Value, json};

use super::{Pin, tighten};

fn read(schema: &Value) -> Result<Pin, String> {
    Pin::read(json!({"name": "s.t", "inputSchema": schema}).to_string().as_bytes())
}

/// A schema with these members besides its bounds.
fn with(more: &Value) -> Value {
    let text = json!({"type": "string", "maxLength": 50});
    let mut schema = json!({
        "type": "object",
        "properties": {
            "how": {"enum": ["phone", "email"]},
            "phone": text,
            "email": text,
            "cents": {"type": "integer", "minimum": 0, "maximum": 1000},
            "sql": {"type": "string", "maxLength": 50, "x-atf-sql": {
                "dialect": "sqlite", "tables": {}, "functions": [], "limit_max": 1,
            }},
            "to": {"type": "object", "properties": {"city": text}, "additionalProperties": false},
            "tags": {"type": "array", "maxItems": 5, "items": text},
        },
        "additionalProperties": false,
    });
    merge(&mut schema, more);
    schema
}

/// Puts the members of `more` into `schema`; where both have an object, into that.
fn merge(schema: &mut Value, more: &Value) {
    match (schema, more) {
        (Value::Object(schema), Value::Object(more)) => {
            for (name, value) in more {
                merge(schema.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
        (schema, more) => *schema = more.clone(),
    }
}

/// The schema with these is refused for a reason with these words.
fn refused(more: &Value, why: &str) {
    match read(&with(more)) {
        Ok(_) => panic!("taken: {more}"),
        Err(said) => assert!(said.contains(why), "{more}: {said}"),
    }
}

fn taken(more: &Value) -> Pin {
    read(&with(more)).unwrap_or_else(|why| panic!("{more}: {why}"))
}

/// Which of the calls are as expected.
fn judged(more: &Value, calls: &[(Value, bool)]) {
    let (pin, bounds) = (taken(more), taken(&json!({})));
    for (arguments, good) in calls {
        assert_eq!(pin.check(arguments).is_ok(), *good, "{more}: {arguments}");
        assert!(bounds.check(arguments).is_ok(), "the control: {arguments} within the bounds");
    }
}

/// A run is told of it as it was approved; no reader has to know how it is judged.
#[test]
fn what_is_listed_is_what_was_approved() {
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$defs": {"address": {"$anchor": "addressDef", "type": "object", "properties": {
            "city": {"type": "string", "maxLength": 200}}}},
        "type": "object",
        "properties": {
            "address": {"$ref": "#/$defs/address"},
            "contactMethod": {"type": "string", "enum": ["phone", "email"]},
            "phone": {"type": "string"},
            "email": {"type": "string"},
        },
        "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
        "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
        "then": {"required": ["phone"]},
        "else": {"required": ["email"]},
        "additionalProperties": false,
    });
    let why = read(&schema).expect_err("it leaves texts and an address open");
    assert!(why.contains("is missing") || why.contains("must be false"), "{why}");
    let draft = tighten(&schema);
    let pin = read(&draft).unwrap();
    assert_eq!(pin.listing()["inputSchema"], draft);
    for kept in ["allOf", "if", "then", "else", "$schema"] {
        assert_eq!(draft[kept], schema[kept], "{kept}");
    }
    assert_eq!(draft["$defs"]["address"]["$anchor"], "addressDef");
    for (arguments, good) in [
        (json!({"contactMethod": "phone", "phone": "1"}), true),
        (json!({"contactMethod": "phone", "email": "1"}), false),
        (json!({"email": "1"}), true),
        (json!({"phone": "1"}), false),
        (json!({"email": "1", "address": {"city": "x"}}), true),
        (json!({"email": "1", "address": {"town": "x"}}), false),
        (json!({"email": "1", "address": {"city": "x".repeat(5_000)}}), false),
    ] {
        assert_eq!(pin.check(&arguments).is_ok(), good, "{arguments}");
    }
}
