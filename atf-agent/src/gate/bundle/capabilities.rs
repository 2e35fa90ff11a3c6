//! `capabilities.json`, for `opa check`, `opa test` and Regal: the built-in functions that a policy may use here.
//! What is available is the engine's to say, and the profile's; the table below says of what types it is.

use serde_json::{Value, json};

use super::super::{profile, rego};

/// Name, types of the arguments, type of the result. `s` string, `n` number, `b` boolean, `0` null, `a` any,
/// `A` array, `S` set, `O` object of anything.
const FUNCTIONS: &[(&str, &str, &str)] = &[
    ("abs", "n", "n"),
    ("array.concat", "AA", "A"),
    ("array.reverse", "A", "A"),
    ("array.slice", "Ann", "A"),
    ("base64.decode", "s", "s"),
    ("base64.encode", "s", "s"),
    ("base64.is_valid", "s", "b"),
    ("bits.and", "nn", "n"),
    ("bits.lsh", "nn", "n"),
    ("bits.negate", "n", "n"),
    ("bits.or", "nn", "n"),
    ("bits.rsh", "nn", "n"),
    ("bits.xor", "nn", "n"),
    ("ceil", "n", "n"),
    ("concat", "sa", "s"),
    ("contains", "ss", "b"),
    ("count", "a", "n"),
    ("endswith", "ss", "b"),
    ("floor", "n", "n"),
    ("format_int", "nn", "s"),
    ("glob.match", "sas", "b"),
    ("glob.quote_meta", "s", "s"),
    ("hex.decode", "s", "s"),
    ("hex.encode", "s", "s"),
    ("indexof", "ss", "n"),
    ("indexof_n", "ss", "A"),
    ("intersection", "S", "S"),
    ("is_array", "a", "b"),
    ("is_boolean", "a", "b"),
    ("is_null", "a", "b"),
    ("is_number", "a", "b"),
    ("is_object", "a", "b"),
    ("is_set", "a", "b"),
    ("is_string", "a", "b"),
    ("json.filter", "Oa", "a"),
    ("json.is_valid", "s", "b"),
    ("json.marshal", "a", "s"),
    ("json.marshal_with_options", "aO", "s"),
    ("json.remove", "Oa", "a"),
    ("json.unmarshal", "s", "a"),
    ("lower", "s", "s"),
    ("max", "a", "a"),
    ("min", "a", "a"),
    ("numbers.range", "nn", "A"),
    ("object.filter", "Oa", "a"),
    ("object.get", "Oaa", "a"),
    ("object.keys", "O", "S"),
    ("object.remove", "Oa", "a"),
    ("object.subset", "aa", "a"),
    ("object.union", "OO", "a"),
    ("object.union_n", "A", "a"),
    ("product", "a", "n"),
    ("regex.find_all_string_submatch_n", "ssn", "A"),
    ("regex.find_n", "ssn", "A"),
    ("regex.is_valid", "s", "b"),
    ("regex.match", "ss", "b"),
    ("regex.replace", "sss", "s"),
    ("regex.split", "ss", "A"),
    ("regex.template_match", "ssss", "b"),
    ("replace", "sss", "s"),
    ("round", "n", "n"),
    ("semver.compare", "ss", "n"),
    ("semver.is_valid", "a", "b"),
    ("sort", "a", "A"),
    ("split", "ss", "A"),
    ("sprintf", "sA", "s"),
    ("startswith", "ss", "b"),
    ("strings.any_prefix_match", "aa", "b"),
    ("strings.any_suffix_match", "aa", "b"),
    ("strings.count", "ss", "n"),
    ("strings.replace_n", "Os", "s"),
    ("strings.reverse", "s", "s"),
    ("substring", "snn", "s"),
    ("sum", "a", "n"),
    ("time.add_date", "nnnn", "n"),
    ("time.clock", "a", "A"),
    ("time.date", "a", "A"),
    ("time.diff", "aa", "A"),
    ("time.format", "a", "s"),
    ("time.parse_duration_ns", "s", "n"),
    ("time.parse_ns", "ss", "n"),
    ("time.parse_rfc3339_ns", "s", "n"),
    ("time.weekday", "a", "s"),
    ("to_number", "a", "n"),
    ("trim", "ss", "s"),
    ("trim_left", "ss", "s"),
    ("trim_prefix", "ss", "s"),
    ("trim_right", "ss", "s"),
    ("trim_space", "s", "s"),
    ("trim_suffix", "ss", "s"),
    ("type_name", "a", "s"),
    ("union", "S", "S"),
    ("units.parse", "s", "n"),
    ("units.parse_bytes", "s", "n"),
    ("upper", "s", "s"),
];

/// What is written between its arguments, or by keywords: the language itself, which OPA lists too.
const OPERATORS: &[(&str, Option<&str>, &str, &str)] = &[
    ("and", Some("&"), "SS", "S"),
    ("assign", Some(":="), "aa", "b"),
    ("div", Some("/"), "nn", "n"),
    ("eq", Some("="), "aa", "b"),
    ("equal", Some("=="), "aa", "b"),
    ("gt", Some(">"), "aa", "b"),
    ("gte", Some(">="), "aa", "b"),
    ("internal.member_2", Some("in"), "aa", "b"),
    ("internal.member_3", Some("in"), "aaa", "b"),
    ("lt", Some("<"), "aa", "b"),
    ("lte", Some("<="), "aa", "b"),
    ("minus", Some("-"), "aa", "a"),
    ("mul", Some("*"), "nn", "n"),
    ("neq", Some("!="), "aa", "b"),
    ("or", Some("|"), "SS", "S"),
    ("plus", Some("+"), "nn", "n"),
    ("rem", Some("%"), "nn", "n"),
];

