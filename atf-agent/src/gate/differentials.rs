//! What parsers read differently, as rows with a verdict, and then random messages: whatever the strict
//! reader takes, other parsers must read alike from the bytes that go on. The others are those of the
//! peers that a call meets: `serde_json`, Python's `json` and JavaScript's `JSON.parse`.

#![allow(clippy::too_many_lines, reason = "a table of vectors is one test")]

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::json;

use super::promises::messages::Messages;
use super::promises::peers::{Peer, alike};
use super::{Limits, Received, Stated};

const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"ledger.query","arguments":{"n":1}}}"#;

/// Random messages of one test.
const MESSAGES: usize = 4_000;

/// One vector: its name, its bytes, how it is answered (`None`: it is read), and whether Python's `json`
/// reads it: the control, which shows that a parser on the way would take it.
type Row = (&'static str, Vec<u8>, Option<i32>, bool);

fn call(from: &str, to: &str) -> Vec<u8> {
    assert!(CALL.contains(from), "{from}");
    CALL.replacen(from, to, 1).into_bytes()
}

fn rows() -> Vec<Row> {
    let argument = |value: &str| call("\"n\":1", &format!("\"n\":{value}"));
    let id = |value: &str| call("\"id\":1", &format!("\"id\":{value}"));
    let nested = |n: usize| argument(&format!("{}1{}", "[".repeat(n), "]".repeat(n)));
    let bytes = |from: &[u8], to: &[u8]| {
        let at = CALL.as_bytes().windows(from.len()).position(|part| part == from).unwrap();
        [&CALL.as_bytes()[..at], to, &CALL.as_bytes()[at + from.len()..]].concat()
    };
    let utf16: Vec<u8> = CALL.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let (parse, request, method, params) =
        (Some(-32_700), Some(-32_600), Some(-32_601), Some(-32_602));
    vec![
        ("an honest call", CALL.into(), None, true),
        ("an id twice", call("\"id\":1", "\"id\":1,\"id\":2"), parse, true),
        ("a method twice", call("\"method\":", "\"method\":\"ping\",\"method\":"), parse, true),
        ("params twice", call("\"params\":", "\"params\":{},\"params\":"), parse, true),
        ("a name twice", call("\"name\":", "\"name\":\"x\",\"name\":"), parse, true),
        ("arguments twice", call("\"arguments\":", "\"arguments\":{},\"arguments\":"), parse, true),
        ("an argument twice", call("\"n\":1", "\"n\":1,\"n\":2"), parse, true),
        (
            "a name twice, once escaped",
            call("\"name\":", "\"n\\u0061me\":\"x\",\"name\":"),
            parse,
            true,
        ),
        ("an argument twice, deep down", argument("[{\"a\":{\"b\":1,\"b\":2}}]"), parse, true),
        ("a method in another case", call("\"method\":", "\"Method\":"), request, true),
        (
            "a method twice, in two cases",
            call("\"method\":", "\"METHOD\":\"ping\",\"method\":"),
            request,
            true,
        ),
        ("a name in another case", call("\"name\":", "\"Name\":"), params, true),
        ("a name twice, in two cases", call("\"name\":", "\"Name\":\"x\",\"name\":"), params, true),
        (
            "arguments with a long s",
            call("\"arguments\":", "\"argument\u{17f}\":{},\"arguments\":"),
            params,
            true,
        ),
        ("an argument in two cases, which are two", call("\"n\":1", "\"n\":1,\"N\":2"), None, true),
        ("2^53", argument("9007199254740992"), None, true),
        ("2^53 + 1", argument("9007199254740993"), parse, true),
        ("2^64", argument("18446744073709551616"), parse, true),
        ("30 digits", argument("100000000000000000000000000000"), parse, true),
        ("1E400", argument("1E400"), parse, true),
        ("1e-400", argument("1e-400"), parse, true),
        ("-0", argument("-0"), parse, true),
        ("more digits than a double has", argument("0.10000000000000000001"), parse, true),
        ("NaN", argument("NaN"), parse, true),
        ("Infinity", argument("Infinity"), parse, true),
        ("-Infinity", argument("-Infinity"), parse, true),
        ("a lone surrogate", argument("\"\\ud800\""), parse, true),
        ("a reversed pair", argument("\"\\udc00\\ud800\""), parse, true),
        ("a pair", argument("\"\\ud83d\\ude00\""), None, true),
        ("a surrogate in bytes", bytes(b"1}", b"\"\xed\xa0\x80\"}"), parse, true),
        ("no UTF-8", bytes(b"1}", b"\"\xff\"}"), parse, false),
        ("an overlong slash", bytes(b"1}", b"\"\xc0\xaf\"}"), parse, false),
        ("a byte order mark", format!("\u{feff}{CALL}").into(), parse, true),
        ("UTF-16", utf16, parse, true),
        ("60 deep", nested(60), None, true),
        ("200 deep", nested(200), parse, true),
        ("5000 deep", nested(5_000), parse, false),
        ("a batch", format!("[{CALL}]").into(), request, true),
        ("a batch of two", format!("[{CALL},{CALL}]").into(), request, true),
        ("id null", id("null"), request, true),
        ("id true", id("true"), request, true),
        ("id 1.0", id("1.0"), request, true),
        ("id 1.5", id("1.5"), request, true),
        ("id {}", id("{}"), request, true),
        ("id 2^53 + 2, which doubles hold", id("9007199254740994"), request, true),
        ("id above 2^64", id("18446744073709551616"), parse, true),
        ("no id", call("\"id\":1,", ""), request, true),
        ("a request and a result", call("\"id\":1", "\"id\":1,\"result\":{}"), request, true),
        ("a request and an error", call("\"id\":1", "\"id\":1,\"error\":null"), request, true),
        ("__proto__ at the top", call("\"id\":1", "\"id\":1,\"__proto__\":{}"), parse, true),
        ("__proto__ in params", call("\"name\":", "\"__proto__\":{},\"name\":"), parse, true),
        // The SDK in TypeScript drops it, so that a tool would get other arguments than were judged.
        ("__proto__ in arguments", argument("1,\"__proto__\":{}"), parse, true),
        ("a name with a null byte", argument("1,\"n\\u0000\":{}"), parse, true),
        ("__proto__ as a text", argument("\"__proto__\""), None, true),
        // Rust's most used reader takes the object for what the text says.
        (
            "arguments in a text under a private name",
            call("{\"n\":1}", "{\"$serde_json::private::RawValue\":\"{\\\"n\\\":1}\"}"),
            parse,
            true,
        ),
        (
            "an argument in a text under a private name",
            argument("{\"$serde_json::private::Number\":\"1\"}"),
            parse,
            true,
        ),
        ("more at the top", call("\"id\":1", "\"id\":1,\"meta\":{}"), request, true),
        ("more in params", call("\"name\":", "\"tasks\":{},\"name\":"), params, true),
        ("arguments in a string", call("{\"n\":1}", "\"{}\""), params, true),
        ("arguments in a list", call("{\"n\":1}", "[1]"), params, true),
        ("a method with a null byte", call("tools/call", "tools/call\\u0000"), method, true),
        ("a method with a look-alike", call("tools/call", "tools/c\u{430}ll"), method, true),
        ("two messages", format!("{CALL}{CALL}").into(), parse, false),
        ("a comment", format!("// x\n{CALL}").into(), parse, false),
        ("a comma too many", call("\"n\":1", "\"n\":1,"), parse, false),
    ]
}

#[test]
fn each_vector_has_its_verdict_and_its_control() {
    let rows = rows();
    let limits = Limits::default();
    let mut peers = Peer::all();
    let mut python = peers.iter_mut().find(|peer| peer.name() == "python3");
    for (name, bytes, code, is_read) in &rows {
        let reply = Received::reply(bytes, &limits, &Stated::default());
        assert_eq!(reply.map(|reply| reply.code.number()), *code, "{name}");
        if let Some(python) = &mut python {
            let said = python.reads(bytes);
            assert_eq!(!said.is_null(), *is_read, "{name}: python says {said}");
        }
    }
}

/// Random JSON text, much of it with what parsers differ on.
fn text() -> impl Strategy<Value = String> {
    let number = prop_oneof![
        4 => (-100_i64..100).prop_map(|n| n.to_string()),
        2 => any::<i64>().prop_map(|n| n.to_string()),
        2 => any::<f64>().prop_filter("finite", |n| n.is_finite()).prop_map(|n| format!("{n:e}")),
        2 => "-?(0|[1-9][0-9]{0,18})(\\.[0-9]{1,18})?([eE][+-]?[0-9]{1,3})?",
        1 => prop_oneof![Just("NaN"), Just("-0"), Just("-0.0"), Just("1E400"), Just("01"), Just("1.")]
            .prop_map(str::to_owned),
    ];
    let string = prop_oneof![
        4 => "[a-z ]{0,6}",
        2 => "(\\\\u[0-9a-f]{4}|\\\\[\"\\\\/bfnrt]|[a-zé😀]){0,4}",
        1 => prop_oneof![
            Just("\\ud83d\\ude00"), Just("\\ud800"), Just("\\x"), Just("\t"), Just("\u{2028}"),
            Just("\u{fffd}"), Just("\\u0000"),
        ]
        .prop_map(str::to_owned),
    ]
    .prop_map(|inner| format!("\"{inner}\""));
    let name = prop_oneof![
        Just("\"a\""),
        Just("\"b\""),
        Just("\"A\""),
        Just("\"\\u0061\""),
        Just("\"__proto__\""),
        Just("\"$serde_json::private::RawValue\""),
        Just("\"$serde_json::private::Number\""),
        Just("\"\""),
        Just("\"1\""),
        Just("\"constructor\""),
    ];
    let space =
        prop_oneof![8 => Just(""), 1 => Just(" "), 1 => Just("\r\n\t"), 1 => Just("\u{a0}")];
    let word = prop_oneof![Just("true"), Just("false"), Just("null")].prop_map(str::to_owned);
    let leaf = prop_oneof![3 => number, 3 => string, 1 => word];
    let comma = prop_oneof![30 => Just(","), 1 => Just(",,"), 1 => Just("")];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        let member = (name.clone(), space.clone(), inner.clone())
            .prop_map(|(name, space, value)| format!("{name}{space}:{value}"));
        let object = (proptest::collection::vec(member, 0..4), comma.clone(), space.clone())
            .prop_map(|(members, comma, space)| format!("{{{space}{}}}", members.join(comma)));
        let array = (proptest::collection::vec(inner, 0..4), comma.clone(), space.clone())
            .prop_map(|(items, comma, space)| format!("[{}{space}]", items.join(comma)));
        prop_oneof![3 => object, 1 => array]
    })
}

