//! A draft of a pin's schema from what a server says: bounds where it has none, so that an operator has
//! something to cut down. What it cannot bound it leaves, and the pin's own check says so.

use serde_json::{Map, Value, json};

use super::lint::DIALECT;

/// The bounds of a draft: what no honest call passes by accident. An operator cuts them down.
const LENGTH_MAX: u64 = 4_096;
/// See [`LENGTH_MAX`].
const ITEMS_MAX: u64 = 100;
/// See [`LENGTH_MAX`]: all integers that a double holds.
const NUMBER_MAX: i64 = 9_007_199_254_740_991;

/// The name of a schema: what stands in it refers to it, and not to the whole.
const ID: &str = "$id";

/// Keywords that say nothing about values, and that a pin may not have.
const REMARKS: [&str; 7] =
    [ID, "$comment", "deprecated", "readOnly", "writeOnly", "$schema", "contentMediaType"];

/// The draft. It never allows what `schema` does not, but for its remarks.
pub fn tighten(schema: &Value) -> Value {
    let mut draft = part(schema);
    if let Some(draft) = draft.as_object_mut() {
        // What refers to the whole means the same without its name.
        draft.remove(ID);
        if let Some(Value::Object(definitions)) = draft.get_mut("$defs") {
            definitions.values_mut().for_each(|definition| *definition = part(definition));
        }
        draft.insert("$schema".to_owned(), json!(DIALECT));
        draft.entry("type").or_insert_with(|| json!("object"));
        bound(draft, "additionalProperties", json!(false));
    }
    draft
}

fn part(schema: &Value) -> Value {
    let Some(schema) = schema.as_object() else { return schema.clone() };
    let mut draft = schema.clone();
    let names_itself = refers(&draft);
    draft.retain(|name, _| match name.as_str() {
        ID => names_itself,
        name => !REMARKS.contains(&name) && !name.starts_with("x-"),
    });
    without_null(&mut draft);
    if draft.contains_key("enum") || draft.contains_key("const") {
        return Value::Object(draft);
    }
    match draft.get("type").and_then(Value::as_str) {
        Some("object") => {
            // Only a closed object is one: what it does not name would go through unseen.
            if draft.get("additionalProperties").is_none_or(|more| *more == json!(true)) {
                draft.insert("additionalProperties".to_owned(), json!(false));
            }
            if let Some(Value::Object(properties)) = draft.get_mut("properties") {
                properties.values_mut().for_each(|property| *property = part(property));
            }
        }
        Some("array") => {
            bound(&mut draft, "maxItems", json!(ITEMS_MAX));
            if let Some(items) = draft.get_mut("items") {
                *items = part(items);
            }
        }
        Some("string") => bound(&mut draft, "maxLength", json!(LENGTH_MAX)),
        Some(kind @ ("integer" | "number")) => {
            if kind == "integer" {
                inclusive(&mut draft, "exclusiveMinimum", "minimum", 1);
                inclusive(&mut draft, "exclusiveMaximum", "maximum", -1);
            }
            bound(&mut draft, "minimum", json!(-NUMBER_MAX));
            bound(&mut draft, "maximum", json!(NUMBER_MAX));
        }
        Some(_) | None => {}
    }
    Value::Object(draft)
}

/// Whether something in it refers to a schema.
fn refers(schema: &Map<String, Value>) -> bool {
    schema.contains_key("$ref") || schema.values().any(refers_within)
}

