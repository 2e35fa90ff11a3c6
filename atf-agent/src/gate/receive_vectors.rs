//! Messages that peers read differently, as rows against honest ones.

#![allow(clippy::too_many_lines, reason = "a table of vectors is one test")]

use super::promises::messages::{CALL, HONEST};
use super::{Id, Limits, Message, Received, Reply, Stated};
use crate::call::{Reason, Step};

pub(super) const LIMITS: Limits = Limits { body_bytes_max: 256 << 10 };

/// The call with this in its `task`.
fn task(json: &str) -> String {
    CALL.replacen("\"name\":", &format!("\"task\":{json},\"name\":"), 1)
}

/// A question about a deferred call.
fn about(method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tasks/{method}","params":{{{params}}}}}"#)
}

pub(super) fn read(json: &[u8]) -> Result<Message, crate::call::Refusal> {
    Received::read(json, &LIMITS, &Stated::default())
}

pub(super) fn reply(json: &[u8], limits: &Limits) -> Option<Reply> {
    Received::reply(json, limits, &Stated::default())
}

fn request(json: &str) -> Received {
    match read(json.as_bytes()) {
        Ok(Message::Request(received)) => received,
        other => panic!("{json}: {other:?}"),
    }
}

/// `None`: it is read. `Some(code)`: it is refused and answered so.
fn check(json: &[u8], expected: Option<i32>) {
    let shown = String::from_utf8_lossy(&json[..json.len().min(200)]).into_owned();
    let found = read(json);
    if let Err(refusal) = &found {
        assert_eq!(refusal.step, Step::Receive, "{shown}");
    }
    let reply = reply(json, &LIMITS);
    assert_eq!(found.is_err(), reply.is_some(), "{shown}");
    let code = reply.map(|reply| reply.code.number());
    assert_eq!(code, expected, "{shown}: {found:?}");
}

#[test]
fn honest_messages_are_read() {
    let tasks = [
        task("{}"),
        task("{\"ttl\":1}"),
        task("{\"ttl\":9007199254740992}"),
        task("{\"ttl\":null}"),
        about("get", "\"taskId\":\"x\""),
        about("result", "\"taskId\":\"\""),
        about("cancel", "\"taskId\":\"x\",\"_meta\":{}"),
        about("list", ""),
    ];
    for json in HONEST.iter().copied().chain(tasks.iter().map(String::as_str)) {
        check(json.as_bytes(), None);
    }
}

/// The attack: a megabyte of numbers where nobody looks, in a `ping` that nobody counts.
#[test]
fn a_message_costs_no_more_than_its_limits() {
    let with_meta = |method: &str, more: &str, meta: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{{more}"_meta":{{"x":{meta}}}}}}}"#
        )
    };
    let call = |meta: &str| with_meta("tools/call", r#""name":"x","#, meta);
    let numbers = |n: usize| format!("[{}]", vec!["1"; n].join(","));
    let text = |n: usize| format!("\"{}\"", "x".repeat(n));
    let large = Limits { body_bytes_max: 1 << 20 };
    for (what, json, code) in [
        ("the control", with_meta("ping", "", &numbers(100)), None),
        (
            "the attack, under the former limit",
            with_meta("ping", "", &numbers(250_000)),
            Some(-32700),
        ),
        ("a long ping", with_meta("ping", "", &text(17 << 10)), Some(-32600)),
        ("a long list", with_meta("tools/list", "", &text(17 << 10)), Some(-32600)),
        ("a long method that nobody knows", with_meta("x", "", &text(17 << 10)), Some(-32600)),
        ("a ping of 15 KiB", with_meta("ping", "", &text(15 << 10)), None),
        ("a call of 200 KiB", call(&text(200 << 10)), None),
        ("a call of many values", call(&numbers(19_000)), None),
        ("a call of too many", call(&numbers(20_000)), Some(-32700)),
    ] {
        let found = reply(json.as_bytes(), &large).map(|reply| reply.code.number());
        assert_eq!(found, code, "{what}");
    }
    let attack = with_meta("ping", "", &numbers(250_000));
    assert!(read(attack.as_bytes()).is_err(), "by its length alone");
    let notification = format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"x":{}}}}}"#,
        text(17 << 10)
    );
    assert_eq!(reply(notification.as_bytes(), &LIMITS).map(|r| r.code.number()), Some(-32600));
}

