//! Random conditions on random arguments: the validator asserts of them what a plain reading of the standard does,
//! and a pin with them takes nothing that its bounds alone do not.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::Pin;
use super::pins::compile;

/// What the arguments are, and the object among them: a number, a text, an object.
fn bounds() -> Value {
    let number = json!({"type": "integer", "minimum": 0, "maximum": 3});
    let text = json!({"type": "string", "maxLength": 2});
    let object = json!({"type": "object", "additionalProperties": false,
        "properties": {"n": number, "s": text}});
    json!({"type": "object", "additionalProperties": false,
        "properties": {"n": number, "s": text, "o": object}})
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn listed(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// Whether one keyword of `schema` holds, as the standard says it.
fn keyword_holds(keyword: &str, said: &Value, schema: &Value, value: &Value) -> bool {
    let has = |name: &Value| value.get(name.as_str().unwrap_or_default()).is_some();
    let length = value.as_str().map(|text| text.chars().count() as i64);
    let at_most = |number: Option<i64>| number.is_none_or(|n| n <= said.as_i64().unwrap());
    let at_least = |number: Option<i64>| number.is_none_or(|n| n >= said.as_i64().unwrap());
    match keyword {
        "type" => match said.as_str().unwrap() {
            "object" => value.is_object(),
            "string" => value.is_string(),
            _ => value.is_i64(),
        },
        "const" => said == value,
        "minimum" => at_least(value.as_i64()),
        "maximum" => at_most(value.as_i64()),
        "minLength" => at_least(length),
        "maxLength" => at_most(length),
        "required" => !value.is_object() || listed(said).all(has),
        "properties" => {
            members(said).all(|(name, part)| value.get(name).is_none_or(|v| holds(part, v)))
        }
        "additionalProperties" => {
            members(value).all(|(name, _)| schema["properties"].get(name).is_some())
        }
        "allOf" => listed(said).all(|part| holds(part, value)),
        "anyOf" => listed(said).any(|part| holds(part, value)),
        "oneOf" => listed(said).filter(|part| holds(part, value)).count() == 1,
        "not" => !holds(said, value),
        "if" => {
            let branch = if holds(said, value) { "then" } else { "else" };
            schema.get(branch).is_none_or(|part| holds(part, value))
        }
        "then" | "else" => true,
        "dependentRequired" => {
            members(said).all(|(name, names)| value.get(name).is_none() || listed(names).all(has))
        }
        "dependentSchemas" => {
            members(said).all(|(name, part)| value.get(name).is_none() || holds(part, value))
        }
        other => panic!("{other} is read here as well"),
    }
}

fn holds(schema: &Value, value: &Value) -> bool {
    members(schema).all(|(keyword, said)| keyword_holds(keyword, said, schema, value))
}

/// What is asked of a number or of a text.
fn plain() -> impl Strategy<Value = (&'static str, Value)> {
    prop_oneof![
        (0..4).prop_map(|n| ("n", json!({ "minimum": n }))),
        (0..4).prop_map(|n| ("n", json!({ "maximum": n }))),
        (0..4).prop_map(|n| ("n", json!({ "const": n }))),
        (0..3).prop_map(|n| ("s", json!({ "minLength": n }))),
        (0..3).prop_map(|n| ("s", json!({ "maxLength": n }))),
        "[ab]{0,2}".prop_map(|text| ("s", json!({ "const": text }))),
    ]
}

fn name() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just("n"), Just("s"), Just("o")]
}

fn conditions() -> impl Strategy<Value = Value> {
    let of = |(name, part): (&str, Value)| json!({"properties": {name: part}});
    let leaf = prop_oneof![
        name().prop_map(|name| json!({ "required": [name] })),
        plain().prop_map(of),
        plain().prop_map(|(name, part)| json!({"properties": {name: part}, "required": [name]})),
        plain().prop_map(move |plain| {
            let mut closed = of(plain);
            closed["additionalProperties"] = json!(false);
            closed
        }),
        (name(), name()).prop_map(|(name, other)| json!({"dependentRequired": {name: [other]}})),
    ];
    leaf.prop_recursive(3, 24, 3, |part| {
        let some = || proptest::collection::vec(part.clone(), 1..4);
        prop_oneof![
            some().prop_map(|all| json!({ "allOf": all })),
            some().prop_map(|all| json!({ "anyOf": all })),
            some().prop_map(|all| json!({ "oneOf": all })),
            part.clone().prop_map(|one| json!({ "not": one })),
            part.clone().prop_map(|one| json!({"properties": {"o": one}, "required": ["o"]})),
            (name(), part.clone()).prop_map(|(name, one)| json!({"dependentSchemas": {name: one}})),
            (part.clone(), part.clone()).prop_map(|(a, b)| json!({"if": a, "then": b})),
            (part.clone(), part.clone()).prop_map(|(a, b)| json!({"if": a, "else": b})),
            (part.clone(), part.clone(), part.clone())
                .prop_map(|(a, b, c)| json!({"if": a, "then": b, "else": c})),
        ]
    })
}

/// Arguments, most of them within the bounds.
fn arguments() -> impl Strategy<Value = Value> {
    let plain = || {
        (proptest::option::of(0..5), proptest::option::of("[ab]{0,3}")).prop_map(|(n, s)| {
            let mut members = Map::new();
            members.extend(n.map(|n| ("n".to_owned(), json!(n))));
            members.extend(s.map(|s| ("s".to_owned(), json!(s))));
            Value::Object(members)
        })
    };
    (plain(), proptest::option::of(plain())).prop_map(|(mut whole, object)| {
        if let Some(object) = object {
            whole["o"] = object;
        }
        whole
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn conditions_are_asserted_and_only_take_away(
        conditions in conditions(),
        all in proptest::collection::vec(arguments(), 20),
    ) {
        let bounds = bounds();
        let mut whole = bounds.clone();
        whole["allOf"] = json!([conditions]);
        let compiled = compile(&whole).unwrap();
        let pin = Pin::read(json!({"name": "s.t", "inputSchema": whole}).to_string().as_bytes());
        for arguments in all {
            let good = holds(&whole, &arguments);
            prop_assert_eq!(compiled.is_valid(&arguments), good, "{} {}", whole, arguments);
            prop_assert_eq!(compiled.validate(&arguments).is_ok(), good, "{} {}", whole, arguments);
            if let Ok(pin) = &pin {
                prop_assert_eq!(pin.check(&arguments).is_ok(), good, "{} {}", whole, arguments);
            }
            prop_assert!(!good || holds(&bounds, &arguments), "{} {}", whole, arguments);
        }
    }
}
