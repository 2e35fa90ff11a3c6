//! What a server tells while it works on a call: to that call's run alone, by its own token, when the policy
//! lets it; and what becomes of a call whose caller has gone.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use super::client::{ADJUST, Client, Got, tool_call};
use super::doubles::Mood;
use super::lab::{Lab, LabRun, Wanted};
use crate::audit::{Event, Notified};
use crate::call::Level;
use crate::wire::{MayTell, Told};

const REVISION: &str = "2026-07-28";

/// A lab whose policy lets the servers tell `notices`.
async fn lab(notices: Value) -> Lab {
    let servers = json!({"ledger": {"notices": notices}});
    Lab::start(Wanted { servers: Some(servers), ..Wanted::default() }).await
}

fn both() -> Value {
    json!(["notifications/progress", "notifications/message"])
}

fn progress(done: u64) -> Told {
    Told::Progress { progress: done.into(), total: Some(100.into()), message: None }
}

fn log(data: &str) -> Told {
    Told::Log { level: Level::Info, logger: None, data: json!(data) }
}

/// A call with these members of `_meta` besides those of its revision.
fn call(is_stateless: bool, more: &Value) -> String {
    let arguments = json!({"entry_id": 1, "amount_cents": 1, "reason": "r"});
    let mut message: Value = serde_json::from_str(&tool_call(ADJUST, &arguments)).unwrap();
    let meta = message["params"]["_meta"].as_object_mut().unwrap();
    if is_stateless {
        let of = |name: &str| format!("io.modelcontextprotocol/{name}");
        meta.insert(of("protocolVersion"), json!(REVISION));
        meta.insert(of("clientCapabilities"), json!({}));
    }
    meta.extend(more.as_object().unwrap().clone());
    message.to_string()
}

fn wants() -> Value {
    json!({"progressToken": "p-1", "io.modelcontextprotocol/logLevel": "info"})
}

async fn posted(run: &LabRun, message: &str, accept: &str) -> Got {
    let bearer = format!("Bearer {}", run.token);
    let is_stateless = message.contains(REVISION);
    let revision = if is_stateless { REVISION } else { "2025-11-25" };
    let headers = [
        ("authorization", bearer.as_str()),
        ("accept", accept),
        ("mcp-protocol-version", revision),
        ("mcp-method", "tools/call"),
        ("mcp-name", ADJUST),
    ];
    Client::connect(&run.socket).await.post(message, &headers).await.unwrap()
}

/// What a client of the SDKs accepts.
pub(super) const BOTH: &str = "application/json, text/event-stream";

/// The messages of a stream.
#[track_caller]
pub(super) fn events(got: &Got) -> Vec<Value> {
    assert_eq!(got.header("content-type"), "text/event-stream", "{got:?}");
    let data =
        got.body.split("\n\n").filter_map(|event| event.split_once("event: message\ndata: "));
    data.map(|(_, text)| serde_json::from_str(text).unwrap()).collect()
}

