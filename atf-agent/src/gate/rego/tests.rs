//! The register machine says what the interpreter says, or does not serve.

use proptest::prelude::*;
use regorus::rvm::RegoVM;
use serde_json::{Value as Json, json};

use super::*;

const YES: &str =
    "package atf.gate\ndecision := {\"allow\": true, \"reasons\": [], \"obligations\": {}}";

const DATA: &str = r#"{
    "limits": {"per_call_cents": 500},
    "provenance": {"demand": "trusted", "secrets_to_sinks": "deny"},
    "servers": {"l": {"methods": ["resources/read"], "questions": ["elicitation/create"]}},
    "tools": {
        "l.query": {"sql": ["sql"], "provenance": {"sql": "known"}},
        "l.adjust": {"sql": [], "amount": "cents", "approve_from_cents": 100, "provenance": "named"},
        "l.write": {"sql": ["sql", "other"], "sql_classes": ["insert", "select"]}
    }
}"#;

fn rules(module: &str, data: &str) -> Rules {
    Rules::compile(&[("p.rego".to_owned(), module.to_owned())], data).unwrap()
}

/// `module` on the machine, whether it is the shipped one or not; and for the interpreter.
fn both(module: &str, data: &str) -> (Machine, Engine) {
    let mut engine = engine(&[("p.rego".to_owned(), module.to_owned())], data).unwrap();
    let compiled = engine.compile_with_entrypoint(&ENTRYPOINT.into()).unwrap();
    (Machine::of(&compiled, data).unwrap(), engine)
}

/// The shipped rules, told what they read of an input.
fn shipped(data: &str) -> (Machine, Engine) {
    let (mut machine, interpreter) = both(SHIPPED, data);
    machine.reads = Part::of_shipped(&Value::from_json_str(data).unwrap());
    (machine, interpreter)
}

#[test]
fn the_shipped_rules_are_served_on_the_machine_and_others_are_not() {
    let own = include_str!("../../../../policies/data.json");
    for data in [own, DATA] {
        assert_eq!(rules(SHIPPED, data).why_interpreted(), None);
        let changed = SHIPPED.replace("cents >= 0", "cents >= -1");
        assert_ne!(changed, SHIPPED);
        assert!(rules(&changed, data).why_interpreted().is_some());
    }
    let shipped = ("gate.rego".to_owned(), SHIPPED.to_owned());
    let more = ("more.rego".to_owned(), "package atf.more\nx := 1".to_owned());
    assert!(Rules::compile(&[shipped, more], own).unwrap().why_interpreted().is_some());
}

