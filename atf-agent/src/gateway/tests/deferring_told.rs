//! What a run is told of a deferred call while it waits for the result, and how it is told no; what SDKs write into
//! questions about one.

use std::fs;

use serde_json::{Value, json};

use super::asking::ask;
use super::client::{Client, Got};
use super::deferring_lab::{METHODS, SLOW, about, begin, policy, says, task};
use super::lab::{Lab, LabRun, Wanted, prompt};
use super::telling::{BOTH, events};
use crate::call::DeferredStatus;
use crate::wire::Told;

/// A lab whose policy lets the server tell this.
async fn lab(notices: &Value) -> (Lab, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    policy(dir.path(), &METHODS, &json!({}));
    let path = dir.path().join("data.json");
    let mut data: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    data["servers"]["files"]["notices"] = notices.clone();
    fs::write(&path, data.to_string()).unwrap();
    let policy_dir = Some(dir.path().to_owned());
    (Lab::start(Wanted { policy_dir, ..Wanted::default() }).await, dir)
}

async fn asks(run: &LabRun, method: &str, id: &str, accept: &str) -> Got {
    let message =
        json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": {"taskId": id}}).to_string();
    let (token, prompt) = (format!("Bearer {}", run.token), prompt().to_string());
    let headers =
        [("authorization", token.as_str()), ("atf-prompt-sha256", &prompt), ("accept", accept)];
    Client::connect(&run.socket).await.post(&message, &headers).await.unwrap()
}

fn status(status: DeferredStatus, message: &str) -> Told {
    Told::Status { status, message: Some(message.to_owned()) }
}

/// What the server tells in this module.
fn half() -> Vec<Told> {
    vec![
        status(DeferredStatus::Working, "theirs is half done"),
        status(DeferredStatus::InputRequired, "hid\u{200b}den"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_waits_is_told_how_far_its_call_is_under_its_own_name() {
    let (lab, _dir) = lab(&json!(["notifications/tasks/status"])).await;
    let run = lab.run(&[SLOW]);
    let id = begin(&lab, &run, "theirs").await;
    *lab.executor.tells.lock().unwrap() = half();
    says(&lab, &json!({"content": []}));
    let got = asks(&run, "tasks/result", &id, BOTH).await;
    assert!(!got.body.contains("theirs"), "the server's name stays here: {got:?}");
    let events = events(&got);
    assert_eq!(events.len(), 3, "{got:?}");
    let of = |n: usize, what: &str| events[n]["params"][what].clone();
    for n in [0, 1] {
        assert_eq!(events[n]["method"], "notifications/tasks/status");
        assert_eq!(of(n, "taskId"), id.as_str());
        assert!(of(n, "createdAt").is_string() && of(n, "ttl").is_number(), "{got:?}");
    }
    let message = json!(format!("{id} is half done"));
    assert_eq!((of(0, "status"), of(0, "statusMessage")), (json!("working"), message));
    // What is not seen is not told.
    assert_eq!((of(1, "status"), of(1, "statusMessage")), (json!("input_required"), json!(null)));
    assert_eq!(events[2]["result"]["content"], json!([]));
}

/// Each row lacks one thing. The executor's double tells all the same, as one that fell would.
#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_wait_or_may_not_be_told_is_told_nothing() {
    let all = json!(["notifications/tasks/status"]);
    let others = json!(["notifications/progress", "notifications/message"]);
    for (what, notices, method, accept, is_told) in [
        ("the control", &all, "tasks/result", BOTH, true),
        ("no policy", &others, "tasks/result", BOTH, false),
        ("it asks how far it is", &all, "tasks/get", BOTH, false),
        ("one message", &all, "tasks/result", "application/json", false),
    ] {
        let (lab, _dir) = lab(notices).await;
        let run = lab.run(&[SLOW]);
        let id = begin(&lab, &run, "theirs").await;
        *lab.executor.tells.lock().unwrap() = half();
        says(&lab, &json!({"content": [], "taskId": "theirs", "status": "working"}));
        let got = asks(&run, method, &id, accept).await;
        assert_eq!(got.body.contains("notifications/tasks/status"), is_told, "{what}: {got:?}");
        assert!(got.body.contains("\"result\""), "{what}: {got:?}");
        let act = lab.executor.acts.lock().unwrap().pop().expect("an act");
        assert_eq!(act.permit.may_tell.status, is_told, "{what}");
    }
}

/// To one who awaits a promise a tool's result is none: its client would know neither the reason nor that it is one.
/// The control is the same call by one who awaits a result.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_call_that_was_to_be_deferred_is_an_error_in_the_same_words() {
    let (lab, _dir) = lab(&json!([])).await;
    let run = lab.run(&[SLOW]);
    let call = |more: Value| {
        let mut params = json!({"name": SLOW, "arguments": {"n": 99}});
        params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        params.to_string()
    };
    let now = ask(&run, ("tools/call", &call(json!({})))).await.json();
    let text = now["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{now}"));
    assert!(text.starts_with("refused: "), "{now}");
    let later = ask(&run, ("tools/call", &call(json!({"task": {}})))).await.json();
    let error =
        json!({"code": -32600, "message": text, "data": now["result"]["structuredContent"]});
    assert_eq!((&later["error"], later.get("result")), (&error, None), "{later}");
}

/// SDKs repeat what they wrote into the call. The control is a member that nobody knows.
#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_is_to_be_deferred_itself_is_answered_at_once() {
    let (lab, _dir) = lab(&json!([])).await;
    let run = lab.run(&[SLOW]);
    let id = begin(&lab, &run, "theirs").await;
    says(&lab, &task("theirs", "working"));
    let plain = about(&run, "get", &id).await.json();
    let with = |member: &str| json!({"taskId": id, member: {"ttl": 5}}).to_string();
    let got = ask(&run, ("tasks/get", &with("task"))).await.json();
    assert_eq!(
        (&got["result"]["taskId"], &got["result"]["status"]),
        (&json!(id), &json!("working"))
    );
    assert_eq!(got, plain);
    let act = lab.executor.acts.lock().unwrap().pop().expect("an act");
    assert_eq!(act.arguments, r#"{"taskId":"theirs"}"#, "no word of it reaches the server");
    let got = ask(&run, ("tasks/get", &with("tusk"))).await.json();
    assert!(got["error"].is_object(), "{got}");
}
