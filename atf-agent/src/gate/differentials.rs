//! What parsers read differently, as rows with a verdict, and then random messages: whatever the strict
//! reader takes, other parsers must read alike from the bytes that go on. The others are those of the
//! peers that a call meets: `serde_json`, Python's `json` and JavaScript's `JSON.parse`.

#![allow(clippy::too_many_lines, reason = "a table of vectors is one test")]

use std::io::Write as _;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use super::{Limits, Message, Received, Stated};

const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"ledger.query","arguments":{"n":1}}}"#;

/// Random messages of one test.
const MESSAGES: usize = 4_000;

/// Prints, for each line of base64, what it reads of the message, or `null` when it refuses it.
const PYTHON: &str = r#"
import base64, json, sys
for line in sys.stdin:
    try:
        m = json.loads(base64.b64decode(line))
    except Exception:
        print("null")
        continue
    p = m.get("params") if isinstance(m, dict) else None
    p = p if isinstance(p, dict) else {}
    said = [m.get("method"), m.get("id"), p.get("name"), p.get("arguments")] if isinstance(m, dict) else [m]
    try:
        print(json.dumps(said))
    except RecursionError:
        print("[]")
"#;
const JAVASCRIPT: &str = r#"
const text = require("fs").readFileSync(0, "latin1");
for (const line of text.split("\n").filter((line) => line)) {
  let said = null;
  try {
    const m = JSON.parse(Buffer.from(line, "base64").toString("utf8"));
    const p = (m && m.params) || {};
    said = Array.isArray(m) || m === null || typeof m !== "object" ? [m] : [m.method, m.id, p.name, p.arguments];
  } catch {}
  console.log(JSON.stringify(said));
}
"#;

/// A parser that a call may meet.
struct Peer {
    program: &'static str,
    arguments: [&'static str; 2],
}

const PEERS: [Peer; 2] = [
    Peer { program: "python3", arguments: ["-c", PYTHON] },
    Peer { program: "node", arguments: ["-e", JAVASCRIPT] },
];

impl Peer {
    /// What it makes of each message: a line. `None` when the program is not here: the comparison
    /// with it then proves nothing, says so, and fails in CI.
    fn reads(&self, messages: &[Vec<u8>]) -> Option<Vec<String>> {
        let mut command = Command::new(self.program);
        command.args(self.arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let Ok(mut child) = command.spawn() else {
            eprintln!("{} is missing: what it reads was not compared", self.program);
            assert!(std::env::var_os("CI").is_none(), "{} is missing in CI", self.program);
            return None;
        };
        let mut to = child.stdin.take().unwrap();
        let lines: String = messages.iter().map(|bytes| STANDARD.encode(bytes) + "\n").collect();
        let writing = std::thread::spawn(move || to.write_all(lines.as_bytes()));
        let output = child.wait_with_output().unwrap();
        writing.join().unwrap().unwrap();
        assert!(output.status.success(), "{}: {}", self.program, output.status);
        let lines: Vec<_> =
            String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
        assert_eq!(lines.len(), messages.len(), "{}", self.program);
        Some(lines)
    }
}

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
    let python =
        PEERS[0].reads(&rows.iter().map(|(_, bytes, ..)| bytes.clone()).collect::<Vec<_>>());
    for (at, (name, bytes, code, is_read)) in rows.iter().enumerate() {
        let reply = Received::reply(bytes, &limits, &Stated::default());
        assert_eq!(reply.map(|reply| reply.code.number()), *code, "{name}");
        if let Some(python) = &python {
            assert_eq!(python[at] != "null", *is_read, "{name}: python says {}", python[at]);
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

/// The same value to everybody: numbers by what they are, not by how they are kept.
fn alike(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => match (a.as_i64(), b.as_i64()) {
            (Some(a), Some(b)) => a == b,
            _ => a.as_f64() == b.as_f64(),
        },
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| alike(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| alike(a, b)))
        }
        _ => a == b,
    }
}

#[test]
fn what_is_taken_is_read_alike_by_all() {
    let (mut runner, strategy) = (TestRunner::deterministic(), message());
    let (mut taken, mut ours, mut refused) = (Vec::new(), Vec::new(), 0);
    for _ in 0..MESSAGES {
        let text = strategy.new_tree(&mut runner).unwrap().current();
        let read = Received::read(text.as_bytes(), &Limits::default(), &Stated::default());
        let Ok(Message::Request(received)) = read else {
            refused += 1;
            continue;
        };
        let call = received.tool_call().expect("a tool call");
        let forwarded = call.arguments().get();
        let arguments: Value = serde_json::from_str(forwarded).expect("JSON");
        let said =
            json!([received.method().as_str(), received.id(), call.name().as_str(), arguments]);
        let whole: Value = serde_json::from_str(&text).expect("JSON");
        let theirs = json!([
            whole["method"],
            whole["id"],
            whole["params"]["name"],
            whole["params"]["arguments"]
        ]);
        assert!(alike(&said, &theirs), "{text}: serde_json reads {theirs}");
        // What goes on is a message built anew around the bytes that were judged.
        let rebuilt = format!(
            r#"{{"jsonrpc":"2.0","id":{},"method":"tools/call","params":{{"name":{},"arguments":{forwarded}}}}}"#,
            json!(received.id()),
            json!(call.name()),
        );
        taken.push(rebuilt.into_bytes());
        ours.push((said, text));
    }
    // Both happen, or the test would prove nothing.
    assert!(taken.len() > MESSAGES / 10 && refused > MESSAGES / 10, "{} taken", taken.len());
    for peer in &PEERS {
        let Some(lines) = peer.reads(&taken) else { continue };
        for (line, (said, text)) in lines.iter().zip(&ours) {
            let theirs: Value = serde_json::from_str(line).expect("JSON");
            assert!(alike(said, &theirs), "{text}: {} reads {theirs}", peer.program);
        }
    }
}

/// The control of the comparison: peers do differ where the strict reader says no.
#[test]
fn the_comparison_can_fail() {
    let twice = call("\"n\":1", "\"n\":1,\"n\":2");
    let exact = call("\"n\":1", "\"n\":9007199254740993");
    for peer in &PEERS {
        let Some(lines) = peer.reads(&[twice.clone(), exact.clone()]) else { continue };
        let argument = |line: &str| serde_json::from_str::<Value>(line).unwrap()[3]["n"].clone();
        assert_eq!(argument(&lines[0]), json!(2), "{}: the last one wins", peer.program);
        let rounds = argument(&lines[1]) == json!(9_007_199_254_740_992_u64);
        assert_eq!(rounds, peer.program == "node", "{}", peer.program);
        assert!(!alike(&json!({"n": 1}), &json!({"n": 2})));
    }
}
