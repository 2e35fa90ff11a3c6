//! Calls that are answered later, as 2026-07-28 has them: the server decides, and its answers, its results and its
//! questions come by `tasks/get`.

use serde_json::{Value, json};

use super::client::{Got, said};
use super::deferring_lab::{MUST, SLOW, acts, lab, last, says};
use super::lab::{Lab, LabRun};
use crate::audit::Verdict;
use crate::gate::TASKS;
use crate::wire::MayDefer;

/// A client that knows of deferred calls and answers forms.
fn knows() -> Value {
    json!({"elicitation": {}, "extensions": {TASKS: {}}})
}

fn call(tool: &str) -> Value {
    json!({"name": tool, "arguments": {"n": 1}})
}

/// What a server says of its deferred call.
fn task(kind: &str, id: &str, status: &str, more: Value) -> Value {
    let mut task = json!({"resultType": kind, "taskId": id, "status": status, "ttlMs": null,
        "createdAt": "x", "lastUpdatedAt": "x"});
    task.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    task
}

async fn begin(lab: &Lab, run: &LabRun, id: &str) -> String {
    says(lab, &task("task", id, "working", json!({"requestState": "theirs", "more": 1})));
    let got = said(run, "tools/call", &knows(), call(SLOW)).await.json();
    let result = &got["result"];
    assert_eq!(result["resultType"], "task", "{got}");
    let names: Vec<_> = result.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = ["createdAt", "lastUpdatedAt", "resultType", "status", "taskId", "ttlMs"];
    assert_eq!(names, expected, "nothing else of the server's");
    result["taskId"].as_str().unwrap().to_owned()
}

async fn about(run: &LabRun, method: &str, id: &str) -> Got {
    said(run, &format!("tasks/{method}"), &knows(), json!({"taskId": id})).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_defers_and_its_run_asks_until_there_is_a_result() {
    let (lab, _dir) = lab().await;
    let run = lab.run(&[SLOW]);
    let id = begin(&lab, &run, "theirs").await;
    let act = lab.executor.acts.lock().unwrap().pop().unwrap();
    assert_eq!(act.permit.defers, Some(MayDefer::Allowed));
    let related = json!({"io.modelcontextprotocol/related-task": {"taskId": "theirs"}, "k": 1});
    let result = json!({"content": [{"type": "text", "text": "done"}], "_meta": related});
    let fault = json!({"code": -5, "message": "theirs broke", "data": {"taskId": "theirs"}});
    for (status, more, member, expected) in [
        ("working", json!({"result": result}), "result", Value::Null),
        (
            "failed",
            json!({"error": fault}),
            "error",
            json!({"code": -5, "message": format!("{id} broke")}),
        ),
        (
            "completed",
            json!({"result": result}),
            "result",
            json!({"content": result["content"], "_meta": {"k": 1}}),
        ),
    ] {
        says(&lab, &task("complete", "theirs", status, more));
        let got = about(&run, "get", &id).await;
        assert!(!got.body.contains("theirs"), "{got:?}");
        let got = got.json()["result"].clone();
        assert_eq!((&got["status"], &got["resultType"]), (&json!(status), &json!("complete")));
        assert_eq!((&got["taskId"], &got[member]), (&json!(id), &expected));
    }
    for method in ["cancel", "get"] {
        says(&lab, &json!({"resultType": "complete", "taskId": "theirs"}));
        let got = about(&run, method, &id).await;
        match method {
            "cancel" => assert_eq!(got.json()["result"], json!({"resultType": "complete"})),
            _ => assert_eq!(got.reason(), "result.withheld", "no task is no answer"),
        }
    }
}

/// The attack: a client that knows nothing of deferred calls is given one, or asks about one.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_declare_it_has_nothing_deferred() {
    let (lab, _dir) = lab().await;
    let run = lab.run(&[SLOW, MUST]);
    let id = begin(&lab, &run, "a").await;
    let (before, none) = (acts(&lab), json!({}));
    let missing = |got: &Got| {
        let error = got.json()["error"].clone();
        let required = &error["data"]["requiredCapabilities"]["extensions"][TASKS];
        assert_eq!((got.status, &error["code"], required), (400, &json!(-32021), &json!({})));
    };
    missing(&said(&run, "tasks/get", &none, json!({"taskId": id})).await);
    missing(&said(&run, "tasks/cancel", &none, json!({"taskId": "made up"})).await);
    missing(&said(&run, "tools/call", &none, call(MUST)).await);
    assert_eq!(acts(&lab), before);
    let got = said(&run, "tools/call", &none, call(SLOW)).await;
    assert_eq!(got.reason(), "result.withheld", "a promise that nobody wants");
    let act = lab.executor.acts.lock().unwrap().pop().unwrap();
    assert_eq!(act.permit.defers, None, "its server was not told that it may");
    let got = about(&run, "get", "made up").await;
    assert_eq!((got.status, got.reason().as_str()), (400, "task.unknown"));
    assert_eq!(got.json()["error"]["code"], -32602);
    let old = json!({"name": SLOW, "arguments": {"n": 1}, "task": {"ttl": 1}});
    says(&lab, &json!({"content": []}));
    assert_eq!(said(&run, "tools/call", &none, old).await.json()["result"]["content"], json!([]));
}