fn refers_within(value: &Value) -> bool {
    match value {
        Value::Object(members) => refers(members),
        Value::Array(items) => items.iter().any(refers_within),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// An integer above a number is one from the next on. A bound that is there besides is left to the operator.
fn inclusive(draft: &mut Map<String, Value>, exclusive: &str, bound: &str, step: i64) {
    let next = draft.get(exclusive).and_then(Value::as_i64).and_then(|n| n.checked_add(step));
    if let Some(next) = next
        && !draft.contains_key(bound)
    {
        draft.remove(exclusive);
        draft.insert(bound.to_owned(), json!(next));
    }
}

/// A value that may be left out is told by many servers as one that may be null. The draft is of the value:
/// whoever has none leaves it out.
fn without_null(draft: &mut Map<String, Value>) {
    if let Some(kind) = either(draft, "type", &json!("null")) {
        draft.insert("type".to_owned(), kind);
    }
    // What is said beside it counts too; what is said twice is left to the operator.
    if let Some(Value::Object(own)) = either(draft, "anyOf", &json!({"type": "null"}))
        && own.keys().all(|name| !draft.contains_key(name))
    {
        draft.remove("anyOf");
        draft.extend(own);
    }
}

/// The other of two values of `name`, one of which is `null`.
fn either(draft: &Map<String, Value>, name: &str, null: &Value) -> Option<Value> {
    match &draft.get(name)?.as_array()?[..] {
        [value, other] | [other, value] if other == null && value != null => Some(value.clone()),
        _ => None,
    }
}

fn bound(draft: &mut Map<String, Value>, name: &str, value: Value) {
    draft.entry(name).or_insert(value);
}

#[cfg(test)]
mod tests {
    use super::super::Pin;
    use super::*;

    /// Whether a pin with the draft of this argument is taken.
    fn is_taken(argument: &Value) -> bool {
        let schema = json!({
            "$schema": "http://json-schema.org/draft-07/schema#",
            "type": "object",
            "properties": {"a": argument},
        });
        let pin = |schema: &Value| json!({"name": "s.t", "inputSchema": schema}).to_string();
        assert!(Pin::read(pin(&schema).as_bytes()).is_err(), "the control: as it came");
        Pin::read(pin(&tighten(&schema)).as_bytes()).is_ok()
    }

    #[test]
    fn what_can_be_bounded_is_and_the_rest_is_still_refused() {
        for (argument, taken) in [
            (json!({"type": "string"}), true),
            (json!({"type": "string", "x-note": "n", "$comment": "c"}), true),
            (json!({"type": "integer", "minimum": 0}), true),
            (json!({"type": "array", "items": {"type": "number"}}), true),
            (json!({"type": "object", "properties": {"b": {"type": "string"}}}), true),
            (json!({"type": "array"}), false),
            (json!({"anyOf": [{"type": "string"}]}), false),
            (json!({"$ref": "#/$defs/x"}), false),
            (json!({"type": ["string", "null"]}), true),
            (json!({"type": ["string", "integer"]}), false),
            (json!({"type": ["string", "integer", "null"]}), false),
            (json!({"anyOf": [{"type": "string"}, {"type": "null"}], "default": null}), true),
            (json!({"anyOf": [{"type": "null"}, {"type": "integer"}]}), true),
            (json!({"anyOf": [{"type": "string"}, {"type": "integer"}]}), false),
            (json!({"anyOf": [{"type": "string"}, {"type": "null"}, {"type": "integer"}]}), false),
            (json!({"anyOf": [{}, {"type": "null"}]}), false),
            (json!({"type": "string", "anyOf": [{"type": "string"}, {"type": "null"}]}), false),
            (json!({"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 9}), true),
            (json!({"type": "integer", "exclusiveMinimum": 0, "minimum": 5}), false),
            (json!({"type": "integer", "exclusiveMinimum": 0.5}), false),
            (json!({"type": "number", "exclusiveMinimum": 0}), false),
            (json!({"type": "object", "additionalProperties": {"type": "string"}}), false),
            (json!({}), false),
            (json!(true), false),
        ] {
            assert_eq!(is_taken(&argument), taken, "{argument}");
        }
    }

    #[test]
    fn what_may_be_null_is_drafted_as_the_value_with_its_own_bounds() {
        let schema = json!({"type": "object", "properties": {"a": {
            "title": "A",
            "anyOf": [{"type": "string", "maxLength": 5}, {"type": "null"}],
        }}});
        let value = json!({"title": "A", "type": "string", "maxLength": 5});
        assert_eq!(tighten(&schema)["properties"]["a"], value);
    }

    #[test]
    fn integers_between_two_numbers_are_those_from_the_next_to_the_one_before() {
        let argument = json!({"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 9});
        let schema = json!({"type": "object", "properties": {"a": argument}});
        let drafted = json!({"type": "integer", "minimum": 1, "maximum": 8});
        assert_eq!(tighten(&schema)["properties"]["a"], drafted);
    }

    /// A definition is bounded as an argument is. A schema with a name of its own refers to itself: without the name
    /// it would refer to another.
    #[test]
    fn definitions_are_bounded_and_what_they_refer_to_stays() {
        let reference = json!({"$ref": "#/$defs/x"});
        let text = json!({"type": "string"});
        let of = |argument: &Value, definition: &Value| {
            json!({"$id": "https://s.test/t", "type": "object", "properties": {"a": argument},
                "$defs": {"x": definition}})
        };
        let taken = |schema: &Value| {
            Pin::read(json!({"name": "s.t", "inputSchema": schema}).to_string().as_bytes()).is_ok()
        };
        let optional = json!({"anyOf": [reference, {"type": "null"}], "default": null});
        for argument in [&reference, &optional] {
            let draft = tighten(&of(argument, &text));
            assert_eq!(draft["$defs"]["x"], json!({"type": "string", "maxLength": LENGTH_MAX}));
            assert_eq!(draft["properties"]["a"]["$ref"], reference["$ref"]);
            assert!(taken(&draft), "{draft}");
        }
        let named = json!({"$id": "n", "type": "string"});
        assert!(taken(&tighten(&of(&reference, &named))), "it refers to nothing");
        let object = json!({"$id": "n", "type": "object", "properties": {"b": reference}});
        let draft = tighten(&json!({"type": "object", "properties": {"a": object, "c": reference},
            "$defs": {"x": text}}));
        assert!(draft["properties"]["a"]["$id"] == "n" && !taken(&draft), "{draft}");
    }

    /// A condition is not bounded, for to take away from one may be to allow more.
    #[test]
    fn conditions_stay_as_they_came() {
        let mut schema = json!({
            "type": "object",
            "properties": {"a": {"type": "string"}, "o": {"type": "object", "properties": {}}},
        });
        let not = json!({"properties": {"o": {"type": "object", "properties": {}}}});
        for (keyword, said) in
            [("not", not.clone()), ("anyOf", json!([not])), ("if", not.clone()), ("then", not)]
        {
            schema[keyword] = said;
        }
        let draft = tighten(&schema);
        for keyword in ["not", "anyOf", "if", "then"] {
            assert_eq!(draft[keyword], schema[keyword], "{keyword}");
        }
        assert_eq!(draft["properties"]["o"]["additionalProperties"], false, "the control");
    }

    #[test]
    fn a_bound_that_is_there_stays() {
        let schema = json!({"type": "object", "properties": {
            "a": {"type": "string", "maxLength": 5},
            "b": {"type": "integer", "minimum": 1, "maximum": 2},
        }, "required": ["a"]});
        let draft = tighten(&schema);
        assert_eq!(draft["properties"], schema["properties"]);
        assert_eq!(draft["required"], schema["required"]);
    }
}
