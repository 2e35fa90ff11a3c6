//! Attacks by references and by what they are to.

use serde_json::{Value, json};

use super::super::attempt::Attempt;
use super::super::{Fragments, Pin};
use super::{merge, read, refused, taken, with};
use crate::call::Digest;

/// What a reference may be to. Each with the definition that makes it one, and its control.
#[test]
fn a_reference_is_to_a_definition_and_to_nothing_else() {
    let text = json!({"type": "string", "maxLength": 5});
    let referring = |reference: &str| {
        json!({
            "$defs": {"a": {"$anchor": "there", "type": "string", "maxLength": 5}},
            "properties": {"more": {"$ref": reference}, "other": {"$ref": "#/$defs/a"}},
        })
    };
    taken(&referring("#/$defs/a"));
    for reference in [
        "",
        "#",
        "#there",
        "#/",
        "#/$defs",
        "#/$defs/",
        "#/$defs/b",
        "#/$defs/a/",
        "#/$defs/%61",
        "#/%24defs/a",
        "#/properties/phone",
        "x#/$defs/a",
        "/$defs/a",
        "https://json-schema.org/draft/2020-12/schema",
        "https://evil.test/x.json",
        "file:///etc/passwd",
        "//evil.test/x#/$defs/a",
        "json-schema:///#/$defs/a",
    ] {
        refused(&referring(reference), "$ref is #/$defs/NAME");
    }
    refused(&json!({"$defs": {"a": text}, "$ref": "#/$defs/a"}), "$ref stands for");
    refused(&json!({"properties": {"more": {"$ref": ["#/$defs/a"]}}}), "$ref is #/$defs/NAME");
    refused(&json!({"properties": {"more": {"$dynamicRef": "#there"}}}), "not known");
    refused(&json!({"properties": {"more": {"$recursiveRef": "#"}}}), "not known");
    refused(&json!({"$id": "https://evil.test/x", "$defs": {}}), "not known");
    // What stands beside a reference would be asserted by some readers and by others not.
    for beside in
        [json!({"maxLength": 1}), json!({"type": "string"}), json!({"anyOf": [{"const": "a"}]})]
    {
        let mut more = referring("#/$defs/a");
        merge(&mut more["properties"]["more"], &beside);
        refused(&more, "stands beside $ref");
    }
}

