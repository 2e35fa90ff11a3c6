//! Subscriptions to single resources: who is told, by whose word, and when that ends.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use super::client::{Client, Got, raw, request};
use super::doubles::Mood;
use super::lab::{Lab, LabRun, Wanted, prompt};
use super::streams::{Stream, said};
use crate::audit::Event;
use crate::call::Target;
use crate::wire::Registry;

const SUBSCRIBE: &str = "resources/subscribe";
const BOOK: &str = "files+file:///srv/books/a";
const OTHER: &str = "files+file:///srv/books/b";

fn servers() -> Value {
    json!({"files": {"methods": [SUBSCRIBE]}})
}

async fn lab() -> Lab {
    Lab::start(Wanted { servers: Some(servers()), ..Wanted::default() }).await
}

fn asks(method: &str, uri: &str) -> String {
    let meta = json!({"io.atf/promptSha256": prompt().to_string()});
    request(method, &json!({"uri": uri, "_meta": meta}))
}

async fn posted(run: &LabRun, session: &str, body: &str) -> Got {
    let bearer = format!("Bearer {}", run.token);
    let headers = [("authorization", bearer.as_str()), ("mcp-session-id", session)];
    Client::connect(&run.socket).await.post(body, &headers).await.unwrap()
}

async fn begun(run: &LabRun) -> String {
    let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}});
    posted(run, "", &request("initialize", &params)).await.header("mcp-session-id").to_owned()
}

/// The stream of a session.
async fn listens(run: &LabRun, session: &str) -> Stream {
    let head = format!(
        "GET /mcp HTTP/1.1\r\nhost: atf\r\naccept: text/event-stream\r\nmcp-session-id: {session}\r\n\
         authorization: Bearer {}\r\n\r\n",
        run.token
    );
    Stream::opened(run, &head).await
}

fn updated(uri: &str) -> Value {
    json!({"jsonrpc": "2.0", "method": "notifications/resources/updated", "params": {"uri": uri}})
}

/// Waits until so many are told of the book.
async fn told(lab: &Lab, count: usize) {
    lab.until("so many are told", |lab| (lab.executor.updates(BOOK) == count).then_some(())).await;
}

