//! What a pinned schema must say. JSON Schema allows everything that it does not forbid, and passes over
//! keywords that it does not know, so that a schema with a typing error would let everything through.

use serde_json::{Map, Value};

/// Marks an argument that is SQL; its value is the profile that the statement has to keep.
pub(super) const SQL_MARK: &str = "x-atf-sql";

/// Keywords that a pin may use. Each is asserted by the validator or says nothing about values.
const KNOWN: [&str; 22] = [
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
];

/// The one dialect.
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// Whether `schema` is the schema of an object that bounds everything in it.
pub(super) fn check(schema: &Value) -> Result<(), String> {
    if schema.get("type").and_then(Value::as_str) != Some("object") {
        return Err("inputSchema: type is not \"object\"".to_owned());
    }
    part("inputSchema", schema, true)
}

fn part(at: &str, schema: &Value, top: bool) -> Result<(), String> {
    let Some(schema) = schema.as_object() else {
        return Err(format!(
            "{at}: expected an object that says what is allowed"
        ));
    };
    if let Some(unknown) = schema.keys().find(|key| !KNOWN.contains(&key.as_str())) {
        return Err(format!(
            "{at}: the keyword {unknown:?} is not known; known are {}",
            KNOWN.join(", ")
        ));
    }
    if schema
        .get("$schema")
        .is_some_and(|dialect| !top || dialect != DIALECT)
    {
        return Err(format!(
            "{at}: $schema may stand at the top alone and be {DIALECT}"
        ));
    }
    if schema.contains_key(SQL_MARK) && schema.get("type").and_then(Value::as_str) != Some("string")
    {
        return Err(format!("{at}: {SQL_MARK} marks strings alone"));
    }
    if schema.contains_key("enum") || schema.contains_key("const") {
        return Ok(());
    }
    match schema.get("type").and_then(Value::as_str) {
        Some("object") => object(at, schema),
        Some("array") => {
            bounded(at, schema, &["maxItems", "items"])?;
            part(&format!("{at}.items"), &schema["items"], false)
        }
        Some("string") => bounded(at, schema, &["maxLength"]),
        Some("integer" | "number") => bounded(at, schema, &["minimum", "maximum"]),
        Some("boolean" | "null") => Ok(()),
        _ => Err(format!(
            "{at}: expected one type of object, array, string, integer, number, boolean, null, or enum or const"
        )),
    }
}

fn object(at: &str, schema: &Map<String, Value>) -> Result<(), String> {
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
        let marked = property.get(SQL_MARK).is_some();
        if marked && at != "inputSchema" {
            return Err(format!(
                "{at}.{name}: {SQL_MARK} marks arguments of the top level alone"
            ));
        }
        part(&format!("{at}.{name}"), property, false)?;
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

fn bounded(at: &str, schema: &Map<String, Value>, bounds: &[&str]) -> Result<(), String> {
    match bounds.iter().find(|bound| !schema.contains_key(**bound)) {
        None => Ok(()),
        Some(missing) => Err(format!(
            "{at}: {missing} is missing; every value is bounded"
        )),
    }
}