/// The attack: definitions that mean another thing to another reader, or to none.
#[test]
fn a_definition_is_one_thing_for_every_reader() {
    let text = json!({"type": "string", "maxLength": 5});
    let named = |name: &str, definition: Value| json!({"$defs": {name: definition}, "properties": {"more": {"$ref": format!("#/$defs/{name}")}}});
    taken(&named("a-B_1.x", text.clone()));
    for name in ["", "a/b", "a~0b", "a~1b", "a%62", "a b", "x-a", "ä"] {
        refused(&named(name, text.clone()), "the name of a definition");
    }
    let and = |member: &str, value: &str| {
        let mut definition = text.clone();
        definition[member] = json!(value);
        definition
    };
    taken(&named("a", and("$anchor", "a")));
    refused(&named("a", and("$id", "https://evil.test/")), "not known");
    refused(&named("a", and("$dynamicAnchor", "a")), "not known");
    refused(
        &named("a", and("$schema", "http://json-schema.org/draft-07/schema#")),
        "$schema may stand",
    );
    refused(
        &named("a", and("$schema", "https://json-schema.org/draft/2020-12/schema")),
        "$schema may stand",
    );
    refused(
        &json!({"if": {"required": ["how"]}, "then": {"required": ["sql"],
            "$schema": "http://json-schema.org/draft-07/schema#"}}),
        "not known",
    );
    refused(&json!({"properties": {"phone": {"$anchor": "a"}}}), "not known");
    refused(&json!({"$defs": []}), "$defs is no object");
    refused(&json!({"$defs": {"a": text}}), "nothing refers to it");
    refused(&json!({"properties": {"phone": {"$defs": {"a": text}}}}), "not known");
    refused(
        &named("a", json!({"$defs": {"b": text}, "type": "string", "maxLength": 5})),
        "not known",
    );
    let (first, mut second) = (and("$anchor", "a"), and("$anchor", "b"));
    let two = |second: &Value| {
        json!({"$defs": {"a": first, "b": second},
            "properties": {"more": {"$ref": "#/$defs/a"}, "other": {"$ref": "#/$defs/b"}}})
    };
    taken(&two(&second));
    second["$anchor"] = json!("a");
    refused(&two(&second), "a second $anchor");
    // Two of one name, of which readers take the first or the last.
    let once =
        with(&json!({"if": {"required": ["how"]}, "then": {"required": ["sql"]}})).to_string();
    let pin = |schema: &str| format!(r#"{{"name":"s.t","inputSchema":{schema}}}"#);
    let twice = once.replacen("\"then\":", "\"then\":{\"required\":[\"how\"]},\"then\":", 1);
    assert!(Pin::read(pin(&once).as_bytes()).is_ok(), "the control");
    assert!(twice != once && Pin::read(pin(&twice).as_bytes()).is_err());
}

/// Every definition has to bound what it is of, where it is referred to.
#[test]
fn what_is_referred_to_is_bounded_as_if_it_stood_there() {
    let referring = |definition: Value| json!({"$defs": {"a": definition}, "properties": {"more": {"$ref": "#/$defs/a"}}});
    let object = json!({"type": "object", "properties": {"b": {"type": "boolean"}},
        "additionalProperties": false});
    let pin = taken(&referring(object.clone()));
    assert!(pin.check(&json!({"more": {"b": true}})).is_ok());
    for bad in [json!({"b": 1}), json!({"c": true}), json!(1)] {
        assert!(pin.check(&json!({ "more": bad })).is_err(), "{bad}");
    }
    let mut open = object;
    open["additionalProperties"] = json!(true);
    refused(&referring(open), "additionalProperties must be false");
    refused(&referring(json!({"type": "string"})), "maxLength is missing");
    refused(&referring(json!({"required": ["b"]})), "expected one type");
    refused(&referring(json!(true)), "expected an object");
}

/// The attacks: a reference that comes back to itself, which the validator would pass over, and definitions that are
/// exponentially many values.
#[test]
fn references_end_and_what_they_copy_is_bounded() {
    let to = |name: &str| json!({"$ref": format!("#/$defs/{name}")});
    let object = |properties: Value| json!({"type": "object", "properties": properties, "additionalProperties": false});
    let with_definitions =
        |definitions: Value| json!({"$defs": definitions, "properties": {"more": to("a")}});
    let end = json!({"type": "boolean"});
    taken(&with_definitions(json!({"a": to("b"), "b": end})));
    refused(&with_definitions(json!({"a": to("a")})), "comes back to a");
    refused(&with_definitions(json!({"a": to("b"), "b": to("a")})), "comes back to a");
    refused(&with_definitions(json!({"a": object(json!({"next": to("a")}))})), "comes back to a");
    refused(
        &with_definitions(json!({"a": {"type": "array", "maxItems": 1, "items": to("a")}})),
        "comes back to a",
    );
    // Twice the next one, `deep` times; or the next one alone.
    let chain = |deep: usize, twice: bool| {
        let mut definitions = serde_json::Map::new();
        let name = |number: usize| if number == 0 { "a".to_owned() } else { format!("d{number}") };
        for number in 0..deep {
            let mut next = json!({"l": to(&name(number + 1))});
            if twice {
                next["r"] = to(&name(number + 1));
            }
            definitions.insert(name(number), object(next));
        }
        definitions.insert(name(deep), end.clone());
        with_definitions(definitions.into())
    };
    taken(&chain(5, true));
    refused(&chain(14, true), "bytes, written out");
    taken(&chain(14, false));
    refused(&chain(20, false), "values deep");
    refused(&chain(1_000, false), "values deep");
}

/// A mark stands where the argument does, beside a reference too, and is read there.
#[test]
fn a_mark_beside_a_reference_is_the_arguments() {
    let text = json!({"type": "string", "maxLength": 50});
    let marked = json!({"$ref": "#/$defs/text", "x-atf-provenance": true});
    let pin = taken(&json!({"$defs": {"text": text}, "properties": {"more": marked}}));
    assert!(pin.asks() && pin.sensitive().len() == 1);
    let plain = json!({"$ref": "#/$defs/text", "description": "d"});
    let control = taken(&json!({"$defs": {"text": text}, "properties": {"more": plain}}));
    assert!(!control.asks());
    let sql = json!({"$ref": "#/$defs/text", "x-atf-sql": {"dialect": "no-such"}});
    let found = read(&with(&json!({"$defs": {"text": text}, "properties": {"more": sql}})));
    assert!(found.is_err_and(|why| why.contains("x-atf-sql")));
    // Of an object's member nobody looks for a mark, however it comes to stand there.
    let object =
        json!({"type": "object", "properties": {"more": marked}, "additionalProperties": false});
    let deep = json!({"$defs": {"text": text}, "properties": {"object": object}});
    refused(&deep, "marks arguments of the top level alone");
}

/// A fragment of a token names what is referred to, as if it stood there; a name that is misspelt is refused.
#[test]
fn what_is_referred_to_can_be_narrowed() {
    let object = json!({"type": "object", "properties": {"b": {"type": "boolean"}},
        "additionalProperties": false});
    let pin = taken(&json!({
        "$defs": {"a": object},
        "properties": {"more": {"$ref": "#/$defs/a"}},
        "allOf": [{"required": ["more"]}],
    }));
    let mut claims = Attempt::honest().claims;
    for (name, arguments, good) in [
        ("b", json!({"more": {"b": true}}), true),
        ("b", json!({"more": {"b": false}}), false),
        ("b", json!({"more": {}}), false),
        ("B", json!({"more": {"b": true}}), false),
    ] {
        let fragment = json!({"properties": {"more": {"properties": {name: {"const": true}}}}});
        let narrowing = json!({ pin.name().as_str(): [fragment] });
        claims.entitlements.narrowing = serde_json::from_value(narrowing).unwrap();
        let (claimed, bounds) = ((&claims, Digest::of(b"token")), Some(pin.bounds()));
        let found = Fragments::default().check(claimed, pin.name(), bounds, &arguments);
        assert_eq!(found.is_ok(), good, "{name} {arguments}: {found:?}");
        assert!(pin.check(&arguments).is_ok(), "the control");
    }
}
