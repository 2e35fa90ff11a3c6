//! Calls that a server answers later: what it is asked, by which revision, and what of it reaches nobody.

use std::sync::Arc;

use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::{Lab, TOOL, bounds, word};
use crate::call::{Deferral, Deferred, DeferredStatus, Question, Target};
use crate::executor::servers::Call;
use crate::executor::servers::bounds::Bounds;
use crate::gate::{Era, STATELESS, TASKS};
use crate::wire::{Answers, ExecutorReply, MayDefer, MayTell, Told};

/// What a server of 2025-11-25 says that defers calls.
fn says_so() -> Value {
    json!({"tools": {}, "tasks": {"requests": {"tools": {"call": {}}}}})
}

/// A server that is spoken with in this way, and says this of itself.
async fn lab(era: Era, capabilities: &Value) -> Lab {
    let mut lab = Lab::silent(Bounds { era, ..bounds(5_000, 8) }, 64 << 10);
    let asked = lab.hear().await;
    match era {
        Era::Handshake => {
            let said = json!({"protocolVersion": "2025-11-25", "capabilities": capabilities});
            lab.answer(&asked, &said).await;
            assert_eq!(lab.hear().await["method"], "notifications/initialized");
        }
        Era::Stateless => {
            let said = json!({"supportedVersions": [STATELESS], "capabilities": capabilities});
            lab.answer(&asked, &said).await;
            assert_eq!(lab.hear().await["method"], "subscriptions/listen");
        }
    }
    lab.list(TOOL).await;
    lab
}

/// Makes the honest call with a change.
async fn call(lab: &Lab, change: impl FnOnce(&mut Call)) -> oneshot::Receiver<ExecutorReply> {
    let (give, given) = oneshot::channel();
    let mut call = lab.made("x", give);
    change(&mut call);
    assert!(lab.calls.send(call).await.is_ok());
    given
}

/// What is asked of the call that the server calls `theirs`.
fn about(asks: Deferral) -> impl FnOnce(&mut Call) {
    about_of(asks, "theirs")
}

fn about_of(asks: Deferral, task: &'static str) -> impl FnOnce(&mut Call) {
    move |call| {
        let tool = "fixture.echo".parse().unwrap();
        call.target = Target::Deferred(Deferred { tool, asks });
        call.arguments = RawValue::from_string(json!({ "taskId": task }).to_string()).unwrap();
    }
}

#[tokio::test]
async fn a_server_with_a_handshake_is_asked_as_that_revision_has_it() {
    let mut lab = lab(Era::Handshake, &says_so()).await;
    let given = call(&lab, |call| call.defers = Some(MayDefer::Asked { ttl_ms: 7_000 })).await;
    let asked = lab.hear().await;
    let expected = json!({"name": "echo", "arguments": {"text": "x"}, "task": {"ttl": 7_000}});
    assert_eq!((&asked["method"], &asked["params"]), (&json!("tools/call"), &expected));
    lab.answer(&asked, &json!({"task": {}, "of": "begun"})).await;
    assert_eq!(word(given.await.unwrap()), "begun");
    for (asks, method) in [
        (Deferral::Get, "tasks/get"),
        (Deferral::Result, "tasks/result"),
        (Deferral::Cancel, "tasks/cancel"),
    ] {
        let given = call(&lab, about(asks)).await;
        let asked = lab.hear().await;
        assert_eq!(asked["method"], method);
        assert_eq!(asked["params"], json!({"taskId": "theirs"}));
        lab.answer(&asked, &json!({"of": method})).await;
        assert_eq!(word(given.await.unwrap()), method);
    }
    let refused = word(call(&lab, about(Deferral::Update)).await.await.unwrap());
    assert!(refused.starts_with("refused: ") && refused.contains("defers"), "{refused}");
    lab.control().await;
}

#[tokio::test]
async fn a_server_that_does_not_say_so_is_not_asked_to_defer() {
    for capabilities in [
        json!({"tools": {}}),
        json!({"tools": {}, "tasks": {}}),
        json!({"tools": {}, "tasks": {"requests": {"tools": {}}}}),
        json!({"tools": {}, "tasks": {"requests": {"sampling": {"createMessage": {}}}}}),
    ] {
        let mut lab = lab(Era::Handshake, &capabilities).await;
        let asked = |call: &mut Call| call.defers = Some(MayDefer::Asked { ttl_ms: 1 });
        let refused = word(call(&lab, asked).await.await.unwrap());
        assert!(refused.contains("defers"), "{capabilities}: {refused}");
        let refused = word(call(&lab, about(Deferral::Result)).await.await.unwrap());
        assert!(refused.contains("defers"), "{capabilities}: {refused}");
        lab.control().await;
    }
    // What the other revision leaves to the server is a plain call here.
    let mut lab = lab(Era::Handshake, &says_so()).await;
    let given = call(&lab, |call| call.defers = Some(MayDefer::Allowed)).await;
    let asked = lab.hear().await;
    assert_eq!(asked["params"], json!({"name": "echo", "arguments": {"text": "x"}}));
    lab.answer(&asked, &json!({"of": "now"})).await;
    assert_eq!(word(given.await.unwrap()), "now");
}

