//! Attacks by conditions.

use serde_json::{Value, json};

use super::{judged, read, refused, taken, with};

/// Every keyword is asserted, whatever it stands in, and takes away what the bounds alone allow.
#[test]
fn what_a_condition_takes_away_is_refused() {
    let phone = json!({"required": ["phone"]});
    let email = json!({"required": ["email"]});
    let none = || json!({});
    let by = |name: &str| json!({ name: "x" });
    let both = json!({"phone": "x", "email": "x"});
    judged(&json!({"allOf": [phone, email]}), &[(both.clone(), true), (by("phone"), false)]);
    judged(&json!({"anyOf": [phone, email]}), &[(by("phone"), true), (none(), false)]);
    judged(&json!({"oneOf": [phone, email]}), &[(by("email"), true), (both.clone(), false)]);
    judged(&json!({"not": phone}), &[(by("email"), true), (by("phone"), false)]);
    judged(&json!({"allOf": [{"anyOf": [phone, email]}]}), &[(by("email"), true), (none(), false)]);
    judged(&json!({"if": phone, "then": email}), &[(both.clone(), true), (by("phone"), false)]);
    judged(&json!({"if": phone, "else": email}), &[(by("phone"), true), (none(), false)]);
    judged(
        &json!({"dependentRequired": {"phone": ["email"]}}),
        &[(both.clone(), true), (none(), true), (by("phone"), false)],
    );
    judged(
        &json!({"dependentSchemas": {"phone": {"properties": {"cents": {"maximum": 5}}}}}),
        &[
            (json!({"cents": 9}), true),
            (json!({"phone": "x", "cents": 5}), true),
            (json!({"phone": "x", "cents": 9}), false),
        ],
    );
    judged(
        &json!({"allOf": [{"properties": {"cents": {"minimum": 1}}, "additionalProperties": false}]}),
        &[(json!({"cents": 1}), true), (json!({"cents": 0}), false), (by("phone"), false)],
    );
    for (name, condition, good, bad) in [
        ("phone", json!({"minLength": 2}), json!("xx"), json!("x")),
        ("phone", json!({"maxLength": 1}), json!("x"), json!("xx")),
        ("phone", json!({"pattern": "^[0-9]+$"}), json!("1"), json!("x")),
        ("phone", json!({"format": "ipv4"}), json!("127.0.0.1"), json!("x")),
        ("phone", json!({"enum": ["a", "b"]}), json!("a"), json!("x")),
        ("how", json!({"const": "phone"}), json!("phone"), json!("email")),
        ("cents", json!({"minimum": 5, "type": "integer"}), json!(5), json!(4)),
        ("tags", json!({"minItems": 1}), json!(["a"]), json!([])),
        ("tags", json!({"maxItems": 1}), json!(["a"]), json!(["a", "b"])),
        ("tags", json!({"uniqueItems": true}), json!(["a"]), json!(["a", "a"])),
        ("to", json!({"required": ["city"]}), json!({"city": "x"}), json!({})),
    ] {
        let calls = [(json!({ name: good }), true), (json!({ name: bad }), false)];
        judged(&json!({"properties": {name: {"allOf": [condition]}}}), &calls);
        judged(
            &json!({"if": {"required": [name]}, "then": {"properties": {name: condition}}}),
            &calls,
        );
        let chosen = json!({"properties": {name: condition}, "required": [name]});
        judged(&json!({"anyOf": [chosen, {"required": ["email"]}]}), &calls);
    }
}

/// The log has what was found wrong, and no value of the arguments.
#[test]
fn what_is_said_of_a_condition_has_no_value_in_it() {
    let secret = "hunter2 hunter2";
    let is_short = json!({"properties": {"phone": {"maxLength": 3}}, "required": ["phone"]});
    for condition in [
        json!({"allOf": [is_short]}),
        json!({"anyOf": [is_short, {"required": ["how"]}]}),
        json!({"oneOf": [is_short, {"required": ["how"]}]}),
        json!({"not": {"required": ["phone"]}}),
        json!({"if": {"required": ["phone"]}, "then": is_short}),
        json!({"if": {"required": ["how"]}, "else": is_short}),
        json!({"dependentRequired": {"phone": ["how"]}}),
        json!({"dependentSchemas": {"phone": is_short}}),
        json!({"properties": {"phone": {"not": {"minLength": 3}}}}),
    ] {
        let pin = taken(&condition);
        let arguments = json!({ "phone": secret });
        let said = pin.check(&arguments).expect_err("the condition does not hold");
        assert!(!said.contains("hunter2") && said.len() < 300, "{condition}: {said}");
    }
    // The pin's own words are as long as it likes, and the log has their beginning.
    for (length, is_whole) in [(50, true), (5_000, false)] {
        let pattern = format!("^({})*$", "x".repeat(length));
        let pin = taken(&json!({"properties": {"phone": {"not": {"pattern": pattern}}}}));
        let said = pin.check(&json!({"phone": ""})).expect_err("the condition does not hold");
        assert!(said.contains(&pattern) == is_whole && said.len() < 1_100, "{said}");
    }
}