/// The whole file, as OPA shapes it.
pub fn capabilities() -> Value {
    let mut builtins: Vec<(&str, Value)> = Vec::new();
    for (name, infix, arguments, result) in OPERATORS {
        let mut builtin = declared(name, arguments, result);
        if let Some(infix) = infix {
            builtin["infix"] = json!(infix);
        }
        builtins.push((name, builtin));
    }
    for (name, arguments, result) in FUNCTIONS.iter().filter(|(name, ..)| admitted(name)) {
        builtins.push((name, declared(name, arguments, result)));
    }
    builtins.sort_by_key(|(name, _)| *name);
    json!({
        "builtins": builtins.into_iter().map(|(_, builtin)| builtin).collect::<Vec<_>>(),
        "future_keywords": ["contains", "every", "if", "in"],
        "wasm_abi_versions": [],
        "features": ["rego_v1", "rego_v1_import", "rule_head_ref_string_prefixes", "rule_head_refs"],
        "allow_net": [],
    })
}

/// Whether a policy that calls it would be loaded.
fn admitted(name: &str) -> bool {
    let call = format!("{name}({})", example(name));
    rego::has_function(name) && profile::check(&call).is_ok()
}

/// Arguments with which the profile is asked. It bounds one function by them.
fn example(name: &str) -> &'static str {
    match name {
        "numbers.range" => "1, 2",
        _ => "",
    }
}

fn declared(name: &str, arguments: &str, result: &str) -> Value {
    let arguments: Vec<Value> = arguments.chars().map(of_type).collect();
    let result = result.chars().next().map_or(Value::Null, of_type);
    json!({"name": name, "decl": {"type": "function", "args": arguments, "result": result}})
}

fn of_type(letter: char) -> Value {
    let any = json!({"type": "any"});
    match letter {
        's' => json!({"type": "string"}),
        'n' => json!({"type": "number"}),
        'b' => json!({"type": "boolean"}),
        'A' => json!({"type": "array", "dynamic": any}),
        'S' => json!({"type": "set", "of": any}),
        'O' => json!({"type": "object", "dynamic": {"key": any, "value": any}}),
        _ => any,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// What is in the file is what the engine has and the profile lets through, and nothing else.
    #[test]
    fn the_file_has_what_a_policy_may_use_and_nothing_else() {
        let table: BTreeSet<&str> = FUNCTIONS.iter().map(|(name, ..)| *name).collect();
        assert_eq!(table.len(), FUNCTIONS.len(), "a name is there twice");
        for (name, arity) in rego::functions() {
            // `walk` is a relation, which the engine serves and no bound holds: a policy's own loops do it.
            if name.starts_with("__") || name == "walk" {
                continue;
            }
            let declared = FUNCTIONS.iter().find(|(found, ..)| *found == name);
            let call = format!("{name}({})", example(name));
            assert_eq!(declared.is_some(), profile::check(&call).is_ok(), "{name}");
            if let Some((_, arguments, _)) = declared {
                assert_eq!(arguments.len(), usize::from(arity), "{name}");
            }
        }
        let listed = capabilities();
        let listed = listed["builtins"].as_array().unwrap();
        assert_eq!(listed.len(), FUNCTIONS.len() + OPERATORS.len());
    }

    /// A policy that calls a listed function is loaded, and one that calls another is not.
    #[test]
    fn a_policy_is_loaded_by_what_is_listed() {
        let loads = |call: &str| {
            let source = format!("package atf.gate\nimport rego.v1\ndecision := {call}");
            profile::check(&source).is_ok()
                && rego::Rules::compile(&[("p.rego".to_owned(), source)], "{}").is_ok()
        };
        for (name, arguments, _) in FUNCTIONS {
            let arguments: Vec<&str> = match *name {
                "numbers.range" => vec!["1", "2"],
                _ => arguments.chars().map(|_| "input.x").collect(),
            };
            assert!(loads(&format!("{name}({})", arguments.join(", "))), "{name}");
        }
        for call in [
            "http.send({})",
            "time.now_ns()",
            "rand.intn(\"a\", 2)",
            "uuid.rfc4122(\"a\")",
            "opa.runtime()",
            "net.lookup_ip_addr(\"a\")",
            "net.cidr_contains(\"a\", \"b\")",
            "io.jwt.decode(input.x)",
            "crypto.sha256(input.x)",
            "numbers.range(1, input.x)",
            "no.such_function(input.x)",
        ] {
            assert!(!loads(call), "{call}");
        }
    }

    #[test]
    fn the_shipped_file_is_what_the_command_prints() {
        let shipped = include_str!("../../../../policies/capabilities.json");
        let shipped: Value = serde_json::from_str(shipped).unwrap();
        assert_eq!(
            shipped,
            capabilities(),
            "`atf policy capabilities > policies/capabilities.json`"
        );
    }
}
