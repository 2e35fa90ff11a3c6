//! Runs that listen: what they are told of their own lists, and how it ends.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use super::client::{ADJUST, Client};
use super::lab::{Lab, LabRun, Wanted, now_unix_s};
use crate::audit::{Event, Verdict};
use crate::wire::Offer;

const REVISION: &str = "2026-07-28";
const QUERY: &str = "ledger.query";

/// The name by which a subscription is known.
const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";

fn message(notifications: &Value) -> String {
    let meta = json!({"io.modelcontextprotocol/protocolVersion": REVISION,
        "io.modelcontextprotocol/clientCapabilities": {}});
    json!({"jsonrpc": "2.0", "id": "l-1", "method": "subscriptions/listen",
        "params": {"notifications": notifications, "_meta": meta}})
    .to_string()
}

/// A client that listens.
struct Listener {
    stream: UnixStream,
    heard: String,
}

impl Listener {
    async fn of(run: &LabRun, token: &str, notifications: &Value) -> Self {
        let message = message(notifications);
        let said = format!(
            "POST /mcp HTTP/1.1\r\nhost: atf\r\ncontent-type: application/json\r\n\
             accept: application/json, text/event-stream\r\nmcp-protocol-version: {REVISION}\r\n\
             mcp-method: subscriptions/listen\r\nauthorization: Bearer {token}\r\n\
             content-length: {}\r\n\r\n{message}",
            message.len()
        );
        let mut stream = UnixStream::connect(&run.socket).await.unwrap();
        stream.write_all(said.as_bytes()).await.unwrap();
        Self { stream, heard: String::new() }
    }

    /// The next message; none when there was none in `patience`.
    async fn next(&mut self, patience: Duration) -> Option<Value> {
        let read = async {
            loop {
                if let Some((event, rest)) = self.heard.split_once("\n\n") {
                    let data = event.split_once("data: ").expect("data").1.to_owned();
                    self.heard = rest.to_owned();
                    return serde_json::from_str(&data).unwrap();
                }
                let mut some = [0; 4_096];
                let read = self.stream.read(&mut some).await.unwrap();
                assert!(read > 0, "it ended: {}", self.heard);
                self.heard.push_str(std::str::from_utf8(&some[..read]).unwrap());
            }
        };
        tokio::time::timeout(patience, read).await.ok()
    }

    /// The method of the next one, which is of this subscription.
    async fn hears(&mut self) -> String {
        let next = self.next(Duration::from_secs(10)).await.expect("a message");
        assert_eq!(next["params"]["_meta"][SUBSCRIPTION], "l-1", "{next}");
        next["method"].as_str().unwrap().to_owned()
    }

    async fn hears_nothing(&mut self, what: &str) {
        let next = self.next(Duration::from_millis(300)).await;
        assert_eq!(next, None, "{what}");
    }
}

fn all() -> Value {
    json!({"toolsListChanged": true, "promptsListChanged": true, "resourcesListChanged": true})
}

