//! What a server asks of a run by its result, and the call that is made anew with the answers.

use serde_json::{Value, json};

use super::client::{ADJUST, Got, said};
use super::lab::{Lab, LabRun, Wanted};
use crate::audit::Event;
use crate::call::{Question, Questions};

/// A tool with SQL.
const QUERY: &str = "ledger.query";

/// What a server says that wants a form filled in first.
const ASKS: &str = r#"{"resultType":"input_required","requestState":"round 1","inputRequests":
    {"k":{"method":"elicitation/create","params":{"message":"Who are you?"}}}}"#;

/// A lab whose policy lets the servers ask `questions`.
async fn lab(questions: Value) -> Lab {
    let servers = json!({
        "files": {"methods": ["prompts/get"], "questions": questions},
        "ledger": {"methods": [], "questions": questions},
    });
    Lab::start(Wanted { servers: Some(servers), ..Wanted::default() }).await
}

/// Asks for a prompt, with these members beside it, as a client that can do `can`.
async fn get(run: &LabRun, can: Value, more: Value) -> Got {
    let mut params = json!({"name": "files.review", "arguments": {"a": "b"}});
    params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    said(run, "prompts/get", &can, params).await
}

fn forms() -> Value {
    json!({"elicitation": {}})
}

fn answers(state: &str) -> Value {
    let responses = json!({"k": {"action": "accept", "content": {"name": "Al"}}});
    json!({"inputResponses": responses, "requestState": state})
}

fn result(lab: &Lab, text: &str) {
    *lab.executor.result.lock().unwrap() = text.to_owned();
}

