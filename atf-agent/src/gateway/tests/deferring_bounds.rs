//! The bounds of calls that are answered later: how many, for how long, how large; and what they hold meanwhile.

use serde_json::{Value, json};

use super::asking::ask;
use super::deferring_lab::{METHODS, SLOW, about, acts, begin, call, lab_of, says, task, unknown};
use crate::gateway::Settings;
use crate::wire::{MayDefer, Registry, RegistryAck};

/// The attack: a run has ever more of its calls deferred.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_has_so_many_deferred_at_once_and_a_finished_one_gives_its_place() {
    let settings = Settings { tasks_per_run_max: 2, ..Settings::default() };
    let limits = json!({"in_flight": [{"of": "run", "tools": [SLOW], "most": 3}]});
    let (lab, _dir) = lab_of(&METHODS, &limits, settings).await;
    let (run, other) = (lab.run(&[SLOW]), lab.run(&[SLOW]));
    let first = begin(&lab, &run, "a").await;
    begin(&lab, &run, "b").await;
    let before = acts(&lab);
    for _ in 0..5 {
        assert_eq!(call(&run, SLOW, &json!({"task": {}})).await.reason(), "cap.in_flight");
    }
    assert_eq!(acts(&lab), before, "no server hears of them");
    begin(&lab, &other, "o").await;
    // One that is not deferred needs no such place, but those count as under way.
    says(&lab, &json!({"content": []}));
    assert_eq!(call(&run, SLOW, &json!({})).await.reason(), "", "the third");
    says(&lab, &task("a", "cancelled"));
    assert_eq!(about(&run, "cancel", &first).await.json()["result"]["status"], "cancelled");
    let third = begin(&lab, &run, "c").await;
    assert_ne!(first, third);
    says(&lab, &task("a", "cancelled"));
    assert_eq!(about(&run, "get", &first).await.json()["result"]["status"], "cancelled");
}

/// A deferred call is under way for the caps too, until it is over; to ask about it is not.
#[tokio::test(flavor = "multi_thread")]
async fn a_deferred_call_holds_its_turn_until_it_is_over() {
    let limits = json!({"in_flight": [{"of": "user", "most": 1}]});
    let (lab, _dir) = lab_of(&METHODS, &limits, Settings::default()).await;
    let run = lab.run(&[SLOW]);
    let id = begin(&lab, &run, "a").await;
    assert_eq!(call(&run, SLOW, &json!({})).await.reason(), "cap.in_flight");
    says(&lab, &task("a", "working"));
    assert_eq!(about(&run, "get", &id).await.reason(), "", "to ask takes no turn");
    assert_eq!(call(&run, SLOW, &json!({})).await.reason(), "cap.in_flight");
    says(&lab, &task("a", "failed"));
    about(&run, "get", &id).await;
    says(&lab, &json!({"content": []}));
    for tried in 0.. {
        if call(&run, SLOW, &json!({})).await.reason().is_empty() {
            break;
        }
        assert!(tried < 100, "the turn is not given back");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let short = json!({"task": {"ttl": 200}});
    says(&lab, &json!({"task": task("b", "working")}));
    let got = call(&run, SLOW, &short).await.json();
    let id = got["result"]["task"]["taskId"].as_str().unwrap().to_owned();
    assert_eq!(call(&run, SLOW, &json!({})).await.reason(), "cap.in_flight");
    // Nobody asks any more, and its server need not have stopped: a short time buys no turn.
    tokio::time::sleep(std::time::Duration::from_millis(400)).await;
    assert!(unknown(&about(&run, "get", &id).await));
    assert_eq!(call(&run, SLOW, &short).await.reason(), "cap.in_flight");
    let closed = lab.authority.tell(Registry::Close { run: run.entry.run });
    assert!(matches!(closed, RegistryAck::Done));
    let next = lab.run(&[SLOW]);
    assert_eq!(call(&next, SLOW, &json!({})).await.reason(), "cap.in_flight", "nor does an end");
}

/// The attack: a time that is none, or that no gateway would keep anything for.
#[tokio::test(flavor = "multi_thread")]
async fn a_time_to_live_is_within_the_bound_or_refused() {
    let task_ttl_ms_max = 10_000.try_into().unwrap();
    let settings = Settings { task_ttl_ms_max, ..Settings::default() };
    let (lab, _dir) = lab_of(&METHODS, &json!({}), settings).await;
    let mut named = 0;
    for (asked, of_server, told) in [
        (json!(5_000), Value::Null, 5_000),
        (json!(u64::from(u32::MAX)), Value::Null, 10_000),
        (json!(1_u64 << 53), json!(u64::MAX), 10_000),
        (Value::Null, json!(100_000), 10_000),
        (json!(5_000), json!(2_000), 2_000),
        (json!(5_000), json!(9_000), 5_000),
        (json!(5_000), json!(-1), 5_000),
        (json!(5_000), json!("never"), 5_000),
        (json!(5_000), json!(0), 1),
    ] {
        let run = lab.run(&[SLOW]);
        named += 1;
        let mut said = task(&named.to_string(), "working");
        said["ttl"] = of_server.clone();
        says(&lab, &json!({ "task": said }));
        let got = call(&run, SLOW, &json!({"task": {"ttl": asked}})).await.json();
        assert_eq!(got["result"]["task"]["ttl"], told, "{asked} {of_server}: {got}");
        let wanted = asked.as_u64().map_or(10_000, |asked| asked.min(10_000));
        let asked = lab.executor.acts.lock().unwrap().pop().unwrap().permit.defers;
        assert_eq!(
            asked,
            Some(MayDefer::Asked { ttl_ms: wanted }),
            "its server is asked for no more"
        );
    }
    for bad in ["-1", "0", "1.5", "1e9", "\"1\"", "[]", "9007199254740994"] {
        let run = lab.run(&[SLOW]);
        let before = acts(&lab);
        let params = format!(r#"{{"name":"{SLOW}","arguments":{{}},"task":{{"ttl":{bad}}}}}"#);
        let got = ask(&run, ("tools/call", &params)).await;
        assert_eq!(got.json()["error"]["code"], -32602, "{bad}: {got:?}");
        assert_eq!(acts(&lab), before, "{bad}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_comes_later_is_bounded_as_one_that_comes_at_once() {
    let settings = Settings { result_bytes_max: 1_000, ..Settings::default() };
    let (lab, _dir) = lab_of(&METHODS, &json!({}), settings).await;
    let run = lab.run(&[SLOW]);
    let id = begin(&lab, &run, "a").await;
    let text = |bytes: usize| json!({"content": [{"type": "text", "text": "x".repeat(bytes)}]});
    says(&lab, &text(900));
    assert_eq!(about(&run, "result", &id).await.reason(), "", "the control");
    says(&lab, &text(1_001));
    assert_eq!(about(&run, "result", &id).await.reason(), "result.withheld");
    for bad in ["[]", "1", r#"{"resultType":"task","taskId":"a"}"#] {
        *lab.executor.result.lock().unwrap() = bad.to_owned();
        assert_eq!(about(&run, "result", &id).await.reason(), "result.withheld", "{bad}");
    }
}