/// Offers a prompt of this name from now on.
fn offer(lab: &Lab, name: &str, what: &str) {
    let listing = json!({"name": name, "description": what});
    let one = Offer { name: name.parse().unwrap(), listing };
    lab.executor.catalogue.lock().unwrap().prompts = vec![one];
    lab.executor.changes();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_told_which_of_its_own_lists_changed() {
    let lab = Lab::start(Wanted::default()).await;
    let run = lab.run(&[ADJUST]);
    let mut wanted = all();
    // Which the shipped policy does not know.
    wanted["resourceSubscriptions"] = json!(["files+file:///srv/books/a"]);
    let mut listener = Listener::of(&run, &run.token, &wanted).await;
    let first = listener.next(Duration::from_secs(10)).await.expect("a message");
    assert_eq!(first["method"], "notifications/subscriptions/acknowledged");
    assert_eq!(first["params"], json!({"notifications": all(), "_meta": {SUBSCRIPTION: "l-1"}}));
    // What is offered at first may be another than what was known when it began to listen.
    listener.hears_nothing("nothing changed").await;

    offer(&lab, "files.review", "a review");
    assert_eq!(listener.hears().await, "notifications/prompts/list_changed");
    offer(&lab, "files.review", "another review");
    assert_eq!(listener.hears().await, "notifications/prompts/list_changed");
    *lab.executor.withheld.lock().unwrap() = vec![ADJUST.parse().unwrap()];
    lab.executor.changes();
    assert_eq!(listener.hears().await, "notifications/tools/list_changed");

    // Of what it is not told it does not hear either.
    *lab.executor.withheld.lock().unwrap() = vec![ADJUST.parse().unwrap(), QUERY.parse().unwrap()];
    lab.executor.changes();
    listener.hears_nothing("another's tool").await;
    lab.executor.changes();
    listener.hears_nothing("no change").await;
    let is_recorded = |event: &Event| match event {
        Event::Decided { call, .. } => {
            call.method.as_ref().is_some_and(|method| method.raw() == "subscriptions/listen")
        }
        _ => false,
    };
    assert_eq!(lab.events().iter().filter(|event| is_recorded(event)).count(), 1);
}

/// Changes of one flapping server.
const FLAPS: u128 = 400;

/// The attack: a server changes what it offers as fast as it can, so that all who listen are busy with it.
#[tokio::test(flavor = "multi_thread")]
async fn what_changes_all_the_time_is_told_now_and_then_and_then_as_it_is() {
    let lab = Lab::start(Wanted::default()).await;
    let run = lab.run(&[ADJUST]);
    let mut listener = Listener::of(&run, &run.token, &all()).await;
    listener.hears().await;
    let began = std::time::Instant::now();
    for flap in 0..FLAPS {
        offer(&lab, "files.review", &format!("review {flap}"));
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    // Five times a second, however long it took.
    let told_max = began.elapsed().as_millis() / 200 + 3;
    let mut heard = 0;
    while listener.next(Duration::from_millis(600)).await.is_some() {
        heard += 1;
    }
    assert!((2..=told_max).contains(&heard), "{heard} told, at most {told_max}");
    assert!(heard < FLAPS / 2, "{heard} told of {FLAPS} changes");
    offer(&lab, "files.review", "as it is");
    assert_eq!(listener.hears().await, "notifications/prompts/list_changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_hears_of_what_it_named_alone() {
    let lab = Lab::start(Wanted::default()).await;
    let run = lab.run(&[ADJUST]);
    let wanted = json!({"toolsListChanged": true});
    let mut listener = Listener::of(&run, &run.token, &wanted).await;
    let first = listener.next(Duration::from_secs(10)).await.expect("a message");
    assert_eq!(first["params"]["notifications"], wanted);
    offer(&lab, "files.review", "a review");
    listener.hears_nothing("a list that it did not name").await;
    *lab.executor.withheld.lock().unwrap() = vec![ADJUST.parse().unwrap()];
    lab.executor.changes();
    assert_eq!(listener.hears().await, "notifications/tools/list_changed", "the control");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_token_or_takes_no_stream_or_listens_enough_does_not_listen() {
    let lab = Lab::start(Wanted::default()).await;
    let run = lab.run(&[ADJUST]);
    let bearer = format!("Bearer {}", run.token);
    let headers = |bearer, accept| {
        [
            ("authorization", bearer),
            ("accept", accept),
            ("mcp-protocol-version", REVISION),
            ("mcp-method", "subscriptions/listen"),
        ]
    };
    for (what, bearer, accept, reason) in [
        ("no token", "", "application/json, text/event-stream", "token.invalid"),
        ("one message", bearer.as_str(), "application/json", "message.invalid"),
    ] {
        let mut client = Client::connect(&run.socket).await;
        let got = client.post(&message(&all()), &headers(bearer, accept)).await.unwrap();
        assert_eq!(got.reason(), reason, "{what}: {got:?}");
    }
    let run = lab.run(&[ADJUST]);
    let mut listeners = Vec::new();
    for _ in 0..4 {
        let mut listener = Listener::of(&run, &run.token, &all()).await;
        listener.hears().await;
        listeners.push(listener);
    }
    let bearer = format!("Bearer {}", run.token);
    let accept = "application/json, text/event-stream";
    let mut client = Client::connect(&run.socket).await;
    let got = client.post(&message(&all()), &headers(&bearer, accept)).await.unwrap();
    assert_eq!(got.reason(), "cap.in_flight", "{got:?}");
    let of_the_run: Vec<bool> = lab
        .events()
        .into_iter()
        .filter_map(|event| match event {
            Event::Decided { call, verdict } if call.run == run.entry.run => {
                Some(verdict == Verdict::Allowed)
            }
            _ => None,
        })
        .collect();
    let told = [true, true, true, true, false];
    assert_eq!(of_the_run, told, "what was refused is in the log as that alone");
    // One that hung up makes room.
    drop(listeners.pop());
    lab.until("there is room", |lab| {
        let live = lab.gateway.runs.get(run.entry.run)?;
        (live.listening.available_permits() == 1).then_some(())
    })
    .await;
    Listener::of(&run, &run.token, &all()).await.hears().await;
}

/// A stream does not outlive its token, nor the gateway.
#[tokio::test(flavor = "multi_thread")]
async fn listening_ends_with_the_token_and_with_the_gateway() {
    let lab = Lab::start(Wanted::default()).await;
    let run = lab.run(&[ADJUST]);
    let short = lab.token(&run.entry, &[ADJUST], |claims| claims.exp = now_unix_s() + 2);
    let mut ends = Listener::of(&run, &short, &all()).await;
    let mut stays = Listener::of(&run, &run.token, &all()).await;
    for listener in [&mut ends, &mut stays] {
        listener.hears().await;
    }
    let last = ends.next(Duration::from_secs(10)).await.expect("an answer");
    assert_eq!((&last["id"], &last["result"]["resultType"]), (&json!("l-1"), &json!("complete")));
    assert_eq!(last["result"]["_meta"][SUBSCRIPTION], "l-1");
    stays.hears_nothing("another token").await;
    let began = std::time::Instant::now();
    lab.gateway.stop().await;
    assert!(began.elapsed() < Duration::from_secs(5), "the gateway does not wait for it");
    let last = stays.next(Duration::from_secs(10)).await.expect("an answer");
    assert_eq!(last["id"], "l-1");
}
