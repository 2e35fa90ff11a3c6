//! The caps that are not of money, over the real socket.

use chrono::{Duration, Utc};
use serde_json::{Value, json};

use super::client::{ADJUST, Got, adjust, post, tool_call};
use super::doubles::Mood;
use super::lab::{Lab, LabRun, Wanted};

const QUERY: &str = "ledger.query";

async fn lab(limits: Value) -> (Lab, LabRun) {
    let lab = Lab::start(Wanted { limits: Some(limits), ..Wanted::default() }).await;
    let run = lab.run(&[ADJUST, QUERY]);
    (lab, run)
}

fn page(rows: u32) -> String {
    tool_call(QUERY, &json!({"sql": format!("SELECT id FROM merchants LIMIT {rows}")}))
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_beyond_the_pace_are_told_when_to_come_again_and_seal_nobody() {
    let calls = json!([{"of": "run", "tools": [ADJUST], "most": 2, "per_s": 60}]);
    let (lab, run) = lab(json!({ "calls": calls })).await;
    lab.executor.mood.set(Mood::Refuses);
    for _ in 0..3 {
        assert_eq!(post(&run, &adjust(1)).await.reason(), "execute.failed", "given back");
    }
    lab.executor.mood.set(Mood::Works);
    for _ in 0..2 {
        assert_eq!(post(&run, &adjust(1)).await.reason(), "");
    }
    for _ in 0..5 {
        let refused = post(&run, &adjust(1)).await;
        assert_eq!(refused.reason(), "cap.calls");
        let content = &refused.json()["result"]["structuredContent"];
        let seconds = content["retry_after_s"].as_u64().unwrap();
        assert!((1..=60).contains(&seconds), "{content}");
    }
    assert_eq!(lab.executor.acts.lock().unwrap().len(), 5);
    assert_eq!(lab.gateway.caps.spent(run.entry.run), 2, "a refusal takes nothing");
    assert!(!lab.kernel.has_deny(run.entry.cgroup));
    assert_eq!(post(&run, &page(1)).await.reason(), "", "the control: another tool");
    let other = lab.run(&[ADJUST]);
    assert_eq!(post(&other, &adjust(1)).await.reason(), "", "the control: another run");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_so_many_calls_are_under_way_at_once() {
    let in_flight = json!([{"of": "user", "most": 1}]);
    let (lab, run) = lab(json!({ "in_flight": in_flight })).await;
    let sister = lab.run(&[ADJUST]);
    lab.executor.mood.set(Mood::Waits);
    let (first_body, second_body) = (adjust(1), adjust(1));
    let first = post(&run, &first_body);
    let acted =
        lab.until("the act", |lab| (!lab.executor.acts.lock().unwrap().is_empty()).then_some(()));
    let second = async {
        acted.await;
        let refused = post(&sister, &second_body).await;
        lab.executor.mood.set(Mood::Works);
        refused
    };
    let (first, second): (Got, Got) = tokio::join!(first, second);
    assert_eq!((first.reason().as_str(), second.reason().as_str()), ("", "cap.in_flight"));
    assert_eq!(post(&sister, &adjust(1)).await.reason(), "", "the control: the first has ended");
    // Nobody knows what became of it, so that it may still be under way.
    lab.executor.mood.set(Mood::HangsUp);
    assert_eq!(post(&run, &adjust(1)).await.reason(), "execute.failed");
    lab.executor.mood.set(Mood::Works);
    assert_eq!(post(&run, &adjust(1)).await.reason(), "cap.in_flight");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_is_refused_outside_of_its_hours() {
    let clock = |hours: i64| (Utc::now() + Duration::hours(hours)).format("%H:%M").to_string();
    for (from, to, reason) in [(-2, 2, ""), (2, 4, "cap.hours")] {
        let hours = json!([{"tools": [ADJUST], "from": clock(from), "to": clock(to)}]);
        let (lab, run) = lab(json!({ "hours": hours })).await;
        assert_eq!(post(&run, &adjust(1)).await.reason(), reason);
        assert_eq!(lab.executor.acts.lock().unwrap().len(), usize::from(reason.is_empty()));
        assert_eq!(post(&run, &page(1)).await.reason(), "", "the control: another tool");
    }
}

/// The attack: page after page, until all is read.
#[tokio::test(flavor = "multi_thread")]
async fn pages_end_when_their_rows_or_bytes_are_read() {
    let (lab, run) = lab(json!({"rows": [{"of": "run", "tools": [QUERY], "most": 25}]})).await;
    assert_eq!(post(&run, &page(10)).await.reason(), "");
    lab.executor.mood.set(Mood::Refuses);
    assert_eq!(post(&run, &page(15)).await.reason(), "execute.failed", "given back");
    lab.executor.mood.set(Mood::Works);
    assert_eq!(post(&run, &page(10)).await.reason(), "");
    assert_eq!(post(&run, &page(10)).await.reason(), "cap.rows");
    assert_eq!(post(&run, &page(5)).await.reason(), "", "to the last row");
    assert_eq!(post(&run, &adjust(1)).await.reason(), "", "the control: no rows");

    let (lab, run) = self::lab(json!({"bytes": [{"of": "user", "most": 250}]})).await;
    let result = json!({"content": ["x".repeat(77)]}).to_string();
    assert_eq!(result.len(), 93);
    *lab.executor.result.lock().unwrap() = result;
    assert_eq!(post(&run, &page(1)).await.reason(), "");
    assert_eq!(post(&run, &page(1)).await.reason(), "");
    assert_eq!(post(&run, &page(1)).await.reason(), "result.withheld", "64 bytes are left");
    *lab.executor.result.lock().unwrap() = json!({"content": ["x".repeat(48)]}).to_string();
    assert_eq!(post(&run, &page(1)).await.reason(), "", "what was withheld is not read");
    assert_eq!(post(&run, &page(1)).await.reason(), "cap.bytes");
}