fn notified(lab: &Lab) -> Option<Notified> {
    lab.events().into_iter().rev().find_map(|event| match event {
        Event::Settled { told, .. } => Some(told),
        _ => None,
    })?
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_told_by_its_own_token_before_the_answer_and_the_log_has_it() {
    for is_stateless in [true, false] {
        let lab = lab(both()).await;
        let run = lab.run(&[ADJUST]);
        *lab.executor.tells.lock().unwrap() = vec![progress(0), log("half"), progress(100)];
        *lab.executor.result.lock().unwrap() = "{\"content\":\r\n[]}".to_owned();
        let got = posted(&run, &call(is_stateless, &wants()), BOTH).await;
        assert_eq!((got.status, got.header("x-accel-buffering")), (200, "no"));
        let events = events(&got);
        assert_eq!(events.len(), 4, "{got:?}");
        assert_eq!(events[0]["method"], "notifications/progress");
        let params = json!({"progressToken": "p-1", "progress": 0, "total": 100});
        assert_eq!(events[0]["params"], params);
        assert_eq!(events[1]["params"], json!({"level": "info", "data": "half"}));
        assert_eq!((&events[3]["id"], &events[3]["result"]["content"]), (&json!(7), &json!([])));
        let act = lab.executor.acts.lock().unwrap().pop().expect("an act");
        // With a handshake the level is the session's, and there is none.
        let level = is_stateless.then_some(Level::Info);
        assert_eq!(act.permit.may_tell, MayTell { progress: true, level, status: false });
        let told = notified(&lab).expect("a record");
        let bytes: usize = events[..3].iter().map(|event| event.to_string().len()).sum();
        assert_eq!((told.told, told.lost, told.bytes), (3, 0, bytes as u64));
    }
}

/// Each row lacks one thing. The executor's double tells all the same, as one that fell would.
#[tokio::test(flavor = "multi_thread")]
async fn who_did_not_ask_or_may_not_be_told_is_told_nothing() {
    let token = json!({"progressToken": 7});
    let nothing = MayTell::default();
    let of_progress = MayTell { progress: true, ..nothing };
    for (what, notices, wants, accept, may_tell) in [
        ("the control", both(), token.clone(), BOTH, of_progress),
        ("no policy", json!([]), token.clone(), BOTH, nothing),
        ("another notice", json!(["notifications/message"]), token.clone(), BOTH, nothing),
        ("no token", both(), json!({}), BOTH, nothing),
        ("one message", both(), token.clone(), "application/json", nothing),
        ("anything", both(), token.clone(), "*/*", nothing),
        ("no stream", both(), token, "application/json, text/event-stream;q=0", nothing),
    ] {
        let lab = lab(notices).await;
        let run = lab.run(&[ADJUST]);
        *lab.executor.tells.lock().unwrap() = vec![progress(1)];
        let got = posted(&run, &call(true, &wants), accept).await;
        let act = lab.executor.acts.lock().unwrap().pop().expect("an act");
        assert_eq!(act.permit.may_tell, may_tell, "{what}");
        if may_tell == nothing {
            assert_eq!(got.header("content-type"), "application/json", "{what}: {got:?}");
            assert_eq!(got.json()["result"]["content"][0]["text"], "3 rows", "{what}");
            assert_eq!(notified(&lab), None, "{what}");
        } else {
            assert_eq!(events(&got).len(), 2, "{what}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_could_not_be_given_back_is_refused() {
    let lab = lab(both()).await;
    let long = "x".repeat(129);
    for token in [json!(null), json!(1.5), json!({}), json!([1]), json!(true), json!(long)] {
        let run = lab.run(&[ADJUST]);
        let got = posted(&run, &call(true, &json!({ "progressToken": token })), BOTH).await;
        assert_eq!((got.status, &got.json()["error"]["code"]), (400, &json!(-32_602)), "{token}");
    }
    for variant in ["ProgressToken", "io.modelcontextprotocol/loglevel"] {
        let run = lab.run(&[ADJUST]);
        let got = posted(&run, &call(true, &json!({ variant: "info" })), BOTH).await;
        assert_eq!(got.json()["error"]["code"], -32_602, "{variant}");
    }
    assert!(lab.executor.acts.lock().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_is_not_seen_is_lost_and_a_finding_and_so_is_what_is_too_much() {
    let lab = lab(both()).await;
    let run = lab.run(&[ADJUST]);
    *lab.executor.tells.lock().unwrap() = vec![log("seen"), log("not \u{202e} seen")];
    let got = posted(&run, &call(true, &wants()), BOTH).await;
    assert_eq!(events(&got).len(), 2, "{got:?}");
    let told = notified(&lab).expect("a record");
    assert_eq!((told.told, told.lost), (1, 1));
    let is_finding = |event: &Event| matches!(event, Event::Finding { name, .. } if name == "notice.hidden_text");
    assert_eq!(lab.events().iter().filter(|event| is_finding(event)).count(), 1);

    // A quarter of what the result may have, at most; and it counts as the result does.
    let long = "x".repeat(4_000);
    *lab.executor.tells.lock().unwrap() = vec![log(&long); 100];
    let got = posted(&run, &call(true, &wants()), BOTH).await;
    let told = notified(&lab).expect("a record");
    let quarter = lab.gateway.settings.result_bytes_max as u64 / 4;
    assert!(told.bytes <= quarter && told.bytes > quarter - 5_000, "{told:?}");
    assert_eq!(told.told + told.lost, 100);
    assert_eq!(events(&got).len() as u64, told.told + 1, "and the answer");
}

/// The attack: a run wants to be told all, and reads nothing.
#[tokio::test(flavor = "multi_thread")]
async fn one_that_does_not_read_holds_up_nobody() {
    let lab = lab(both()).await;
    let (slow, quick) = (lab.run(&[ADJUST]), lab.run(&[ADJUST]));
    *lab.executor.tells.lock().unwrap() = vec![log(&"x".repeat(2_000)); 200];
    let message = call(false, &wants());
    let mut streams = Vec::new();
    for _ in 0..8 {
        let mut stream = UnixStream::connect(&slow.socket).await.unwrap();
        let head = format!(
            "POST /mcp HTTP/1.1\r\nhost: atf\r\ncontent-type: application/json\r\naccept: {BOTH}\r\n\
             authorization: Bearer {}\r\ncontent-length: {}\r\n\r\n",
            slow.token,
            message.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(message.as_bytes()).await.unwrap();
        streams.push(stream);
    }
    lab.until("its calls end", |lab| (lab.outcomes().len() == 8).then_some(())).await;
    let got = posted(&quick, &call(true, &wants()), BOTH).await;
    assert_eq!(events(&got).last().unwrap()["id"], 7);
    // The control: its answers are there when it reads.
    let (mut all, mut stream) = (vec![0; 1 << 20], streams.pop().unwrap());
    let mut read = 0;
    while !String::from_utf8_lossy(&all[..read]).contains("3 rows") {
        let more = tokio::time::timeout(Duration::from_secs(10), stream.read(&mut all[read..]));
        read += more.await.unwrap().unwrap();
    }
}

/// Hanging up means that nobody wants the call any more in the stateless revision, and nothing before it.
/// It is made and recorded in either.
#[tokio::test(flavor = "multi_thread")]
async fn who_hangs_up_cancels_in_the_stateless_revision_alone() {
    for (is_stateless, by_lines, tells) in [
        (true, false, true),
        (true, false, false),
        (true, true, false),
        (false, false, true),
        (false, false, false),
        (false, true, false),
    ] {
        let what = format!("stateless {is_stateless}, lines {by_lines}, tells {tells}");
        let lab = lab(both()).await;
        let run = lab.run(&[ADJUST]);
        lab.executor.mood.set(Mood::Waits);
        if tells {
            *lab.executor.tells.lock().unwrap() = vec![progress(1)];
        }
        let message = call(is_stateless, &wants());
        let revision = if is_stateless { REVISION } else { "2025-11-25" };
        let door = if by_lines { &run.lines } else { &run.socket };
        let said = match by_lines {
            true => format!("Authorization: Bearer {}\n{message}\n", run.token),
            false => format!(
                "POST /mcp HTTP/1.1\r\nhost: atf\r\ncontent-type: application/json\r\naccept: {BOTH}\r\n\
                 mcp-protocol-version: {revision}\r\nmcp-method: tools/call\r\nmcp-name: {ADJUST}\r\n\
                 authorization: Bearer {}\r\ncontent-length: {}\r\n\r\n{message}",
                run.token,
                message.len()
            ),
        };
        let mut stream = UnixStream::connect(door).await.unwrap();
        stream.write_all(said.as_bytes()).await.unwrap();
        let acts = |lab: &Lab| lab.executor.acts.lock().unwrap().pop();
        let act = lab.until(&what, acts).await;
        if tells {
            let mut some = [0; 4_096];
            assert!(stream.read(&mut some).await.unwrap() > 0, "{what}: the stream has begun");
        }
        assert!(lab.executor.cancelled.lock().unwrap().is_empty(), "{what}: the control");
        drop(stream);
        if is_stateless {
            let cancelled = |lab: &Lab| lab.executor.cancelled.lock().unwrap().pop();
            assert_eq!(lab.until(&what, cancelled).await, act.permit.decision, "{what}");
        } else {
            tokio::time::sleep(Duration::from_millis(200)).await;
            assert!(lab.executor.cancelled.lock().unwrap().is_empty(), "{what}");
        }
        lab.executor.mood.set(Mood::Works);
        lab.until(&what, |lab| (lab.outcomes().len() == 1).then_some(())).await;
    }
}