/// A message whose id, name and arguments are random.
fn message() -> impl Strategy<Value = String> {
    let id = prop_oneof![6 => Just("1".to_owned()), 1 => "\"[a-z]{0,4}\"", 1 => text()];
    let name = prop_oneof![6 => Just("\"ledger.query\"".to_owned()), 1 => text()];
    let arguments =
        proptest::collection::vec((prop_oneof![Just("a"), Just("b"), Just("c")], text()), 0..3)
            .prop_map(|all| {
                let members: Vec<_> =
                    all.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
                format!("{{{}}}", members.join(","))
            });
    (id, name, arguments).prop_map(|(id, name, arguments)| {
        format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":{name},"arguments":{arguments}}}}}"#
        )
    })
}

#[test]
fn what_is_taken_is_read_alike_by_all() {
    let (mut runner, strategy) = (TestRunner::deterministic(), message());
    let mut messages = Messages::with_peers();
    let mut taken = 0;
    for _ in 0..MESSAGES {
        let text = strategy.new_tree(&mut runner).unwrap().current();
        taken += usize::from(messages.keep(text.as_bytes()));
    }
    // Both happen, or the test would prove nothing.
    assert!(taken > MESSAGES / 10 && taken < MESSAGES - MESSAGES / 10, "{taken} taken");
}

/// The control of the comparison: peers do differ where the strict reader says no.
#[test]
fn the_comparison_can_fail() {
    let twice = call("\"n\":1", "\"n\":1,\"n\":2");
    let exact = call("\"n\":1", "\"n\":9007199254740993");
    for mut peer in Peer::all() {
        let mut argument = |message: &[u8]| peer.reads(message)[3]["n"].clone();
        let (last, rounded) = (argument(&twice), argument(&exact));
        assert_eq!(last, json!(2), "{}: the last one wins", peer.name());
        let rounds = rounded == json!(9_007_199_254_740_992_u64);
        assert_eq!(rounds, peer.name() == "node", "{}", peer.name());
        assert!(!alike(&json!({"n": 1}), &json!({"n": 2})));
        let said = |n: i64| json!(["tools/call", 1, "ledger.query", {"n": n}]);
        let rounded = peer.agrees(&said(9_007_199_254_740_993), &exact);
        assert_eq!(rounded.is_err(), peer.name() == "node", "{}", peer.name());
    }
}