fn live(lab: &Lab, run: &LabRun) -> std::sync::Arc<super::super::runs::LiveRun> {
    lab.gateway.runs.get(run.entry.run).expect("it lives")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_told_of_what_it_subscribed_to_and_no_other_is() {
    let lab = lab().await;
    let (run, other) = (lab.run(&[]), lab.run(&[]));
    let (session, beside) = (begun(&run).await, begun(&run).await);
    let mut foreign = Stream::of(&other).await;
    said(&other, &foreign, &asks(SUBSCRIBE, OTHER)).await;
    assert_eq!(foreign.hears().await["result"], json!({}));
    let got = posted(&run, &session, &asks(SUBSCRIBE, BOOK)).await;
    assert_eq!((got.status, &got.json()["result"]), (200, &json!({})), "{got:?}");
    let act = lab.executor.acts.lock().unwrap().pop().expect("an act");
    assert_eq!(act.permit.target, Target::Subscription(BOOK.parse().unwrap()));
    assert_eq!(act.receipt.body.permit.to_string().len(), 64, "it is in the log");
    // What comes before the session listens waits for it, once.
    assert_eq!([lab.executor.updates(BOOK), lab.executor.updates(BOOK)], [1, 1]);
    // Both are on their way still.
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let (mut stream, mut quiet) = (listens(&run, &session).await, listens(&run, &beside).await);
    assert_eq!(stream.hears().await, updated(BOOK));
    lab.executor.updates(BOOK);
    assert_eq!(stream.hears().await, updated(BOOK));
    stream.hears_nothing("no more").await;
    quiet.hears_nothing("another session").await;
    foreign.hears_nothing("another run").await;
    // Twice is once.
    posted(&run, &session, &asks(SUBSCRIBE, BOOK)).await;
    assert_eq!(lab.executor.updates(BOOK), 1);
    assert_eq!(stream.hears().await, updated(BOOK));
    // One who did not subscribe ends nothing.
    posted(&run, &beside, &asks("resources/unsubscribe", BOOK)).await;
    posted(&run, &session, &asks("resources/unsubscribe", OTHER)).await;
    assert_eq!(lab.executor.updates(BOOK), 1, "the control");
    assert_eq!(stream.hears().await, updated(BOOK));
    let got = posted(&run, &session, &asks("resources/unsubscribe", BOOK)).await;
    assert_eq!(got.json()["result"], json!({}));
    told(&lab, 0).await;
    let is_gone = |lab: &Lab| (live(lab, &run).subscriptions.count() == 0).then_some(());
    lab.until("it is over", is_gone).await;
    // There is one stream of a session, and none of no session.
    let head = format!(
        "GET /mcp HTTP/1.1\r\nhost: atf\r\naccept: text/event-stream\r\nconnection: close\r\n\
         authorization: Bearer {}\r\n",
        run.token
    );
    for (session, status) in [(session.as_str(), "429"), ("x", "404")] {
        let head = format!("{head}mcp-session-id: {session}\r\n\r\n");
        let got = raw(&run.socket, head.into_bytes(), std::time::Duration::from_secs(5)).await;
        assert!(got.starts_with(&format!("HTTP/1.1 {status} ")), "{got}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_and_a_connection_of_lines_are_told_themselves() {
    let lab = lab().await;
    let run = lab.run(&[]);
    let mut stream = Stream::of(&run).await;
    said(&run, &stream, &asks(SUBSCRIBE, BOOK)).await;
    assert_eq!(stream.hears().await["result"], json!({}));
    let mut lines = UnixStream::connect(&run.lines).await.unwrap();
    let line = format!("Authorization: Bearer {}\n{}\n", run.token, asks(SUBSCRIBE, BOOK));
    lines.write_all(line.as_bytes()).await.unwrap();
    let mut heard = String::new();
    while heard.lines().count() < 2 {
        let mut some = [0; 1_024];
        let read = lines.read(&mut some).await.unwrap();
        heard.push_str(std::str::from_utf8(&some[..read]).unwrap());
        if heard.lines().count() == 1 && heard.ends_with('\n') {
            assert!(heard.contains(r#""result":{}"#), "{heard}");
            assert_eq!(lab.executor.updates(BOOK), 2);
        }
    }
    assert_eq!(heard.lines().last(), Some(updated(BOOK).to_string().as_str()));
    assert_eq!(stream.hears().await, updated(BOOK));
    // Each ends with its connection, and its server is told.
    drop(lines);
    told(&lab, 1).await;
    drop(stream);
    told(&lab, 0).await;
    assert_eq!(lab.executor.cancelled.lock().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_or_could_not_be_told_does_not_subscribe() {
    let lab = lab().await;
    let run = lab.run(&[]);
    let session = begun(&run).await;
    for (what, session, uri, reason) in [
        ("the control", session.as_str(), BOOK, ""),
        ("not of the token", &session, "files+file:///etc/shadow", "token.not_named"),
        ("in no session", "", OTHER, "message.invalid"),
    ] {
        let got = posted(&run, session, &asks(SUBSCRIBE, uri)).await;
        assert_eq!(got.reason(), reason, "{what}: {got:?}");
    }
    assert_eq!(lab.executor.acts.lock().unwrap().len(), 1);
    // Sixteen of a run.
    let run = lab.run(&[]);
    let session = begun(&run).await;
    for number in 0..17 {
        let uri = format!("files+file:///srv/books/{number}");
        let got = posted(&run, &session, &asks(SUBSCRIBE, &uri)).await;
        let reason = if number < 16 { "" } else { "cap.in_flight" };
        assert_eq!(got.reason(), reason, "{number}: {got:?}");
    }
    let ends = asks("resources/unsubscribe", "files+file:///srv/books/3");
    assert_eq!(posted(&run, &session, &ends).await.json()["result"], json!({}));
    let is_room = |lab: &Lab| (live(lab, &run).subscriptions.count() == 15).then_some(());
    lab.until("there is room", is_room).await;
    assert_eq!(posted(&run, &session, &asks(SUBSCRIBE, BOOK)).await.reason(), "");
    // A server that says no leaves nothing behind.
    let run = lab.run(&[]);
    let session = begun(&run).await;
    lab.executor.mood.set(Mood::Errs);
    let got = posted(&run, &session, &asks(SUBSCRIBE, BOOK)).await;
    assert_eq!(got.json()["error"]["code"], -32_002, "{got:?}");
    let is_none = |lab: &Lab| (live(lab, &run).subscriptions.count() == 0).then_some(());
    lab.until("nothing is left", is_none).await;
    // Nor does the shipped policy know one.
    let lab = Lab::start(Wanted::default()).await;
    let run = lab.run(&[]);
    let session = begun(&run).await;
    let got = posted(&run, &session, &asks(SUBSCRIBE, BOOK)).await;
    assert_eq!(got.reason(), "policy.denied", "{got:?}");
}

/// Each ends it: the session's end, a narrower token, another policy, the run's end, the server's end.
#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_ends_with_whatever_it_stands_on() {
    let dir = tempfile::tempdir().unwrap();
    let policy = dir.path().join("policy");
    super::lab::copy(&policy, |data| data["servers"] = servers());
    let lab = Lab::start(Wanted { policy_dir: Some(policy.clone()), ..Wanted::default() }).await;
    let run = lab.run(&[]);
    for what in ["session", "token", "policy", "server", "run"] {
        let session = begun(&run).await;
        let got = posted(&run, &session, &asks(SUBSCRIBE, BOOK)).await;
        assert_eq!(got.reason(), "", "{what}: {got:?}");
        let mut stream = listens(&run, &session).await;
        lab.executor.updates(BOOK);
        assert_eq!(stream.hears().await, updated(BOOK), "{what}: the control");
        posted(&run, &session, &request("ping", &json!({}))).await;
        lab.gateway.rules.reload(None).unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        assert_eq!(lab.executor.updates(BOOK), 1, "{what}: the control");
        match what {
            "session" => {
                let head = format!(
                    "DELETE /mcp HTTP/1.1\r\nhost: atf\r\nmcp-session-id: {session}\r\n\
                     connection: close\r\n\r\n"
                );
                let patience = std::time::Duration::from_secs(5);
                raw(&run.socket, head.into_bytes(), patience).await;
            }
            "token" => {
                let narrow = lab.token(&run.entry, &[], |claims| {
                    claims.entitlements.reach.resources = vec![OTHER.parse().unwrap()];
                });
                let ping = request("ping", &json!({}));
                assert_eq!(super::client::post_with(&run, &ping, &narrow).await.status, 200);
            }
            "policy" => {
                super::lab::copy(&policy, |data| {
                    data["servers"] = servers();
                    data["servers"]["other"] = json!({"methods": []});
                });
                lab.gateway.rules.reload(None).unwrap();
            }
            "server" => lab.executor.ends(None),
            _ => {
                lab.authority.tell(Registry::Close { run: run.entry.run });
            }
        }
        told(&lab, 0).await;
        if what != "run" {
            let is_gone = |lab: &Lab| (live(lab, &run).subscriptions.count() == 0).then_some(());
            lab.until(what, is_gone).await;
        }
    }
}

/// In the revision without a handshake one who listens names the resources; each is judged and recorded.
#[tokio::test(flavor = "multi_thread")]
async fn who_listens_is_told_of_the_resources_that_are_its() {
    let lab = lab().await;
    let run = lab.run(&[]);
    let revision = "2026-07-28";
    let wanted = json!({"resourceSubscriptions": [OTHER, BOOK, "files+file:///etc/shadow", "x"]});
    let meta = json!({"io.modelcontextprotocol/protocolVersion": revision,
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.atf/promptSha256": prompt().to_string()});
    let message = request("subscriptions/listen", &json!({"notifications": wanted, "_meta": meta}));
    let head = format!(
        "POST /mcp HTTP/1.1\r\nhost: atf\r\ncontent-type: application/json\r\n\
         accept: application/json, text/event-stream\r\nmcp-protocol-version: {revision}\r\n\
         mcp-method: subscriptions/listen\r\nauthorization: Bearer {}\r\n\
         content-length: {}\r\n\r\n{message}",
        run.token,
        message.len()
    );
    let mut stream = Stream::opened(&run, &head).await;
    let agreed = &stream.hears().await["params"]["notifications"];
    assert_eq!(agreed, &json!({"resourceSubscriptions": [BOOK, OTHER]}));
    let methods: Vec<String> = lab.events().iter().filter_map(method).collect();
    assert_eq!(
        methods,
        ["subscriptions/listen", SUBSCRIBE, SUBSCRIBE],
        "what is its own is judged"
    );
    assert_eq!(lab.executor.updates(BOOK), 1);
    let update = stream.hears().await;
    assert_eq!(update["params"]["uri"], BOOK);
    assert_eq!(update["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], 7);
    // What its server tells no more ends the stream, and with it the rest: its client listens anew.
    lab.executor.ends(lab.executor.acts.lock().unwrap()[0].permit.decision);
    assert_eq!(stream.hears().await["result"]["resultType"], "complete");
    let is_gone = |lab: &Lab| (live(lab, &run).subscriptions.count() == 0).then_some(());
    lab.until("all are over", is_gone).await;
}

fn method(event: &Event) -> Option<String> {
    match event {
        Event::Decided { call, .. } => Some(call.method.as_ref()?.raw().to_owned()),
        _ => None,
    }
}
