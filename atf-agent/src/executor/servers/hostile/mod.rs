//! Servers that lie, flood, stall and die, on both ends of a real stream. Beside each stands an honest
//! answer, so that a row that proves nothing fails.

mod asking;
mod changing;
mod deferring;
pub(super) mod lab;
mod stateless;
mod subscribing;
mod telling;

use std::sync::atomic::Ordering;

use serde_json::json;
use tokio::sync::oneshot;

use super::session::Ended;
use crate::call::Question;
use lab::{Lab, TOOL, bounds, word};

#[tokio::test]
async fn answers_find_their_calls_in_any_order() {
    let mut lab = Lab::greeted(bounds(5_000, 8)).await;
    let first = lab.call("first").await;
    let (one, second) = (lab.hear().await, lab.call("second").await);
    let two = lab.hear().await;
    assert_ne!(one["id"], two["id"]);
    lab.answer(&two, &json!({"of": "second"})).await;
    lab.answer(&one, &json!({"of": "first"})).await;
    assert_eq!(word(first.await.unwrap()), "first");
    assert_eq!(word(second.await.unwrap()), "second");
    lab.control().await;
}

/// Each row is said between a call and its honest answer; the call gets the honest one.
#[tokio::test]
async fn what_is_no_answer_to_the_call_is_passed_over() {
    for row in [
        &br#"{"jsonrpc":"2.0","id":999,"result":{"of":"evil"}}"#[..],
        br#"{"jsonrpc":"2.0","id":0,"result":{"of":"evil"}}"#,
        br#"{"jsonrpc":"2.0","id":1,"result":{"of":"evil"}}"#,
        br#"{"jsonrpc":"2.0","id":"ID","result":{"of":"evil"}}"#,
        br#"{"jsonrpc":"2.0","id":ID.0,"result":{"of":"evil"}}"#,
        br#"{"jsonrpc":"2.0","id":null,"result":{"of":"evil"}}"#,
        br#"{"jsonrpc":"2.0","id":ID,"id":ID,"result":{"of":"evil"}}"#,
        br#"{"jsonrpc":"1.0","id":ID,"result":{"of":"evil"}}"#,
        br#"[{"jsonrpc":"2.0","id":ID,"result":{"of":"evil"}}]"#,
        br#"{"jsonrpc":"2.0","id":ID,"method":"x","result":{"of":"evil"}}"#,
        br#"{"jsonrpc":"2.0","id":ID,"result":{"of":"ev"#,
        b"\xff\xfe{\"jsonrpc\":\"2.0\",\"id\":ID,\"result\":{\"of\":\"evil\"}}",
        b"{\"jsonrpc\":\"2.0\",\"id\":ID,\"result\":{\"of\":\"\xc3\x28\"}}",
        br#"{"jsonrpc":"2.0","method":"notifications/progress","params":{}}"#,
        b"Secure MCP server running on stdio",
        b"",
    ] {
        let mut lab = Lab::greeted(bounds(5_000, 8)).await;
        let given = lab.call("asked").await;
        let asked = lab.hear().await;
        let id = asked["id"].to_string();
        let line = replace(row, b"ID", id.as_bytes());
        lab.say(&[line.as_slice(), b"\n"].concat()).await;
        lab.answer(&asked, &json!({"of": "honest"})).await;
        let found = word(given.await.unwrap());
        assert_eq!(found, "honest", "{}", String::from_utf8_lossy(row));
        lab.control().await;
    }
}

fn replace(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at..].starts_with(from) {
            out.extend_from_slice(to);
            at += from.len();
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    out
}

#[tokio::test]
async fn a_second_answer_reaches_nobody() {
    let mut lab = Lab::greeted(bounds(5_000, 8)).await;
    let first = lab.call("first").await;
    let one = lab.hear().await;
    lab.answer(&one, &json!({"of": "first"})).await;
    lab.answer(&one, &json!({"of": "again"})).await;
    assert_eq!(word(first.await.unwrap()), "first");
    let second = lab.call("second").await;
    let two = lab.hear().await;
    lab.answer(&one, &json!({"of": "again"})).await;
    lab.answer(&two, &json!({"of": "second"})).await;
    assert_eq!(word(second.await.unwrap()), "second");
}

