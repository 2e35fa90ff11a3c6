//! The second half of the line: the record, the act, its outcome and its result.

use std::pin::pin;
use std::time::Duration;

use serde_json::json;
use tokio::time::timeout;

use super::client::{ADJUST, Client, adjust, post, request};
use super::doubles::Mood;
use super::lab::{Lab, Wanted};
use crate::audit::Outcome;

#[tokio::test(flavor = "multi_thread")]
async fn without_a_record_nothing_is_executed_and_nothing_is_told() {
    for mood in [Mood::Works, Mood::Refuses, Mood::HangsUp] {
        let lab = Lab::start(Wanted::default()).await;
        let run = lab.run(&[ADJUST]);
        lab.recorder.mood.set(mood);
        let works = mood == Mood::Works;
        let reason = if works { "" } else { "atf.unavailable" };
        assert_eq!(post(&run, &adjust(5)).await.reason(), reason);
        assert_eq!(lab.executor.acts.lock().unwrap().len(), usize::from(works));
        let spent = lab.gateway.caps.spent(run.entry.run);
        assert_eq!(spent, if works { 5 } else { 0 });
        let list = post(&run, &request("tools/list", &json!({}))).await;
        assert_eq!(list.reason(), reason);
        let refused = post(&run, &adjust(60_000)).await;
        assert_eq!(refused.reason(), if works { "cap.exceeded" } else { reason });
        lab.recorder.mood.set(Mood::Works);
        assert_eq!(post(&run, &adjust(5)).await.reason(), "", "it came back");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_certainly_not_done_is_refunded_and_what_is_unknown_is_not() {
    for (mood, spent) in [(Mood::Works, 5), (Mood::Refuses, 0), (Mood::HangsUp, 5)] {
        let lab = Lab::start(Wanted::default()).await;
        let run = lab.run(&[ADJUST]);
        lab.executor.mood.set(mood);
        let reason = post(&run, &adjust(5)).await.reason();
        let outcome = &lab.outcomes()[..];
        match mood {
            Mood::Works => assert!(matches!(outcome, [Outcome::Answered { .. }])),
            Mood::Refuses => assert!(matches!(outcome, [Outcome::NotDone { .. }])),
            Mood::Errs | Mood::Changed | Mood::HangsUp | Mood::Waits => {
                assert!(matches!(outcome, [Outcome::Unknown { .. }]))
            }
        }
        assert_eq!(reason, if mood == Mood::Works { "" } else { "execute.failed" });
        assert_eq!(lab.gateway.caps.spent(run.entry.run), spent);
        lab.executor.mood.set(Mood::Works);
        assert_eq!(post(&run, &adjust(5)).await.reason(), "", "it came back");
    }
}

/// The attack: the recorder stalls and then refuses, when the act is done and its answer is made.
#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_the_log_does_not_know_is_told_nobody() {
    let lab = Lab::start(Wanted::default()).await;
    let run = lab.run(&[ADJUST]);
    assert_eq!(post(&run, &adjust(5)).await.reason(), "", "the control");
    lab.executor.mood.set(Mood::Waits);
    let message = adjust(5);
    let mut call = pin!(post(&run, &message));
    let soon = Duration::from_millis(500);
    assert!(timeout(soon, &mut call).await.is_err());
    assert_eq!(lab.executor.acts.lock().unwrap().len(), 2, "it is at the executor");
    lab.recorder.mood.set(Mood::Waits);
    lab.executor.mood.set(Mood::Works);
    assert!(timeout(soon, &mut call).await.is_err(), "the recorder has not said anything");
    lab.recorder.mood.set(Mood::Refuses);
    assert_eq!(call.await.reason(), "atf.unavailable");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_that_takes_too_long_leaves_an_unknown_outcome() {
    let mut wanted = Wanted::default();
    wanted.settings.execute_timeout_ms = 100;
    let lab = Lab::start(wanted).await;
    let run = lab.run(&[ADJUST]);
    lab.executor.mood.set(Mood::Waits);
    assert_eq!(post(&run, &adjust(5)).await.reason(), "execute.failed");
    assert!(matches!(&lab.outcomes()[..], [Outcome::Unknown { .. }]));
    assert_eq!(lab.gateway.caps.spent(run.entry.run), 5);
    lab.executor.mood.set(Mood::HangsUp);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_that_is_away_is_no_permit() {
    let lab = Lab::start(Wanted::default()).await;
    let run = lab.run(&[ADJUST]);
    std::fs::remove_file(lab.places.executor_socket()).unwrap();
    assert_eq!(post(&run, &adjust(5)).await.reason(), "atf.unavailable");
    let (call, _) = lab.decided();
    assert_eq!(call.permit, None);
    assert_eq!(lab.gateway.caps.spent(run.entry.run), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn hanging_up_does_not_skip_the_record_of_the_outcome() {
    let lab = Lab::start(Wanted::default()).await;
    let run = lab.run(&[ADJUST]);
    lab.executor.mood.set(Mood::Waits);
    let mut client = Client::connect(&run.socket).await;
    let bearer = format!("Bearer {}", run.token);
    let (body, headers) = (adjust(5), [("authorization", bearer.as_str())]);
    let call = client.post(&body, &headers);
    let acted =
        lab.until("the act", |lab| (!lab.executor.acts.lock().unwrap().is_empty()).then_some(()));
    tokio::select! {
        answer = call => panic!("answered before the act ended: {answer:?}"),
        () = acted => {}
    }
    drop(client);
    assert!(lab.outcomes().is_empty(), "the control: it is still under way");
    lab.executor.mood.set(Mood::Works);
    let outcome = lab.until("the outcome", |lab| lab.outcomes().pop()).await;
    assert!(matches!(outcome, Outcome::Answered { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_passes_a_limit_is_withheld_and_recorded() {
    let mut wanted = Wanted::default();
    wanted.settings.result_bytes_max = 100;
    let lab = Lab::start(wanted).await;
    let run = lab.run(&[ADJUST]);
    for (result, reason) in [
        (json!({"content": []}).to_string(), ""),
        (json!({"content": [], "isError": true}).to_string(), ""),
        (json!({"content": ["x".repeat(100)]}).to_string(), "result.withheld"),
        ("[false]".to_owned(), "result.withheld"),
        (json!({"isError": "no"}).to_string(), "result.withheld"),
    ] {
        *lab.executor.result.lock().unwrap() = result.clone();
        assert_eq!(post(&run, &adjust(1)).await.reason(), reason, "{result}");
        let last = lab.outcomes().pop().unwrap();
        let Outcome::Answered { bytes, is_error, .. } = last else {
            panic!("{result}: {last:?}");
        };
        assert_eq!(bytes, result.len() as u64);
        assert_eq!(is_error, result.contains("true"));
    }
}

/// A rug pull: the server changed the tool after it was approved. It is not listed, and a call says why
/// and costs nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_tool_that_changed_is_neither_listed_nor_called() {
    let lab = Lab::start(Wanted::default()).await;
    let run = lab.run(&[ADJUST]);
    let listed = async |run| {
        let got = post(run, &request("tools/list", &json!({}))).await.json();
        got["result"]["tools"].as_array().unwrap().len()
    };
    assert_eq!(listed(&run).await, 1, "the control");
    assert_eq!(post(&run, &adjust(5)).await.reason(), "", "the control");
    lab.executor.withheld.lock().unwrap().push(ADJUST.parse().unwrap());
    lab.executor.mood.set(Mood::Changed);
    assert_eq!(listed(&run).await, 0);
    assert_eq!(post(&run, &adjust(5)).await.reason(), "tool.withheld");
    assert!(matches!(lab.outcomes().pop(), Some(Outcome::NotDone { .. })));
    assert_eq!(lab.gateway.caps.spent(run.entry.run), 5, "the control's alone");
}