#[tokio::test]
async fn a_server_without_a_handshake_is_told_whether_promises_are_taken() {
    let mut lab = lab(Era::Stateless, &json!({"tools": {}})).await;
    let can = |asked: &Value| {
        asked["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"].clone()
    };
    let given = call(&lab, |_| {}).await;
    let asked = lab.hear().await;
    assert_eq!(can(&asked), json!({}), "the control");
    lab.answer(&asked, &json!({"of": "now"})).await;
    assert_eq!(word(given.await.unwrap()), "now");

    let given = call(&lab, |call| call.defers = Some(MayDefer::Allowed)).await;
    let asked = lab.hear().await;
    assert_eq!(can(&asked), json!({"extensions": {TASKS: {}}}));
    assert_eq!(asked["params"]["task"], Value::Null);
    lab.answer(&asked, &json!({"resultType": "task", "of": "begun"})).await;
    assert_eq!(word(given.await.unwrap()), "begun");

    let responses = r#"{"k":{ "n":1e2}}"#.to_owned();
    let responses = RawValue::from_string(responses).unwrap();
    for (asks, answers) in [
        (Deferral::Get, None),
        (Deferral::Cancel, None),
        (Deferral::Update, Some(Answers { responses: Some(responses), state: None })),
    ] {
        let answered = answers.is_some();
        let given = call(&lab, |call| {
            about(asks)(call);
            call.questions = [Question::Elicitation].into();
            call.answers = answers.map(Box::new);
        });
        let given = given.await;
        let asked = lab.hear().await;
        assert_eq!(asked["method"], asks.method());
        assert_eq!(asked["params"]["taskId"], "theirs");
        assert_eq!(can(&asked), json!({"elicitation": {}, "extensions": {TASKS: {}}}));
        assert_eq!(asked["params"]["inputResponses"].is_object(), answered, "{asked}");
        lab.answer(&asked, &json!({"of": asks.method()})).await;
        assert_eq!(word(given.await.unwrap()), asks.method());
    }
    for refused in [
        call(&lab, about(Deferral::Result)).await,
        call(&lab, |call| call.defers = Some(MayDefer::Asked { ttl_ms: 1 })).await,
    ] {
        let refused = word(refused.await.unwrap());
        assert!(refused.contains("defers"), "{refused}");
    }
}

/// The attacks: the tool is another one when its result is asked for; the run is sealed, or the permit has run out.
#[tokio::test]
async fn what_stands_no_more_is_not_asked_about() {
    let mut lab = lab(Era::Handshake, &says_so()).await;
    let given = call(&lab, about(Deferral::Result)).await;
    let asked = lab.hear().await;
    lab.sealed.store(true, std::sync::atomic::Ordering::SeqCst);
    lab.answer(&asked, &json!({"of": "a secret"})).await;
    let sealed = word(given.await.unwrap());
    assert!(sealed.starts_with("unknown: answered, but"), "{sealed}");
    let sealed = word(call(&lab, about(Deferral::Get)).await.await.unwrap());
    assert!(sealed.starts_with("refused: "), "{sealed}");
    lab.sealed.store(false, std::sync::atomic::Ordering::SeqCst);
    lab.control().await;
    lab.say(b"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/tools/list_changed\"}\n").await;
    lab.list(&TOOL.replace(
        "\"inputSchema\"",
        "\"execution\":{\"taskSupport\":\"optional\"},\"inputSchema\"",
    ))
    .await;
    for asks in [Deferral::Get, Deferral::Result, Deferral::Cancel] {
        let withheld = word(call(&lab, about(asks)).await.await.unwrap());
        assert!(withheld.contains("changed it"), "{withheld}");
    }
}

/// The attack: a server tells of a deferred call unasked, of another run's or of none.
#[tokio::test]
async fn the_status_of_a_deferred_call_is_told_to_nobody_unasked() {
    let mut lab = lab(Era::Handshake, &says_so()).await;
    lab.may_tell.progress = true;
    let given = call(&lab, about(Deferral::Get)).await;
    let asked = lab.hear().await;
    for task in ["theirs", "another", "1"] {
        let params = json!({"taskId": task, "status": "completed", "progressToken": task});
        let told =
            json!({"jsonrpc": "2.0", "method": "notifications/tasks/status", "params": params});
        lab.say(format!("{told}\n").as_bytes()).await;
    }
    let progress = json!({"progressToken": asked["id"], "progress": 1});
    let told = json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": progress});
    lab.say(format!("{told}\n").as_bytes()).await;
    lab.answer(&asked, &json!({"of": "asked"})).await;
    assert_eq!(word(given.await.unwrap()), "asked");
    assert_eq!(lab.told.lock().unwrap().len(), 1, "the control: its progress");
}

/// The attacks: a server tells a run of another run's deferred call, of one that is near it in name, of one for which
/// nobody waits, and when it is too late.
#[tokio::test]
async fn the_status_of_a_deferred_call_is_told_to_who_waits_for_that_one_alone() {
    let mut lab = lab(Era::Handshake, &says_so()).await;
    let mut waiting = Vec::new();
    for (task, status) in [("a", true), ("b", true), ("silent", false)] {
        lab.may_tell = MayTell { status, ..MayTell::default() };
        lab.told = Arc::default();
        let given = call(&lab, about_of(Deferral::Result, task)).await;
        waiting.push((given, lab.hear().await, Arc::clone(&lab.told)));
    }
    for task in ["b", "a ", "A", "", "ab", "silent", "nobody's"] {
        let params = json!({"taskId": task, "status": "working", "statusMessage": "so far"});
        lab.tell("notifications/tasks/status", &params).await;
    }
    let (status, message) = (DeferredStatus::Working, Some("so far".to_owned()));
    let told_to_b = Told::Status { status, message };
    for ((given, asked, told), expected) in waiting.into_iter().zip([0, 1, 0]) {
        lab.answer(&asked, &json!({"of": "done"})).await;
        assert_eq!(word(given.await.unwrap()), "done");
        let late = json!({"taskId": asked["params"]["taskId"], "status": "completed"});
        lab.tell("notifications/tasks/status", &late).await;
        lab.control().await;
        let told = told.lock().unwrap();
        assert_eq!(*told, vec![told_to_b.clone(); expected], "{asked}");
    }
}