/// The state that the run was given.
fn state(got: &Got) -> String {
    let found = got.json();
    assert_eq!(found["result"]["resultType"], "input_required", "{got:?}");
    found["result"]["requestState"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_asks_and_the_answers_are_judged_recorded_and_brought_to_it() {
    let lab = lab(json!(["elicitation/create", "roots/list"])).await;
    let run = lab.run(&[]);
    result(&lab, ASKS);
    let asked = get(&run, json!({"elicitation": {}, "roots": {}}), json!({})).await;
    let bound = state(&asked);
    assert_ne!(bound, "round 1");
    let questions = &asked.json()["result"]["inputRequests"];
    assert_eq!(questions["k"]["params"]["message"], "Who are you?");
    let act = lab.executor.acts.lock().unwrap().pop().expect("an act");
    let exchange = act.permit.exchange.expect("questions");
    // The policy and the client know the roots too; the token does not.
    assert_eq!(exchange.questions, Questions::from([Question::Elicitation]));
    assert!(act.answers.is_none() && exchange.answers.is_none());

    result(&lab, r#"{"messages":[]}"#);
    let done = get(&run, forms(), answers(&bound)).await;
    assert_eq!(done.json()["result"]["messages"], json!([]), "{done:?}");
    let act = lab.executor.acts.lock().unwrap().pop().expect("an act");
    let sent = act.answers.expect("answers");
    assert_eq!(sent.state.as_deref(), Some("round 1"), "the server's own");
    assert_eq!(act.permit.exchange.unwrap().answers, Some(sent.digest()));
    let recorded = lab.events().into_iter().rev().find_map(|event| match event {
        Event::Decided { call, .. } => call.answers,
        _ => None,
    });
    assert_eq!(recorded, Some(sent.digest()), "as the permit has it");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_ask_is_withheld_and_who_was_not_asked_is_refused() {
    for (allowed, can, fine) in [
        (json!(["elicitation/create"]), forms(), true),
        (json!(["elicitation/create"]), json!({"elicitation": {"form": {}, "url": {}}}), true),
        (json!(["elicitation/create"]), json!({"elicitation": {"url": {}}}), false),
        (json!(["elicitation/create"]), json!({"sampling": {}}), false),
        (json!(["sampling/createMessage"]), json!({"elicitation": {}, "sampling": {}}), false),
        (json!([]), forms(), false),
    ] {
        let lab = lab(allowed.clone()).await;
        let run = lab.run(&[]);
        result(&lab, ASKS);
        let asked = get(&run, can.clone(), json!({})).await;
        let act = lab.executor.acts.lock().unwrap().pop().expect("an act");
        assert_eq!(act.permit.exchange.is_some(), fine, "{allowed} {can}");
        if fine {
            state(&asked);
        } else {
            assert_eq!(asked.reason(), "result.withheld", "{allowed} {can}");
            let answered = get(&run, can, json!({"inputResponses": {}})).await;
            assert_eq!(answered.reason(), "policy.answers", "{answered:?}");
            assert!(lab.executor.acts.lock().unwrap().is_empty());
        }
    }
}

/// The attacks: a state of another run, of another call, changed, or made up.
#[tokio::test(flavor = "multi_thread")]
async fn a_state_is_taken_from_the_run_and_for_the_call_that_it_was_given_to() {
    let lab = lab(json!(["elicitation/create"])).await;
    let (mine, other) = (lab.run(&[]), lab.run(&[]));
    result(&lab, ASKS);
    let bound = state(&get(&mine, forms(), json!({})).await);
    lab.executor.acts.lock().unwrap().clear();
    let mut others = answers(&bound);
    others["arguments"] = json!({"a": "c"});
    for (run, more) in [
        (&other, answers(&bound)),
        (&mine, others),
        (&mine, answers(&format!("{bound}-TAMPERED"))),
        (&other, answers("round 1")),
    ] {
        let found = get(run, forms(), more.clone()).await;
        assert_eq!(found.status, 400, "{found:?}");
        assert_eq!(found.json()["error"]["code"], -32602, "{more}");
        assert_eq!(found.json()["error"]["data"]["reason"], "message.state");
    }
    assert!(lab.executor.acts.lock().unwrap().is_empty());
    get(&mine, forms(), answers(&bound)).await;
    assert_eq!(lab.executor.acts.lock().unwrap().len(), 1, "the control");
}

/// The attack: what the pin judges argument by argument comes as an answer instead.
#[tokio::test(flavor = "multi_thread")]
async fn a_tool_whose_arguments_are_judged_one_by_one_is_told_no_answers() {
    let lab = lab(json!(["elicitation/create"])).await;
    let run = lab.run(&[ADJUST, QUERY]);
    result(&lab, r#"{"content":[]}"#);
    let adjust = json!({"entry_id": 1, "amount_cents": 1, "reason": "r"});
    let query = json!({"sql": "SELECT id FROM merchants LIMIT 2"});
    let can = forms();
    for (tool, arguments, fine) in [(ADJUST, adjust, true), (QUERY, query, false)] {
        let call = |more: Value| {
            let mut params = json!({"name": tool, "arguments": arguments});
            params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            said(&run, "tools/call", &can, params)
        };
        call(json!({})).await;
        let act = lab.executor.acts.lock().unwrap().pop().expect("an act");
        assert_eq!(act.permit.exchange.is_some(), fine, "{tool}");
        let answered = call(json!({"inputResponses": {"k": {}}})).await;
        assert_eq!(answered.reason() == "policy.answers", !fine, "{answered:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_none_are_not_read() {
    let lab = lab(json!(["elicitation/create"])).await;
    let many: serde_json::Map<_, _> = (0..17).map(|n| (n.to_string(), json!({}))).collect();
    for (responses, fine) in [
        (json!({"k": {}}), true),
        (json!({}), true),
        (json!(null), false),
        (json!([]), false),
        (json!({"k": 12345}), false),
        (json!({"k": [1]}), false),
        (json!({"k".repeat(129): {}}), false),
        (Value::Object(many), false),
    ] {
        // One refusal too many would seal a run.
        let run = lab.run(&[]);
        let found = get(&run, forms(), json!({ "inputResponses": responses })).await;
        assert_eq!(found.status == 200, fine, "{responses}: {found:?}");
    }
    for member in ["InputResponses", "requeststate"] {
        let run = lab.run(&[]);
        let found = get(&run, forms(), json!({member: "x"})).await;
        assert_eq!(found.status, 400, "{member}");
    }
}