/// The attack: a mark that the gate does not read where it stands, so that a statement goes through unseen.
#[test]
fn a_mark_in_a_condition_or_a_definition_is_refused() {
    let why = "marks arguments of the top level alone";
    for mark in ["x-atf-sql", "x-atf-provenance"] {
        for marked in [json!(true), json!({"dialect": "sqlite"})] {
            let argument = json!({"phone": {"maxLength": 5, mark: marked}});
            for condition in [
                json!({"if": {"required": ["how"]}, "then": {"properties": argument}}),
                json!({"if": {"required": ["how"]}, "else": {"properties": argument}}),
                json!({"allOf": [{"properties": argument}]}),
                json!({"anyOf": [{"properties": argument, "required": ["phone"]}]}),
                json!({"not": {"properties": argument, "required": ["phone"]}}),
                json!({"dependentSchemas": {"how": {"properties": argument}}}),
                json!({"allOf": [{"maxLength": 5, mark: marked}]}),
                json!({"properties": {"phone": {"allOf": [{"maxLength": 5, mark: marked}]}}}),
            ] {
                refused(&condition, why);
            }
            let definition = json!({"type": "string", "maxLength": 5, mark: marked});
            let referred = json!({"$ref": "#/$defs/a"});
            refused(&json!({"$defs": {"a": definition}, "properties": {"more": referred}}), why);
        }
    }
    taken(&json!({"allOf": [{"properties": {"phone": {"maxLength": 5}}}]}));
    refused(
        &json!({"properties": {"to": {"properties": {"city": {"x-atf-provenance": true}}}}}),
        why,
    );
}

/// The attack: another spelling of an argument that nothing is asked of.
#[test]
fn a_condition_names_no_argument_that_the_bounds_do_not_have() {
    let why = "is no property of the schema";
    let spelled = json!({"SQL": {"maxLength": 5}});
    refused(&json!({"if": {"required": ["how"]}, "then": {"properties": spelled}}), why);
    refused(&json!({"anyOf": [{"properties": spelled, "required": ["SQL"]}]}), why);
    refused(&json!({"anyOf": [{"required": ["SQL"]}]}), why);
    refused(&json!({"dependentRequired": {"SQL": ["how"]}}), why);
    refused(&json!({"dependentRequired": {"how": ["SQL"]}}), why);
    refused(&json!({"dependentSchemas": {"SQL": {"required": ["how"]}}}), why);
    taken(&json!({"if": {"required": ["how"]}, "then": {"properties": {"sql": {"maxLength": 5}}}}));
    // Nor does one that is taken let it in.
    for (condition, arguments) in [
        (
            json!({"anyOf": [{"required": ["how"]}, {"not": {"required": ["how"]}}]}),
            json!({"SQL": ""}),
        ),
        (
            json!({"dependentSchemas": {"how": {"required": ["sql"]}}}),
            json!({"how": "phone", "SQL": ""}),
        ),
        (json!({"allOf": [{"required": ["how"]}]}), json!({"how": "phone", "SQL": ""})),
    ] {
        assert!(taken(&condition).check(&arguments).is_err(), "{condition}: {arguments}");
    }
}