/// The attack: the questions of a deferred call, and the answers to them, where neither may be.
#[tokio::test(flavor = "multi_thread")]
async fn a_deferred_call_asks_and_is_answered_as_one_that_is_not() {
    let (lab, _dir) = lab().await;
    let run = lab.run(&[SLOW]);
    let id = begin(&lab, &run, "a").await;
    let asks = |method: &str| {
        let asked = json!({"k": {"method": method, "params": {"message": "sure?"}}});
        task("complete", "a", "input_required", json!({ "inputRequests": asked }))
    };
    says(&lab, &asks("elicitation/create"));
    let got = about(&run, "get", &id).await.json();
    assert_eq!(got["result"]["inputRequests"]["k"]["params"]["message"], "sure?", "{got}");
    for method in ["sampling/createMessage", "tools/call"] {
        says(&lab, &asks(method));
        assert_eq!(about(&run, "get", &id).await.reason(), "result.withheld", "{method}");
    }
    says(&lab, &asks("elicitation/create"));
    let silent = json!({"extensions": {TASKS: {}}});
    let got = said(&run, "tasks/get", &silent, json!({"taskId": id})).await;
    assert_eq!(got.reason(), "result.withheld", "a client that answers no forms");

    // Two by one key: some readers would find the first.
    let (form, model) =
        (r#"{"method":"elicitation/create"}"#, r#"{"method":"sampling/createMessage"}"#);
    let twice = format!(r#"{{"k":{model},"k":{form}}}"#);
    let said_twice = asks("elicitation/create").to_string();
    let asked = json!({"k": {"method": "elicitation/create", "params": {"message": "sure?"}}});
    *lab.executor.result.lock().unwrap() = said_twice.replace(&asked.to_string(), &twice);
    let got = about(&run, "get", &id).await;
    assert!(got.body.contains("elicitation") && !got.body.contains("sampling"), "{got:?}");
    // And one inside of the result, which no permit lets it ask.
    for (kind, reason) in [("input_required", "result.withheld"), ("complete", "")] {
        let asked = json!({"k": {"method": "sampling/createMessage", "params": {}}});
        let result = json!({"resultType": kind, "content": [], "inputRequests": asked});
        let result = if reason.is_empty() { json!({"content": []}) } else { result };
        says(&lab, &task("complete", "a", "completed", json!({ "result": result })));
        assert_eq!(about(&run, "get", &id).await.reason(), reason, "{kind}");
    }

    let responses = json!({"k": {"action": "accept", "content": {"ok": true}}});
    let update = json!({"taskId": id, "inputResponses": responses});
    let got = said(&run, "tasks/update", &silent, update.clone()).await;
    assert_eq!(got.reason(), "policy.answers");
    lab.executor.acts.lock().unwrap().clear();
    let got = said(&run, "tasks/update", &knows(), update).await;
    assert_eq!(got.json()["result"], json!({"resultType": "complete"}));
    let act = lab.executor.acts.lock().unwrap().pop().unwrap();
    let answers = act.answers.as_ref().unwrap();
    assert_eq!(answers.responses.as_ref().unwrap().get(), responses.to_string());
    let (call, verdict) = last(&lab);
    assert_eq!((verdict, call.answers), (Verdict::Allowed, Some(answers.digest())));
    let foreign = lab.run(&[SLOW]);
    let update = json!({"taskId": id, "inputResponses": responses});
    let got = said(&foreign, "tasks/update", &knows(), update).await;
    assert_eq!(got.reason(), "task.unknown", "another run's");
}

/// A call that was made in one way is not found in the other.
#[tokio::test(flavor = "multi_thread")]
async fn each_era_has_its_own_deferred_calls() {
    let (lab, _dir) = lab().await;
    let run = lab.run(&[SLOW]);
    let id = begin(&lab, &run, "a").await;
    let old = super::asking::ask(&run, ("tasks/get", &json!({"taskId": id}).to_string())).await;
    assert_eq!(old.reason(), "task.unknown");
    let list = super::asking::ask(&run, ("tasks/list", "{}")).await;
    assert_eq!(list.json()["result"]["tasks"], json!([]));
    says(&lab, &task("complete", "a", "working", json!({})));
    assert_eq!(about(&run, "get", &id).await.json()["result"]["taskId"], json!(id), "the control");
}