#[tokio::test]
async fn an_answer_that_contradicts_itself_is_unknown_and_an_error_is_the_tool_s() {
    for (row, expected) in [
        (
            r#""error":{"code":-32602,"message":"no \u202e such"}"#,
            "error -32602: no \\\\u{202e} such",
        ),
        (r#""result":{},"error":{"code":1,"message":"m"}"#, "unknown"),
        (r#""error":{"message":"m"}"#, "unknown"),
        (r#""error":"m""#, "unknown"),
        (r#""extra":1"#, "unknown"),
    ] {
        let mut lab = Lab::greeted(bounds(5_000, 8)).await;
        let given = lab.call("asked").await;
        let id = lab.hear().await["id"].clone();
        lab.say(format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},{row}}}\n").as_bytes()).await;
        let found = word(given.await.unwrap());
        assert!(found.contains(expected), "{row}: {found}");
        lab.control().await;
    }
}

#[tokio::test]
async fn a_server_s_own_requests_are_refused_and_a_ping_is_answered() {
    let mut lab = Lab::greeted(bounds(5_000, 8)).await;
    // The call that is under way might be asked: but nothing says that it is the one.
    let (give, _under_way) = oneshot::channel();
    let mut call = lab.made("asked", give);
    (call.questions, call.asks_by_request) = (Question::ALL.into(), true);
    assert!(lab.calls.send(call).await.is_ok());
    assert_eq!(lab.hear().await["method"], "tools/call");
    for (method, code) in [
        ("sampling/createMessage", Some(-32601)),
        ("elicitation/create", Some(-32601)),
        ("roots/list", Some(-32601)),
        ("ping", None),
    ] {
        let asked = json!({"jsonrpc": "2.0", "id": "of-the-server", "method": method});
        lab.say(format!("{asked}\n").as_bytes()).await;
        let answered = lab.hear().await;
        assert_eq!(answered["id"], "of-the-server");
        assert_eq!(answered["error"]["code"].as_i64(), code, "{method}: {answered}");
        assert_eq!(answered["result"].is_object(), code.is_none());
    }
    assert!(lab.told.lock().unwrap().is_empty());
    lab.control().await;
}

#[tokio::test]
async fn a_call_that_is_not_answered_in_time_is_unknown_and_the_server_is_told() {
    let mut lab = Lab::greeted(bounds(300, 8)).await;
    let given = lab.call("slow").await;
    let asked = lab.hear().await;
    assert!(word(given.await.unwrap()).starts_with("unknown: the server fixture did not answer"));
    let told = lab.hear().await;
    assert_eq!(told["method"], "notifications/cancelled");
    assert_eq!(told["params"]["requestId"], asked["id"]);
    lab.answer(&asked, &json!({"of": "late"})).await;
    lab.control().await;
}

#[tokio::test]
async fn floods_and_lines_without_end_end_the_server_and_leave_the_call_unknown() {
    let told = b"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\"}\n".to_vec();
    let stray = b"{\"jsonrpc\":\"2.0\",\"id\":77,\"result\":{}}\n".to_vec();
    for (line, times, ended) in [
        (told.clone(), 9_000, None),
        (told, 10_000, Some(Ended::Flood)),
        (stray, 10_000, Some(Ended::Flood)),
        (b"what?\n".to_vec(), 99, None),
        (b"what?\n".to_vec(), 100, Some(Ended::Gibberish)),
        (vec![b'x'; 1 << 20], 3, None),
        (vec![b'x'; 1 << 20], 100, Some(Ended::Endless)),
    ] {
        let mut lab = Lab::greeted(bounds(30_000, 8)).await;
        let given = lab.call("asked").await;
        let asked = lab.hear().await;
        for _ in 0..times {
            lab.say(&line).await;
        }
        match ended {
            // The line of no message has to end before the honest one.
            None => {
                lab.say(b"\n").await;
                lab.answer(&asked, &json!({"of": "honest"})).await;
                assert_eq!(word(given.await.unwrap()), "honest", "{times} times is borne");
            }
            Some(ended) => {
                assert_eq!(lab.life.await.unwrap(), ended);
                assert!(word(given.await.unwrap()).starts_with("unknown"), "{ended:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_server_that_dies_leaves_what_it_heard_unknown() {
    let mut lab = Lab::greeted(bounds(5_000, 1)).await;
    let (heard, waits) = (lab.call("heard").await, lab.call("waits").await);
    let asked = lab.hear().await;
    let half = json!({"jsonrpc": "2.0", "id": asked["id"], "result": {"of": "half"}}).to_string();
    // A whole message, but for the end of its line.
    lab.say(half.as_bytes()).await;
    drop((lab.says, lab.hears));
    assert_eq!(lab.life.await.unwrap(), Ended::Closed);
    assert!(word(heard.await.unwrap()).starts_with("unknown"));
    // The one that the server never heard of stays with the keeper; here it goes with the test's end.
    drop(waits);
}

#[tokio::test]
async fn a_server_that_does_not_read_is_busy() {
    let mut lab = Lab::silent(bounds(2_000, 1_024), 1_024);
    let asked = lab.hear().await;
    lab.answer(&asked, &json!({"protocolVersion": "2024-11-05"})).await;
    assert_eq!(lab.hear().await["method"], "notifications/initialized");
    lab.list(TOOL).await;
    let mut all = Vec::new();
    for _ in 0..100 {
        all.push(lab.call(&"x".repeat(200)).await);
    }
    let mut words = Vec::new();
    for given in all {
        words.push(word(given.await.unwrap()));
    }
    let busy = words.iter().filter(|word| word.starts_with("refused")).count();
    let unknown = words.iter().filter(|word| word.starts_with("unknown")).count();
    assert!(busy > 20 && unknown > 20 && busy + unknown == 100, "{busy} {unknown}");
}

#[tokio::test]
async fn a_call_whose_permit_or_run_ends_while_it_waits_is_not_done() {
    for (what, expected) in [(0, "expired"), (1, "sealed")] {
        let mut lab = Lab::greeted(bounds(5_000, 1)).await;
        lab.control().await;
        let first = lab.call("first").await;
        let one = lab.hear().await;
        let second = lab.call("second").await;
        let flag = if what == 0 { &lab.expired } else { &lab.sealed };
        flag.store(true, Ordering::SeqCst);
        lab.answer(&one, &json!({"of": "first"})).await;
        // The one under way was done; of a sealed run, what came of it stays here.
        let first = word(first.await.unwrap());
        assert!(first.contains(if what == 0 { "first" } else { "unknown" }), "{first}");
        let second = word(second.await.unwrap());
        assert!(second.starts_with("refused") && second.contains(expected), "{second}");
        lab.sealed.store(false, Ordering::SeqCst);
        lab.expired.store(false, Ordering::SeqCst);
        // The server has not heard of the second: the next that it hears is the control.
        lab.control().await;
    }
}

#[tokio::test]
async fn without_a_handshake_there_is_no_call() {
    for (body, fine) in [
        (json!({"result": {"protocolVersion": "2025-06-18"}}), true),
        (json!({"result": {"protocolVersion": "2026-07-28"}}), false),
        (json!({"result": {"protocolVersion": "1.0"}}), false),
        (json!({"result": {}}), false),
        (json!({"result": "2025-06-18"}), false),
        (json!({"error": {"code": -32601, "message": "method not found"}}), false),
    ] {
        let mut lab = Lab::silent(bounds(5_000, 8), 64 << 10);
        let asked = lab.hear().await;
        let mut message = json!({"jsonrpc": "2.0", "id": asked["id"]});
        message.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        lab.say(format!("{message}\n").as_bytes()).await;
        if fine {
            assert_eq!(lab.hear().await["method"], "notifications/initialized");
            lab.list(TOOL).await;
            lab.control().await;
        } else {
            let ended = lab.life.await.unwrap();
            assert!(matches!(ended, Ended::Handshake(_)), "{body}: {ended:?}");
        }
    }
}
