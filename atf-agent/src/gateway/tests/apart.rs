//! Runs do not disturb each other, and a stop does not disturb calls.

use std::time::Duration;

use serde_json::json;

use super::client::{ADJUST, Client, adjust, post, request};
use super::doubles::Mood;
use super::lab::{Lab, LabRun, Wanted};
use crate::audit::Event;

/// Starts a call of `run` and waits until the executor has it.
async fn under_way(lab: &Lab, run: &LabRun) -> tokio::task::JoinHandle<String> {
    let (socket, bearer) = (run.socket.clone(), format!("Bearer {}", run.token));
    let acts = || lab.executor.acts.lock().unwrap().len();
    let before = acts();
    let call = tokio::spawn(async move {
        let mut client = Client::connect(&socket).await;
        let got = client.post(&adjust(5), &[("authorization", &bearer)]).await;
        got.map_or_else(|error| error.to_string(), |got| got.reason())
    });
    lab.until("the act", |_| (acts() > before).then_some(())).await;
    call
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_calls_are_all_under_way_delays_itself_alone() {
    let mut wanted = Wanted::default();
    wanted.settings.calls_per_run_max = 1;
    let lab = Lab::start(wanted).await;
    let (busy, other) = (lab.run(&[ADJUST]), lab.run(&[ADJUST]));
    lab.executor.mood.set(Mood::Waits);
    let first = under_way(&lab, &busy).await;
    let ping = request("ping", &json!({}));
    let own = post(&busy, &ping);
    let waited = tokio::time::timeout(Duration::from_millis(200), own).await;
    assert!(waited.is_err(), "its own second call waits");
    assert_eq!(post(&other, &ping).await.status, 200);
    lab.executor.mood.set(Mood::Works);
    assert_eq!(first.await.unwrap(), "");
    assert_eq!(post(&busy, &ping).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_accepts_nothing_more_and_waits_for_the_calls_under_way() {
    let lab = Lab::start(Wanted::default()).await;
    let run = lab.run(&[ADJUST]);
    lab.executor.mood.set(Mood::Waits);
    let call = under_way(&lab, &run).await;
    let gateway = std::sync::Arc::clone(&lab.gateway);
    let stop = tokio::spawn(async move { gateway.stop().await });
    let refused = |_: &Lab| std::os::unix::net::UnixStream::connect(&run.socket).err();
    lab.until("the listener is closed", refused).await;
    assert!(!stop.is_finished(), "it waits");
    lab.executor.mood.set(Mood::Works);
    stop.await.unwrap();
    assert_eq!(call.await.unwrap(), "");
    let settled = |event: &Event| matches!(event, Event::Settled { .. });
    assert!(lab.events().iter().any(settled));
}