/// Conditions that let through what they seem to refuse: a typing error, or a value that is left out.
#[test]
fn a_condition_that_says_less_than_it_seems_is_refused() {
    let of = |one: Value| json!({ "allOf": [one] });
    let chosen = |name: &str, one: Value| json!({"anyOf": [{"properties": {name: one}, "required": [name]}]});
    let phone = json!({"required": ["phone"]});
    let is_phone = json!({"properties": {"how": {"const": "phone"}}});
    let mut named = is_phone.clone();
    named["required"] = json!(["how"]);
    for (condition, why) in [
        (of(json!({})), "takes something away"),
        (of(json!(true)), "takes something away"),
        (of(json!({"type": "object"})), "takes something away"),
        (of(json!({"type": "string"})), "takes something away"),
        (of(json!({"type": "array", "required": ["how"]})), "the type is another one"),
        (of(json!({"requird": ["how"]})), "not known"),
        (of(json!({"description": "only phones"})), "not known"),
        (of(json!({"required": []})), "names nothing"),
        (of(json!({"properties": {}})), "names nothing"),
        (of(json!({"additionalProperties": true})), "may be false alone"),
        (of(json!({"unevaluatedProperties": false})), "not known"),
        (of(json!({"patternProperties": {}})), "not known"),
        (of(json!({"maxLength": 5})), "says nothing of such"),
        (of(json!({"$ref": "#/properties/phone"})), "not known"),
        (of(json!({"properties": {"tags": {"items": {"const": "x"}}}})), "says nothing of such"),
        (of(json!({"properties": {"cents": {"maxLength": 5}}})), "says nothing of such"),
        (of(json!({"properties": {"phone": {"maximum": 5}}})), "says nothing of such"),
        (
            json!({"properties": {"phone": {"dependentRequired": {"a": ["b"]}}}}),
            "says nothing of such",
        ),
        (chosen("how", json!({"const": "phne"})), "is never there"),
        (chosen("how", json!({"enum": ["phone", "mail"]})), "is never there"),
        (chosen("how", json!({"enum": []})), "no value"),
        (chosen("cents", json!({"const": "5"})), "is never there"),
        (json!({"then": phone}), "says nothing without"),
        (json!({"if": phone}), "says nothing without"),
        (json!({"else": phone}), "says nothing without"),
        (json!({"allOf": phone}), "is no list"),
        (json!({"allOf": []}), "inputSchema"),
        (json!({"dependentRequired": {}}), "expected an object"),
        (json!({"dependentRequired": {"how": []}}), "names nothing"),
        (json!({"anyOf": [is_phone, phone]}), "holds where how is left out"),
        (json!({"oneOf": [is_phone, phone]}), "holds where how is left out"),
        (json!({"not": is_phone}), "holds where how is left out"),
        (json!({"if": is_phone, "then": phone, "else": phone}), "holds where how is left out"),
        (json!({"if": named, "then": phone}), "left out; require it in the schema"),
        (
            json!({"allOf": [{"if": named, "then": {"if": named, "then": phone}, "else": phone}]}),
            "left out; require it in the schema",
        ),
    ] {
        refused(&condition, why);
    }
    for condition in [
        of(json!({"type": "object", "required": ["how"]})),
        of(json!({"properties": {"phone": {"maxLength": 5}}})),
        chosen("how", json!({"const": "phone"})),
        json!({"if": named, "then": phone, "else": {"required": ["email"]}}),
        json!({"if": is_phone, "then": phone, "required": ["how"]}),
        json!({"if": {"required": ["how"]}, "then": phone}),
    ] {
        taken(&condition);
    }
}

/// A keyword is one where a schema stands, and a name where names do.
#[test]
fn arguments_may_have_names_of_keywords() {
    let text = json!({"type": "string", "maxLength": 5});
    let names = ["if", "not", "allOf", "$ref", "$defs", "then", "$anchor"];
    let properties: serde_json::Map<_, _> =
        names.iter().map(|name| ((*name).to_owned(), text.clone())).collect();
    let pin = taken(&json!({ "properties": properties }));
    for name in names {
        assert!(pin.check(&json!({ name: "short" })).is_ok(), "{name}");
        assert!(pin.check(&json!({ name: "too long" })).is_err(), "{name}");
    }
}

/// The attack: schemas where nobody looks at them, with whatever they hold.
#[test]
fn no_schema_stands_where_it_is_not_looked_at() {
    let hidden = json!({"$ref": "https://evil.test/x.json", "x-atf-sql": {}, "if": {}});
    for (argument, good) in [
        (json!({"enum": ["a"]}), true),
        (json!({"enum": ["a"], "items": hidden}), false),
        (json!({"const": {"a": 1}, "properties": {"a": hidden}}), false),
        (json!({"const": {"a": 1}, "additionalProperties": hidden}), false),
        (json!({"type": "string", "maxLength": 5}), true),
        (json!({"type": "string", "maxLength": 5, "items": hidden}), false),
        (json!({"type": "string", "maxLength": 5, "properties": {"a": hidden}}), false),
        (json!({"type": "array", "maxItems": 5, "items": {"const": 1}}), true),
        (
            json!({"type": "array", "maxItems": 5, "items": {"const": 1}, "properties": {"a": hidden}}),
            false,
        ),
        (json!({"type": "object", "additionalProperties": false}), true),
        (json!({"type": "object", "additionalProperties": false, "items": hidden}), false),
    ] {
        let found = read(&with(&json!({"properties": {"more": argument}})));
        assert_eq!(found.is_ok(), good, "{argument}: {found:?}");
    }
}

#[test]
fn conditions_are_bounded_in_number_wherever_they_stand() {
    let many = |count: usize| json!({"allOf": vec![json!({"required": ["how"]}); count]});
    taken(&many(100));
    refused(&many(101), "more than 100 conditions");
    let copied = |count: usize| {
        let one = json!({"type": "string", "maxLength": 9,
            "anyOf": vec![json!({"pattern": "^a$"}); 10]});
        let mut more = json!({"$defs": {"a": one}});
        for number in 0..count {
            more["properties"][format!("p{number}")] = json!({"$ref": "#/$defs/a"});
        }
        more
    };
    taken(&copied(10));
    refused(&copied(11), "more than 100 conditions");
}
