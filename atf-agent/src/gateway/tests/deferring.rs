//! Calls that are answered later, as 2025-11-25 has them: what a run is told of one, and each way in which a run, or a
//! server, reaches for what is not its own.

use std::fs;

use serde_json::{Value, json};

use super::asking::ask;
use super::client::post_with;
use super::deferring_lab::{
    MUST, NOW, SLOW, about, acts, begin, call, lab, lab_of, last, says, task, unknown,
};
use super::doubles::Mood;
use super::lab::prompt;
use crate::audit::Verdict;
use crate::call::{Deferral, Deferred, Reason, Target};
use crate::gateway::Settings;
use crate::wire::{MayDefer, Registry, RegistryAck};

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_deferred_asked_about_fetched_and_each_step_has_a_permit_of_its_own() {
    let (lab, _dir) = lab().await;
    let run = lab.run(&[SLOW]);
    says(
        &lab,
        &json!({"task": {"taskId": "theirs", "status": "working", "ttl": 500,
        "statusMessage": "theirs begins", "pollInterval": 50}}),
    );
    let got = call(&run, SLOW, &json!({"task": {"ttl": 9_000}})).await.json();
    let mut told = got["result"]["task"].clone();
    let id = told["taskId"].as_str().unwrap().to_owned();
    assert_eq!(id.len(), 32, "{told}");
    for time in ["createdAt", "lastUpdatedAt"] {
        let at = told.as_object_mut().unwrap().remove(time).unwrap();
        assert!(at.as_str().unwrap().ends_with('Z'), "{at}");
    }
    let expected = json!({"taskId": id, "status": "working", "ttl": 500, "pollInterval": 50,
        "statusMessage": format!("{id} begins")});
    assert_eq!(told, expected);
    let (begun, _) = last(&lab);
    let act = lab.executor.acts.lock().unwrap().pop().unwrap();
    assert_eq!(act.permit.defers, Some(MayDefer::Asked { ttl_ms: 9_000 }));
    assert_eq!((act.permit.began, begun.began), (None, None));

    let result = json!({"content": [{"type": "text", "text": "done"}], "isError": false,
        "_meta": {"k": 1, "io.modelcontextprotocol/related-task": {"taskId": "theirs"}}});
    for (method, asks, said) in [
        ("get", Deferral::Get, task("theirs", "working")),
        ("result", Deferral::Result, result.clone()),
        ("cancel", Deferral::Cancel, task("theirs", "cancelled")),
    ] {
        says(&lab, &said);
        let got = about(&run, method, &id).await;
        assert!(!got.body.contains("theirs"), "the server's name stays here: {got:?}");
        assert!(got.json()["result"].is_object() && got.body.contains(&id), "{got:?}");
        let act = lab.executor.acts.lock().unwrap().pop().expect("an act");
        let target = Target::Deferred(Deferred { tool: SLOW.parse().unwrap(), asks });
        assert_eq!((&act.permit.target, act.permit.began), (&target, Some(begun.decision)));
        assert_eq!((act.arguments.as_str(), act.permit.pin), (r#"{"taskId":"theirs"}"#, begun.pin));
        let (call, verdict) = last(&lab);
        assert_eq!((verdict, call.began), (Verdict::Allowed, Some(begun.decision)));
        assert_eq!(call.target.unwrap().raw(), SLOW);
        assert_eq!(call.permit, Some(act.receipt.body.permit));
        if method == "result" {
            let mut got = got.json()["result"].clone();
            let related = got["_meta"]["io.modelcontextprotocol/related-task"].take();
            assert_eq!(related, json!({"taskId": id}));
            assert_eq!((&got["content"], &got["_meta"]["k"]), (&result["content"], &json!(1)));
        }
    }
}

/// The attacks: another run's name, one that is made up, one of a run that has ended.
#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_not_the_runs_own_is_unknown_whosever_it_is() {
    let (lab, _dir) = lab().await;
    let (run, other) = (lab.run(&[SLOW]), lab.run(&[SLOW]));
    let (own, foreign) = (begin(&lab, &run, "a").await, begin(&lab, &other, "b").await);
    let before = acts(&lab);
    let mut next = own.clone();
    let last_digit = if own.ends_with('0') { '1' } else { '0' };
    next.replace_range(31.., &last_digit.to_string());
    let upper = own.to_uppercase();
    for name in [&foreign, &next, &upper, &format!("{own} "), "a", "b", "", "0"] {
        for method in ["get", "result", "cancel"] {
            let got = about(&run, method, name).await;
            assert!(unknown(&got), "{method} {name:?}: {got:?}");
            assert_eq!(acts(&lab), before, "{method} {name:?}");
        }
    }
    let (_, verdict) = last(&lab);
    assert!(matches!(verdict, Verdict::Refused { reason: Reason::TaskUnknown, .. }), "{verdict:?}");
    assert!(!lab.kernel.has_deny(run.entry.cgroup), "a name that has gone seals nobody");
    for (run, id, name) in [(&run, "a", &own), (&other, "b", &foreign)] {
        says(&lab, &task(id, "working"));
        assert_eq!(about(run, "get", name).await.json()["result"]["taskId"], **name, "the control");
    }
    let closed = lab.authority.tell(Registry::Close { run: other.entry.run });
    assert!(matches!(closed, RegistryAck::Done));
    assert!(unknown(&about(&run, "get", &foreign).await), "after the end of its run");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_runs_at_once_have_their_own_results_and_lists() {
    let (lab, _dir) = lab().await;
    let (run, other) = (lab.run(&[SLOW]), lab.run(&[SLOW]));
    let first = begin(&lab, &run, "a").await;
    let (second, third) = (begin(&lab, &other, "b").await, begin(&lab, &other, "c").await);
    let list = async |run| {
        let got = ask(run, ("tasks/list", "{}")).await.json();
        let tasks = got["result"]["tasks"].as_array().unwrap_or_else(|| panic!("{got}")).clone();
        tasks.iter().map(|task| task["taskId"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(list(&run).await, [first]);
    assert_eq!(list(&other).await, [second, third]);
    let before = acts(&lab);
    assert_eq!(last(&lab).0.method.unwrap().raw(), "tasks/list", "it is recorded");
    let narrowed = lab.token(&run.entry, &[NOW], |_| {});
    let got = post_with(&run, &super::client::request("tasks/list", &json!({})), &narrowed).await;
    assert_eq!(got.json()["result"]["tasks"], json!([]), "the token names the tool no more");
    assert_eq!(acts(&lab), before, "no server is asked");
}

/// The attacks: the token does not name the tool any more, is narrower than it was, or is another run's; the run is
/// sealed; the policy lets the server be asked no more.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_run_may_not_do_any_more_ends_its_deferred_calls_too() {
    let (lab, _dir) = lab().await;
    for method in ["get", "result", "cancel"] {
        let run = lab.run(&[SLOW, NOW]);
        let id = begin(&lab, &run, method).await;
        says(&lab, &json!({"taskId": method, "status": "working"}));
        assert!(about(&run, method, &id).await.json()["result"].is_object(), "the control");
        let before = acts(&lab);
        let with = async |token: String| {
            let params = json!({"taskId": id, "_meta": {"io.atf/promptSha256": prompt()}});
            let body = super::client::request(&format!("tasks/{method}"), &params);
            post_with(&run, &body, &token).await
        };
        let lost = with(lab.token(&run.entry, &[NOW], |_| {})).await;
        assert_eq!((lost.status, lost.reason().as_str()), (403, "token.not_named"), "{method}");
        let narrowing = json!({SLOW: [{"properties": {"n": {"maximum": 0}}}]});
        let narrowed = lab.token(&run.entry, &[SLOW, NOW], |claims| {
            claims.entitlements.narrowing = serde_json::from_value(narrowing).unwrap();
        });
        assert_eq!(with(narrowed).await.reason(), "token.narrowed", "{method}");
        let expired = lab.token(&run.entry, &[SLOW], |claims| {
            (claims.iat, claims.nbf, claims.exp) = (1, 1, 300);
        });
        assert_eq!(with(expired).await.status, 401, "{method}");
        lab.gateway.runs.get(run.entry.run).unwrap().seal();
        assert_eq!(about(&run, method, &id).await.reason(), "run.sealed", "{method}");
        assert_eq!(acts(&lab), before, "{method}");
    }
    let (none, _dir) = lab_of(&["tasks/get"], &json!({}), Settings::default()).await;
    let run = none.run(&[SLOW]);
    let id = begin(&none, &run, "a").await;
    says(&none, &task("a", "working"));
    assert!(about(&run, "get", &id).await.json()["result"].is_object(), "the control");
    for method in ["result", "cancel"] {
        assert_eq!(about(&run, method, &id).await.reason(), "policy.denied", "{method}");
    }
}

/// The attack: the tool is another one when its result is fetched.
#[tokio::test(flavor = "multi_thread")]
async fn a_pin_that_has_changed_since_gives_no_result() {
    let (lab, dir) = lab().await;
    let run = lab.run(&[SLOW]);
    let id = begin(&lab, &run, "a").await;
    says(&lab, &task("a", "working"));
    assert!(about(&run, "get", &id).await.json()["result"].is_object(), "the control");
    let path = dir.path().join("tools").join(format!("{SLOW}.json"));
    let pin = fs::read_to_string(&path).unwrap();
    fs::write(&path, pin.replacen('{', "{\"title\":\"another\",", 1)).unwrap();
    lab.gateway.rules.reload(None).unwrap();
    let before = acts(&lab);
    assert_eq!(about(&run, "get", &id).await.reason(), "tool.withheld");
    assert_eq!(ask(&run, ("tasks/list", "{}")).await.json()["result"]["tasks"], json!([]));
    fs::remove_file(&path).unwrap();
    lab.gateway.rules.reload(None).unwrap();
    assert_eq!(about(&run, "get", &id).await.reason(), "tool.not_pinned");
    fs::write(&path, pin).unwrap();
    let path = dir.path().join("data.json");
    let data = fs::read_to_string(&path).unwrap();
    fs::write(&path, data.replace(&format!("{SLOW:?}:"), "\"files.other\":")).unwrap();
    lab.gateway.rules.reload(None).unwrap();
    assert_eq!(about(&run, "get", &id).await.reason(), "policy.denied", "no tool of the policy");
    assert_eq!(acts(&lab), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pin_says_which_calls_are_deferred() {
    let (lab, _dir) = lab().await;
    let run = lab.run(&[SLOW, NOW, MUST]);
    let (later, now) = (json!({"task": {}}), json!({}));
    says(&lab, &json!({"content": []}));
    for (tool, more, reason) in [
        (SLOW, &now, ""),
        (NOW, &now, ""),
        (NOW, &later, "task.forbidden"),
        (MUST, &now, "task.required"),
    ] {
        let before = acts(&lab);
        let got = call(&run, tool, more).await;
        assert_eq!(got.reason(), reason, "{tool}");
        assert_eq!(acts(&lab) - before, usize::from(reason.is_empty()), "{tool}");
        if !reason.is_empty() {
            assert_eq!(got.json()["error"]["code"], -32601, "{tool}");
        }
    }
    assert!(!lab.kernel.has_deny(run.entry.cgroup), "it speaks against no run");
    // A server that does not defer it answers at once.
    let got = call(&run, SLOW, &later).await;
    assert_eq!(got.json()["result"], json!({"content": []}));
    says(&lab, &json!({"task": task("a", "working")}));
    assert!(call(&run, MUST, &later).await.json()["result"]["task"].is_object());
    assert_eq!(call(&run, NOW, &now).await.reason(), "result.withheld", "nobody asked for it");
    says(&lab, &json!({"task": task("a", "working"), "resultType": "complete"}));
    assert_eq!(call(&run, NOW, &now).await.reason(), "result.withheld", "whatever it calls it");
    let tools = ask(&run, ("tools/list", "{}")).await.json();
    let tools = tools["result"]["tools"].as_array().unwrap().clone();
    let said: Vec<_> = tools.iter().map(|tool| tool["execution"]["taskSupport"].clone()).collect();
    assert_eq!(said, [json!("required"), Value::Null, json!("optional")]);
}

/// The attacks: a server that speaks of another deferred call, under each method, and that gives one name twice.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_says_of_another_call_reaches_nobody() {
    let (lab, _dir) = lab().await;
    let (run, other) = (lab.run(&[SLOW]), lab.run(&[SLOW]));
    let (id, _theirs) = (begin(&lab, &run, "a").await, begin(&lab, &other, "b").await);
    let result = |of: &str| {
        json!({"content": [{"type": "text", "text": "secret"}],
            "_meta": {"io.modelcontextprotocol/related-task": {"taskId": of}}})
    };
    for (method, good, bad) in [
        ("get", task("a", "working"), task("b", "working")),
        ("result", result("a"), result("b")),
        ("cancel", task("a", "working"), task("b", "working")),
    ] {
        says(&lab, &bad);
        let got = about(&run, method, &id).await;
        assert_eq!(got.reason(), "result.withheld", "{method}");
        assert!(!got.body.contains("secret"), "{got:?}");
        says(&lab, &good);
        assert!(about(&run, method, &id).await.json()["result"].is_object(), "{method}");
    }
    for bad in [
        json!({"task": task("b", "working")}),
        json!({"task": task("", "working")}),
        json!({"task": task(&"x".repeat(513), "working")}),
        json!({"task": task("c", "sleeping")}),
        json!({"task": 1}),
        task("c", "working"),
    ] {
        says(&lab, &bad);
        let got = call(&run, SLOW, &json!({"task": {}})).await;
        let is_plain = bad.get("task").is_none();
        assert_eq!(got.reason(), if is_plain { "" } else { "result.withheld" }, "{bad}");
    }
}

/// The attack: a server that begins anew counts its deferred calls from one again, and the older run fetches.
#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_given_again_is_nobodys_any_more() {
    let (lab, _dir) = lab().await;
    let (run, other) = (lab.run(&[SLOW]), lab.run(&[SLOW]));
    let (id, kept) = (begin(&lab, &run, "1").await, begin(&lab, &run, "2").await);
    says(&lab, &json!({"task": task("1", "working")}));
    let got = call(&other, SLOW, &json!({"task": {}})).await;
    assert_eq!(got.reason(), "result.withheld");
    let before = acts(&lab);
    says(&lab, &json!({"content": [{"type": "text", "text": "the other run's"}]}));
    assert!(unknown(&about(&run, "result", &id).await));
    assert_eq!(acts(&lab), before, "its server is not asked");
    assert_eq!(about(&run, "result", &kept).await.reason(), "", "the control");
    // A result that asks, or promises another, is none.
    for bad in [
        json!({"resultType": "input_required", "inputRequests": {}}),
        json!({"task": task("3", "working")}),
    ] {
        says(&lab, &bad);
        assert_eq!(about(&run, "result", &kept).await.reason(), "result.withheld", "{bad}");
    }
}

/// Twice is asked twice: the server's word counts, and each time there is a permit and a record.
#[tokio::test(flavor = "multi_thread")]
async fn to_cancel_or_to_fetch_twice_is_two_calls() {
    let (lab, _dir) = lab().await;
    let run = lab.run(&[SLOW]);
    let id = begin(&lab, &run, "a").await;
    let before = acts(&lab);
    for (method, said) in [
        ("result", json!({"content": []})),
        ("result", json!({"content": []})),
        ("cancel", task("a", "cancelled")),
    ] {
        says(&lab, &said);
        assert!(about(&run, method, &id).await.json()["result"].is_object(), "{method}");
    }
    lab.executor.mood.set(Mood::Errs);
    let got = about(&run, "cancel", &id).await.json();
    assert_eq!(got["error"]["message"], "there is no such thing", "as its server says it");
    let all = lab.executor.acts.lock().unwrap();
    let mut decisions: Vec<_> = all[before..].iter().map(|act| act.permit.decision).collect();
    decisions.sort_by_key(ToString::to_string);
    decisions.dedup();
    assert_eq!(decisions.len(), 4);
}