#[test]
fn a_message_that_peers_may_read_differently_is_refused() {
    let call = |from: &str, to: &str| {
        assert!(CALL.contains(from), "{from}");
        CALL.replacen(from, to, 1)
    };
    let deep = |n: usize| call("\"SELECT 1\"", &format!("{}1{}", "[".repeat(n), "]".repeat(n)));
    check(deep(61).as_bytes(), None);
    for (json, code) in [
        // Not JSON that all read alike.
        (String::new(), -32700),
        (call("\"id\":1", "\"id\":1,\"id\":1"), -32700),
        (call("\"id\":1", "\"id\":1,\"\\u0069d\":2"), -32700),
        (call("\"method\":", "\"method\":\"ping\",\"method\":"), -32700),
        (call("\"name\":", "\"name\":\"other\",\"name\":"), -32700),
        (call("\"sql\":", "\"sql\":\"a\",\"s\\u0071l\":"), -32700),
        (deep(62), -32700),
        (deep(100_000), -32700),
        (call("\"SELECT 1\"", "9007199254740993"), -32700),
        (call("\"SELECT 1\"", "1E400"), -32700),
        (call("\"SELECT 1\"", "NaN"), -32700),
        (call("\"SELECT 1\"", "-Infinity"), -32700),
        (call("\"SELECT 1\"", "100000000000000000000000000000"), -32700),
        (call("SELECT 1", "\\ud800"), -32700),
        (call("SELECT 1", "\\udc00\\ud800"), -32700),
        (format!("\u{feff}{CALL}"), -32700),
        (format!("{CALL}{CALL}"), -32700),
        (format!("{CALL}\0"), -32700),
        // JSON, and no single message.
        (format!("[{CALL}]"), -32600),
        ("[]".to_owned(), -32600),
        ("\"ping\"".to_owned(), -32600),
        (r#"["2.0",1,"ping"]"#.to_owned(), -32600),
        (call("\"2.0\"", "\"2.1\""), -32600),
        (call("\"2.0\"", "2.0"), -32600),
        (call("\"2.0\"", "null"), -32600),
        (call("\"jsonrpc\":\"2.0\",", ""), -32600),
        (call("\"method\":\"tools/call\",", ""), -32600),
        (call("\"method\":\"tools/call\"", "\"method\":null"), -32600),
        (call("\"tools/call\"", "[\"tools/call\"]"), -32600),
        (call("\"method\"", "\"Method\""), -32600),
        (call("\"id\":1", "\"id\":1,\"Method\":\"ping\""), -32600),
        (call("\"id\":1", "\"id\":1,\"ID\":2"), -32600),
        (call("\"id\":1", "\"id\":1,\"extra\":2"), -32600),
        (call("\"id\":1", "\"id\":1,\"result\":{}"), -32600),
        (call("\"id\":1", "\"id\":1,\"error\":null"), -32600),
        (r#"{"jsonrpc":"2.0","id":1,"result":{}}"#.to_owned(), -32600),
        (r#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"x"}}"#.to_owned(), -32600),
        // No id that is one.
        (call("\"id\":1", "\"id\":null"), -32600),
        (call("\"id\":1", "\"id\":true"), -32600),
        (call("\"id\":1", "\"id\":1.0"), -32600),
        (call("\"id\":1", "\"id\":1.5"), -32600),
        (call("\"id\":1", "\"id\":1e2"), -32600),
        (call("\"id\":1", "\"id\":{}"), -32600),
        (call("\"id\":1", "\"id\":[1]"), -32600),
        (call("\"id\":1", "\"id\":9007199254740994"), -32600),
        (call("\"id\":1", &format!("\"id\":\"{}\"", "x".repeat(129))), -32600),
        (call("\"id\":1,", ""), -32600),
        (r#"{"jsonrpc":"2.0","method":"ping"}"#.to_owned(), -32600),
        (r#"{"jsonrpc":"2.0","method":"notifications/message"}"#.to_owned(), -32600),
        (r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":[1]}"#.to_owned(), -32600),
        // No method that is known.
        (call("tools/call", "Tools/Call"), -32601),
        (call("tools/call", "tools/call "), -32601),
        (call("tools/call", "tools/cаll"), -32601),
        (call("tools/call", "tools/call\\u0000"), -32601),
        (call("tools/call", "resources/watch"), -32601),
        (r#"{"jsonrpc":"2.0","id":1,"method":"notifications/initialized"}"#.to_owned(), -32601),
        // Parameters that are none.
        (call("\"params\":{", "\"Params\":{"), -32600),
        (call("\"name\"", "\"Name\""), -32602),
        (call("\"name\":", "\"Name\":\"other\",\"name\":"), -32602),
        (call("\"name\":", "\"_Meta\":{},\"name\":"), -32602),
        (call("\"arguments\"", "\"argument\u{17f}\""), -32602),
        (call("\"name\":", "\"tasks\":{},\"name\":"), -32602),
        (call("\"name\":", "\"Task\":{},\"name\":"), -32602),
        (task("null"), -32602),
        (task("1"), -32602),
        (task("[]"), -32602),
        (task("{\"more\":1}"), -32602),
        (task("{\"ttl\":0}"), -32602),
        (task("{\"ttl\":-1}"), -32602),
        (task("{\"ttl\":1.5}"), -32602),
        (task("{\"ttl\":1e3}"), -32602),
        (task("{\"ttl\":9007199254740994}"), -32602),
        (task("{\"ttl\":\"1000\"}"), -32602),
        (task("{\"ttl\":true}"), -32602),
        (task("{\"ttl\":[1]}"), -32602),
        (about("get", ""), -32602),
        (about("get", "\"taskId\":7"), -32602),
        (about("get", "\"taskId\":null"), -32602),
        (about("get", "\"taskid\":\"x\""), -32602),
        (about("get", "\"taskId\":\"x\",\"more\":1"), -32602),
        (about("get", "\"taskId\":\"x\",\"inputResponses\":{}"), -32602),
        (about("get", &format!("\"taskId\":\"{}\"", "x".repeat(129))), -32602),
        (about("result", "\"taskId\":[\"x\"]"), -32602),
        (about("cancel", "\"taskId\":{}"), -32602),
        (about("update", "\"taskId\":\"x\",\"inputResponses\":{}"), -32601),
        (call("\"name\":\"ledger.query\",", ""), -32602),
        (call("\"ledger.query\"", "7"), -32602),
        (call("\"ledger.query\"", "\"ledger query\""), -32602),
        (call("\"ledger.query\"", "\"\""), -32602),
        (call("{\"sql\":\"SELECT 1\"}", "null"), -32602),
        (call("{\"sql\":\"SELECT 1\"}", "[]"), -32602),
        (call("{\"sql\":\"SELECT 1\"}", "\"{}\""), -32602),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/call"}"#.to_owned(), -32602),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":null}"#.to_owned(), -32602),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":["ledger.query",{}]}"#
                .to_owned(),
            -32602,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"Cursor":"x"}}"#.to_owned(),
            -32602,
        ),
        (r#"{"jsonrpc":"2.0","id":1,"method":"initialize"}"#.to_owned(), -32602),
        (r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}"#.to_owned(), -32602),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":1}}"#
                .to_owned(),
            -32602,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","ProtocolVersion":"2024-11-05"}}"#
                .to_owned(),
            -32602,
        ),
        (call("\"name\":", "\"_meta\":[],\"name\":"), -32602),
        (call("\"name\":", "\"_meta\":{\"io.atf/promptSha256\":7},\"name\":"), -32602),
        (call("\"name\":", "\"_meta\":{\"io.atf/promptSha256\":null},\"name\":"), -32602),
        (call("\"name\":", "\"_meta\":{\"io.atf/promptsha256\":\"a\"},\"name\":"), -32602),
    ] {
        check(json.as_bytes(), Some(code));
    }
    for bytes in
        [&b"\xff"[..], b"{\"a\":\"\xc3\x28\"}", b"{\"a\":\"\xed\xa0\x80\"}", b"\xff\xfe{\0}\0"]
    {
        check(bytes, Some(-32700));
    }
    let long = call("SELECT 1", &"x".repeat(LIMITS.body_bytes_max));
    check(long.as_bytes(), Some(-32600));
}

#[test]
fn the_arguments_go_on_byte_for_byte() {
    for arguments in [r#"{ "sql" : "SELECT\u0020 1" , "n":1.50 }"#, "{\n\t\"b\":1,\"a\":[ ]}", "{}"]
    {
        let json = CALL.replacen(r#"{"sql":"SELECT 1"}"#, arguments, 1);
        let received = request(&json);
        assert_eq!(received.tool_call().unwrap().arguments().get(), arguments);
    }
    let none = request(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x"}}"#);
    assert_eq!(none.tool_call().unwrap().arguments().get(), "{}");
}

#[test]
fn a_refused_message_is_answered_with_its_id_when_it_has_one() {
    for (json, id) in [
        (r#"{"jsonrpc":"2.0","id":"a","method":"x"}"#, Some(Id::Text("a".to_owned()))),
        (r#"{"jsonrpc":"2.0","id":7,"method":"tools/call"}"#, Some(Id::Number(7))),
        (r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, None),
        (r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#, None),
    ] {
        let reply = reply(json.as_bytes(), &LIMITS);
        assert!(matches!(reply, Some(Reply { id: found, .. }) if found == id), "{json}");
    }
}

#[test]
fn a_prompt_digest_is_claimed_once_or_twice_alike() {
    let (a, b) = ("a".repeat(64), "b".repeat(64));
    let with_meta = |digest: &str| {
        let meta = format!("\"_meta\":{{\"io.atf/promptSha256\":\"{digest}\"}},\"name\":");
        CALL.replacen("\"name\":", &meta, 1)
    };
    for (meta, header, expected) in [
        (None, None, Ok(None)),
        (Some(&a), None, Ok(Some(&a))),
        (None, Some(&a), Ok(Some(&a))),
        (Some(&a), Some(&a), Ok(Some(&a))),
        (Some(&a), Some(&b), Err(Reason::PromptDigest)),
        (None, Some(&"A".repeat(64)), Err(Reason::PromptDigest)),
        (None, Some(&String::new()), Err(Reason::PromptDigest)),
    ] {
        let json = meta.map_or(CALL.to_owned(), |digest| with_meta(digest));
        let found = request(&json)
            .with_prompt_header(header.map(String::as_str))
            .map(|received| received.prompt().map(|digest| digest.to_string()))
            .map_err(|refusal| refusal.reason);
        assert_eq!(found, expected.map(|digest| digest.cloned()), "{meta:?} {header:?}");
    }
    let refusal = read(with_meta("abc").as_bytes()).err().map(|refusal| refusal.reason);
    assert_eq!(refusal, Some(Reason::PromptDigest));
}