/// The attack: an argument of a type that a function does not take, in a rule that forbids. The control is the
/// machine with the library's own functions, for which the rule is undefined and the call goes through.
#[test]
fn an_error_of_a_function_ends_the_evaluation() {
    let (machine, mut interpreter) =
        both(&format!("{YES} if not bad\nbad if startswith(input.x, \"a\")"), "{}");
    assert!(machine.eval(Value::from_json_str(r#"{"x": "b"}"#).unwrap()).is_ok(), "it evaluates");
    let wrong = Value::from_json_str(r#"{"x": 5}"#).unwrap();
    let error = machine.eval(wrong.clone()).unwrap_err();
    assert!(error.contains("startswith"), "{error}");
    interpreter.set_input(wrong.clone());
    assert!(interpreter.eval_rule(ENTRYPOINT.to_owned()).is_err());

    let mut unguarded = machine.unguarded();
    unguarded.set_input(wrong);
    assert_eq!(unguarded.execute().unwrap()["allow"], Value::Bool(true), "the control");
}

/// Why other rules are interpreted: calls that the machine would let through and the interpreter does not.
#[test]
fn the_machine_takes_other_rules_in_another_way() {
    for (line, input) in [
        ("bad if 1 / input.x > 5", json!({"x": "0"})),
        ("bad if { some x in input.x; x == 1 }", json!({"x": 1})),
        ("bad if b == 1\nb := 1 if input.x\nb := 2 if input.y", json!({"x": true, "y": true})),
    ] {
        let (machine, mut interpreter) = both(&format!("{YES} if not bad\n{line}"), "{}");
        let differs = probes::say_the_same(&mut interpreter, &machine, &input).unwrap_err();
        assert!(differs.contains("the register machine says"), "{line}: {differs}");
        let served = rules(&format!("{YES} if not bad\n{line}"), "{}");
        assert!(served.eval(&input.to_string()).is_err(), "{line}");
    }
}

#[test]
fn a_machine_that_says_something_else_of_the_data_is_not_taken() {
    let of = |per_call: &str| both(SHIPPED, &DATA.replace("500", per_call));
    let (machine, mut interpreter) = of("500");
    assert_eq!(probes::same(&mut interpreter, &machine, DATA), Ok(()), "the control");
    let (other, _) = of("499");
    let differs = probes::same(&mut interpreter, &other, DATA).unwrap_err();
    assert!(differs.contains("l.adjust"), "{differs}");
}

impl Machine {
    /// One with the library's own functions.
    fn unguarded(&self) -> RegoVM {
        let mut program = (*self.program).clone();
        program.initialize_resolved_builtins().unwrap();
        let mut vm = RegoVM::new();
        vm.load_program(std::sync::Arc::new(program));
        vm
    }
}

/// What may stand anywhere in what a policy is told.
fn value() -> impl Strategy<Value = Json> {
    prop::sample::select(vec![
        Json::Null,
        json!(true),
        json!(false),
        json!(0),
        json!(-5),
        json!(99),
        json!(100),
        json!(501),
        json!(1.5),
        json!(1e300),
        json!(""),
        json!("select"),
        json!("insert"),
        json!("named"),
        json!("nowhere"),
        json!("l.query"),
        json!("l.adjust"),
        json!("l.write"),
        json!("l"),
        json!("aa"),
        json!("tools/call"),
        json!("resources/read"),
        json!("."),
        json!("sql"),
        json!([]),
        json!({}),
        json!(["l.query", "l.adjust", "l.write"]),
        json!({"class": "select"}),
        json!({"sql": {"class": "insert"}, "other": {"class": "delete"}}),
        json!([{"argument": "sql"}]),
        json!([{"argument": "cents", "origin": "named"}, {"argument": "sql", "origin": "untrusted"}]),
    ])
}

/// Places of what a policy is told, or of its data.
fn changes(
    places: &'static [&'static str],
) -> impl Strategy<Value = Vec<(&'static str, Option<Json>)>> {
    prop::collection::vec((prop::sample::select(places), prop::option::of(value())), 0..4)
}

fn change(json: &mut Json, changes: Vec<(&str, Option<Json>)>) {
    for (place, value) in changes {
        let (parent, name) = place.rsplit_once('/').unwrap();
        match (json.pointer_mut(parent), value) {
            (Some(Json::Object(members)), Some(value)) => {
                members.insert(name.to_owned(), value);
            }
            (Some(Json::Object(members)), None) => {
                members.remove(name);
            }
            _ => {}
        }
    }
}

/// A call as it may be, some of its parts replaced or left out.
fn input() -> impl Strategy<Value = Json> {
    let tools = prop::sample::select(vec!["l.query", "l.adjust", "l.write", "l.other"]);
    let places = &[
        "/identity",
        "/identity/tools",
        "/identity/prompt",
        "/call",
        "/call/method",
        "/call/tool",
        "/call/server",
        "/call/arguments",
        "/call/arguments/cents",
        "/call/sink",
        "/sql",
        "/sql/sql",
        "/sql/sql/class",
        "/sql/other",
        "/provenance",
        "/provenance/values",
        "/provenance/secret_read",
        "/prompt",
    ];
    (tools, changes(places)).prop_map(|(tool, changes)| {
        let mut input = json!({
            "identity": {"tools": ["l.query", "l.adjust", "l.write"], "prompt": "aa"},
            "call": {"method": "tools/call", "tool": tool, "server": "l", "sink": false,
                     "arguments": {"cents": 100, "sql": "SELECT 1"}},
            "sql": {"sql": {"class": "select"}, "other": {"class": "select"}},
            "provenance": {"values": [{"argument": "sql", "origin": "named"}], "secret_read": false},
            "prompt": "aa",
        });
        change(&mut input, changes);
        input
    })
}

/// The policy's data as it may be, be it such as a gateway refuses.
fn data() -> impl Strategy<Value = Json> {
    let places = &[
        "/limits",
        "/limits/per_call_cents",
        "/provenance",
        "/provenance/demand",
        "/provenance/secrets_to_sinks",
        "/servers/l",
        "/servers/l/methods",
        "/servers/l/questions",
        "/servers/l/notices",
        "/tools/l.query",
        "/tools/l.query/sql",
        "/tools/l.query/provenance",
        "/tools/l.query/provenance/sql",
        "/tools/l.adjust/amount",
        "/tools/l.adjust/approve_from_cents",
        "/tools/l.adjust/provenance",
        "/tools/l.write/sql",
        "/tools/l.write/sql_classes",
    ];
    changes(places).prop_map(|changes| {
        let mut data: Json = serde_json::from_str(DATA).unwrap();
        change(&mut data, changes);
        data
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn both_say_the_same_of_whatever_they_are_told(
        data in data(),
        inputs in prop::collection::vec(input(), 32),
    ) {
        let (machine, mut interpreter) = shipped(&data.to_string());
        let limit = ExecutionTimerConfig { limit: Duration::from_secs(2), ..time_limit() };
        interpreter.set_execution_timer_config(limit);
        let rules = served(machine);
        let machine = rules.machine.as_ref().unwrap();
        // What was said before is said again, whatever else was asked meanwhile.
        for input in inputs.iter().chain(&inputs) {
            let same = probes::say_the_same(&mut interpreter, machine, input);
            prop_assert_eq!(same, Ok(()), "{}", data);
            let text = input.to_string();
            let fresh = machine.eval(machine.reads.of_text(&text).unwrap());
            prop_assert_eq!(rules.eval(&text), fresh, "{} of {}", input, data);
        }
    }
}

/// The machine as it is served.
fn served(machine: Machine) -> Rules {
    let interpreted =
        Interpreted { template: Mutex::new(engine(&[], "{}").unwrap()), idle: Mutex::default() };
    Rules { interpreted, machine: Ok(machine), remembered: Mutex::default() }
}

/// A call of the tool `l.adjust` with so many cents, as JSON says it.
fn adjust(cents: &str) -> String {
    let call = json!({"method": "tools/call", "server": "l", "tool": "l.adjust", "sink": false});
    let mut input = json!({
        "call": call,
        "identity": {"tools": ["l.adjust"], "prompt": "aa"}, "prompt": "aa", "sql": {},
        "provenance": {"values": [], "secret_read": false},
    });
    input["call"]["arguments"] = json!({"cents": "CENTS"});
    input.to_string().replace("\"CENTS\"", cents)
}

#[test]
fn what_was_said_of_the_same_is_not_asked_for_again() {
    let rules = rules(SHIPPED, DATA);
    let asked = |text: &str| rules.eval(text).unwrap()["obligations"].clone();
    let told = |text: &str| Told::of(&rules.read().of_text(text).unwrap()).unwrap();
    let text = adjust("5");
    let known = Value::from_json_str(r#"{"obligations": "known"}"#).unwrap();
    let fresh = asked(&text);
    assert_eq!(fresh["reserve_cents"], Value::from(5), "the control");
    assert_eq!(locked(&rules.remembered).said(&told(&text)).unwrap()["obligations"], fresh);

    locked(&rules.remembered).keep(told(&text), known.clone());
    assert_eq!(asked(&text), Value::from("known"));
    let unread = text.replacen('{', "{\"time\": {\"now_ns\": 7}, ", 1);
    assert_eq!(asked(&unread), Value::from("known"), "of the clock nothing is read");
    for (other, cents) in [(adjust("6"), 6), (text.replace("\"aa\"", "\"bb\""), 5)] {
        assert_eq!(asked(&other)["reserve_cents"], Value::from(cents), "{other}");
    }
    rules.forget();
    assert_eq!(asked(&text), fresh);
}

#[test]
fn an_error_is_not_remembered_and_of_rules_that_are_interpreted_nothing_is() {
    let failing = format!("{YES} if count(input.x) > 0");
    let wrong = Value::from_json_str(r#"{"x": 5}"#).unwrap();
    let machine = served(both(&failing, "{}").0);
    assert!(machine.decide(wrong.clone()).is_err());
    assert_eq!(locked(&machine.remembered).said(&Told::of(&wrong).unwrap()), None);

    let interpreted = rules(&failing, "{}");
    let right = Value::from_json_str(r#"{"x": [5]}"#).unwrap();
    let told = Told::of(&right).unwrap();
    assert!(interpreted.decide(right.clone()).is_ok());
    assert_eq!(locked(&interpreted.remembered).said(&told), None);
    locked(&interpreted.remembered).keep(told.clone(), Value::Null);
    assert_ne!(interpreted.decide(right.clone()).unwrap(), Value::Null);

    let machine = served(both(&failing, "{}").0);
    assert!(machine.decide(right).is_ok());
    assert!(locked(&machine.remembered).said(&told).is_some(), "the control");
}

/// What a policy is told is what its text says: facts of all forms that are told, and none that is not.
#[test]
fn what_is_told_without_a_text_is_what_the_text_says() {
    #[derive(Serialize)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        PlainWord,
    }
    #[derive(Serialize)]
    struct Inner<'a> {
        kind: Kind,
        digest: crate::call::Digest,
        raw: &'a serde_json::value::RawValue,
        none: Option<u8>,
        some: Option<i64>,
        letters: Vec<char>,
        named: std::collections::BTreeMap<&'a str, u64>,
    }
    let text = r#" { "b" : [1.5e3, -0.0, 1e400000, 18446744073709551616, "\u00e9\ud83d\ude00"], "a": null } "#;
    let raw = |text: &str| serde_json::value::RawValue::from_string(text.to_owned()).unwrap();
    for text in [
        text,
        &text.replace("1e400000, ", ""),
        "{}",
        r#"{"a":1,"a":2}"#,
        "[]",
        r#""$serde_json::private::RawValue""#,
        "7",
    ] {
        let raw = raw(text);
        let facts = Inner {
            kind: Kind::PlainWord,
            digest: crate::call::Digest::of(b"x"),
            raw: &raw,
            none: None,
            some: Some(i64::MIN),
            letters: vec!['é', '"', '\0'],
            named: [("z", u64::MAX), ("", 0)].into(),
        };
        let written = serde_json::to_string(&facts).unwrap();
        for part in [Part::Whole, Part::of_shipped(&Value::Undefined)] {
            let told = value::value_of(&facts, &part);
            assert_eq!(told.ok(), part.of_text(&written).ok(), "{text}");
        }
    }
    assert!(value::value_of(&1.5, &Part::Whole).is_err(), "a number with a fraction");
    assert!(
        value::value_of(&std::collections::BTreeMap::from([(1, 2)]), &Part::Whole).is_err(),
        "a key"
    );
    assert!(value::value_of(&(1, 2), &Part::Whole).is_err(), "a tuple");
}
