//! HTTP+SSE of 2024-11-05: a stream that answers come on, and what it does not open.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use super::super::http::Patience;
use super::client::{ADJUST, Client, Got, adjust, raw, request, tool_call};
use super::doubles::Mood;
use super::lab::{Lab, LabRun, Wanted};
use crate::audit::Outcome;
use crate::call::Level;
use crate::wire::MayTell;

const SOON: Duration = Duration::from_secs(10);

/// Long enough for a message that is on its way.
const SHORT: Duration = Duration::from_millis(200);

/// A client's stream.
pub(super) struct Stream {
    stream: UnixStream,
    heard: String,
    pub(super) endpoint: String,
}

fn get(token: &str, more: &str) -> String {
    format!(
        "GET /sse HTTP/1.1\r\nhost: atf\r\naccept: text/event-stream\r\n\
         authorization: Bearer {token}\r\n{more}\r\n"
    )
}

impl Stream {
    pub(super) async fn of(run: &LabRun) -> Self {
        let mut one = Self::opened(run, &get(&run.token, "")).await;
        let first = one.event(SOON).await.expect("an event");
        let (head, endpoint) = first.split_once("event: endpoint\ndata: ").expect("an endpoint");
        assert!(head.starts_with("HTTP/1.1 200 ") && head.contains("text/event-stream"), "{head}");
        one.endpoint = endpoint.to_owned();
        one
    }

    /// One that this request opens.
    pub(super) async fn opened(run: &LabRun, head: &str) -> Self {
        let mut stream = UnixStream::connect(&run.socket).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        Self { stream, heard: String::new(), endpoint: String::new() }
    }

    /// The next event; none when there was none in `patience`, or it ended.
    async fn event(&mut self, patience: Duration) -> Option<String> {
        let read = async {
            loop {
                if let Some((event, rest)) = self.heard.split_once("\n\n") {
                    let event = event.to_owned();
                    self.heard = rest.to_owned();
                    // A sign of life is none.
                    if event.contains("data: ") {
                        return Some(event);
                    }
                    continue;
                }
                let mut some = [0; 4_096];
                let read = self.stream.read(&mut some).await.ok().filter(|read| *read > 0)?;
                self.heard.push_str(std::str::from_utf8(&some[..read]).unwrap());
            }
        };
        tokio::time::timeout(patience, read).await.ok()?
    }

    pub(super) async fn hears(&mut self) -> Value {
        let event = self.event(SOON).await.expect("a message");
        let (_, data) = event.split_once("event: message\ndata: ").expect("data");
        serde_json::from_str(data).unwrap()
    }

    pub(super) async fn hears_nothing(&mut self, what: &str) {
        assert_eq!(self.event(SHORT).await, None, "{what}");
    }

    /// Whether it ends in time, with its connection or before it.
    pub(super) async fn ends(&mut self) -> bool {
        let read = async {
            while !self.heard.ends_with("\r\n0\r\n\r\n") {
                let mut some = [0; 4_096];
                match self.stream.read(&mut some).await {
                    Ok(read @ 1..) => self.heard.push_str(&String::from_utf8_lossy(&some[..read])),
                    Ok(0) | Err(_) => return,
                }
            }
        };
        tokio::time::timeout(SOON, read).await.is_ok()
    }
}

/// Posts to a stream, as clients of that time do.
async fn posted(socket: &Path, to: &str, body: &str, more: &str) -> String {
    let said = format!(
        "POST {to} HTTP/1.1\r\nhost: atf\r\ncontent-type: application/json\r\naccept: */*\r\n\
         connection: close\r\ncontent-length: {}\r\n{more}\r\n{body}",
        body.len()
    );
    raw(socket, said.into_bytes(), SOON).await
}

fn bearer(token: &str) -> String {
    format!("authorization: Bearer {token}\r\n")
}

pub(super) async fn said(run: &LabRun, stream: &Stream, body: &str) {
    let got = posted(&run.socket, &stream.endpoint, body, &bearer(&run.token)).await;
    assert!(got.starts_with("HTTP/1.1 202 "), "{got}");
}

fn initialize() -> String {
    let client = json!({"name": "t", "version": "1"});
    let params = json!({"protocolVersion": "2024-11-05", "capabilities": {}, "clientInfo": client});
    request("initialize", &params)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_answered_on_its_stream() {
    let lab = Lab::start(Wanted::default()).await;
    let run = lab.run(&[ADJUST]);
    let (mut stream, mut other) = (Stream::of(&run).await, Stream::of(&run).await);
    assert_ne!(stream.endpoint, other.endpoint);
    said(&run, &stream, &initialize()).await;
    let hello = stream.hears().await;
    assert_eq!(hello["result"]["protocolVersion"], "2024-11-05");
    let note = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    said(&run, &stream, &note.to_string()).await;
    stream.hears_nothing("a notification has no answer").await;
    said(&run, &stream, &request("tools/list", &json!({}))).await;
    assert_eq!(stream.hears().await["result"]["tools"][0]["name"], ADJUST);
    said(&run, &stream, &adjust(1)).await;
    let answer = stream.hears().await;
    assert_eq!(
        (&answer["id"], &answer["result"]["content"][0]["text"]),
        (&json!(7), &json!("3 rows"))
    );
    said(&run, &stream, &tool_call("ledger.query", &json!({"sql": "SELECT 1"}))).await;
    assert_eq!(stream.hears().await["error"]["code"], 403, "its token does not name it");
    said(&run, &stream, "[").await;
    assert_eq!(stream.hears().await["error"]["code"], -32_700);
    other.hears_nothing("another client's answers").await;
    assert_eq!(lab.outcomes().len(), 1);
    // A stream is no session of the transport that came after it.
    assert!(run_of(&lab, &run).sessions.get("").is_none());
}

fn run_of(lab: &Lab, run: &LabRun) -> std::sync::Arc<super::super::runs::LiveRun> {
    lab.gateway.runs.get(run.entry.run).expect("it lives")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_opened_by_the_rules_of_a_call() {
    let lab = Lab::start(Wanted::default()).await;
    let (run, other) = (lab.run(&[ADJUST]), lab.run(&[ADJUST]));
    let control = Stream::of(&run).await;
    for (what, head, status) in [
        ("no token", get("", ""), "401"),
        ("another run's token", get(&other.token, ""), "401"),
        ("an origin of the web", get(&run.token, "origin: http://example.org\r\n"), "403"),
        ("two hosts", get(&run.token, "host: example.org\r\n"), "403"),
        ("no events", get(&run.token, "").replace("text/event-stream", "application/json"), "406"),
        ("a POST", get(&run.token, "").replace("GET", "POST"), "405"),
        ("a query", get(&run.token, "").replace("/sse", "/sse?a=b"), "404"),
        ("the stateless revision", get(&run.token, "mcp-protocol-version: 2026-07-28\r\n"), "400"),
    ] {
        let head = head.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n");
        let got = raw(&run.socket, head.into_bytes(), SOON).await;
        assert!(got.starts_with(&format!("HTTP/1.1 {status} ")), "{what}: {got}");
        assert!(!got.contains("endpoint"), "{what}: {got}");
        assert_eq!(got.contains("www-authenticate: "), status == "401", "{what}: {got}");
    }
    assert_eq!(lab.outcomes().len(), 0);

    // A run has eight of them; one that is gone makes room.
    let mut held = vec![control];
    for _ in 0..7 {
        held.push(Stream::of(&run).await);
    }
    let head = get(&run.token, "connection: close\r\n");
    let got = raw(&run.socket, head.into_bytes(), SOON).await;
    assert!(got.starts_with("HTTP/1.1 429 "), "{got}");
    let _others = Stream::of(&other).await;
    drop(held.pop());
    let is_room = |lab: &Lab| (run_of(lab, &run).streams.count() == 7).then_some(());
    lab.until("there is room", is_room).await;
    Stream::of(&run).await;

    let sealed = lab.run(&[ADJUST]);
    run_of(&lab, &sealed).seal();
    let head = get(&sealed.token, "connection: close\r\n");
    let got = raw(&sealed.socket, head.into_bytes(), SOON).await;
    assert!(got.starts_with("HTTP/1.1 403 ") && got.contains("run.sealed"), "{got}");
}

/// The attacks: a word that is guessed, another run's, that of a stream that is gone; the token of another run,
/// or none; a message of the other era.
#[tokio::test(flavor = "multi_thread")]
async fn a_word_grants_nothing_and_is_of_its_run_and_stream() {
    let lab = Lab::start(Wanted::default()).await;
    let (run, other) = (lab.run(&[ADJUST]), lab.run(&[ADJUST]));
    let (mut stream, mut others) = (Stream::of(&run).await, Stream::of(&other).await);
    let gone = Stream::of(&run).await;
    let word = gone.endpoint.clone();
    drop(gone);
    let is_gone = |lab: &Lab| (run_of(lab, &run).streams.count() == 1).then_some(());
    lab.until("it is gone", is_gone).await;
    let own = bearer(&run.token);
    let guessed = format!("/messages?session_id={}", "0".repeat(64));
    let more = format!("{}&a=b", stream.endpoint);
    for (what, to, header, status) in [
        ("another run's", others.endpoint.as_str(), own.clone(), "404"),
        ("a guessed one", &guessed, own.clone(), "404"),
        ("one that is gone", &word, own.clone(), "404"),
        ("an empty one", "/messages?session_id=", own.clone(), "404"),
        ("none", "/messages", own.clone(), "404"),
        ("another query", &more, own.clone(), "404"),
        ("an origin of the web", &stream.endpoint, format!("{own}origin: http://a.b\r\n"), "403"),
        ("no JSON", &stream.endpoint, format!("{own}content-type: text/plain\r\n"), "415"),
        (
            "the stateless revision",
            &stream.endpoint,
            format!("{own}mcp-protocol-version: 2026-07-28\r\n"),
            "400",
        ),
    ] {
        let got = posted(&run.socket, to, &adjust(1), &header).await;
        assert!(got.starts_with(&format!("HTTP/1.1 {status} ")), "{what}: {got}");
    }
    others.hears_nothing("nothing came").await;
    // Each in a run of its own: three refusals seal one.
    for header in [String::new(), bearer(&other.token)] {
        let run = lab.run(&[ADJUST]);
        let mut stream = Stream::of(&run).await;
        let got = posted(&run.socket, &stream.endpoint, &adjust(1), &header).await;
        assert!(got.starts_with("HTTP/1.1 202 "), "{got}");
        assert_eq!(stream.hears().await["error"]["code"], 401, "{header}");
    }
    let mut stateless: Value = serde_json::from_str(&adjust(1)).unwrap();
    stateless["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!("2026-07-28");
    stateless["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({});
    said(&run, &stream, &stateless.to_string()).await;
    assert_eq!(stream.hears().await["error"]["code"], -32_020);
    assert!(lab.executor.acts.lock().unwrap().is_empty());
    said(&run, &stream, &adjust(1)).await;
    assert_eq!(stream.hears().await["id"], 7, "the control");
    assert_eq!(lab.executor.acts.lock().unwrap().len(), 1);
}

/// The attack: a run asks for much and reads nothing.
#[tokio::test(flavor = "multi_thread")]
async fn one_that_does_not_read_is_cut_off_and_holds_up_nobody() {
    let patience = Patience { body: Duration::from_millis(500), ..Patience::default() };
    let lab = Lab::start(Wanted { patience, ..Wanted::default() }).await;
    let (slow, quick) = (lab.run(&[ADJUST]), lab.run(&[ADJUST]));
    let text = "x".repeat(200_000);
    *lab.executor.result.lock().unwrap() =
        json!({"content": [{"type": "text", "text": text}]}).to_string();
    let (mut stream, mut reads) = (Stream::of(&slow).await, Stream::of(&quick).await);
    for _ in 0..8 {
        said(&slow, &stream, &adjust(1)).await;
    }
    said(&quick, &reads, &adjust(1)).await;
    assert_eq!(reads.hears().await["id"], 7, "another run");
    lab.until("its calls end", |lab| (lab.outcomes().len() == 9).then_some(())).await;
    let is_cut = |lab: &Lab| (run_of(lab, &slow).streams.count() == 0).then_some(());
    lab.until("it is cut off", is_cut).await;
    assert!(stream.ends().await);
    let has_all = |lab: &Lab| {
        let live = run_of(lab, &slow);
        (live.calls.available_permits() == lab.gateway.settings.calls_per_run_max).then_some(())
    };
    lab.until("its calls are given back", has_all).await;
    said(&quick, &reads, &adjust(1)).await;
    assert_eq!(reads.hears().await["id"], 7, "the control is read and stays");
}

/// Before 2026-07-28 hanging up cancels nothing. The call is made and recorded.
#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_stream_cancels_nothing_and_its_client_does_by_number() {
    let lab = Lab::start(Wanted::default()).await;
    let run = lab.run(&[ADJUST]);
    lab.executor.mood.set(Mood::Waits);
    let (stream, other) = (Stream::of(&run).await, Stream::of(&run).await);
    said(&run, &stream, &adjust(1)).await;
    lab.until("the call", |lab| lab.executor.acts.lock().unwrap().pop()).await;
    let seven = json!({"jsonrpc": "2.0", "method": "notifications/cancelled",
        "params": {"requestId": 7}});
    let cancels = async || {
        tokio::time::sleep(SHORT).await;
        lab.executor.cancelled.lock().unwrap().len()
    };
    said(&run, &other, &seven.to_string()).await;
    assert_eq!(cancels().await, 0, "another stream");
    said(&run, &stream, &seven.to_string()).await;
    assert_eq!(cancels().await, 1);
    said(&run, &other, &adjust(1)).await;
    lab.until("the call", |lab| lab.executor.acts.lock().unwrap().pop()).await;
    drop(other);
    assert_eq!(cancels().await, 1, "the end of a stream");
    lab.executor.mood.set(Mood::Works);
    lab.until("the outcomes", |lab| (lab.outcomes().len() == 2).then_some(())).await;
    assert!(lab.outcomes().iter().all(|one| matches!(one, Outcome::Answered { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_stream_ends_and_one_that_is_used_does_not() {
    let patience = Patience { stream: Duration::from_millis(600), ..Patience::default() };
    let lab = Lab::start(Wanted { patience, ..Wanted::default() }).await;
    let run = lab.run(&[ADJUST]);
    let (mut silent, mut used) = (Stream::of(&run).await, Stream::of(&run).await);
    for _ in 0..6 {
        tokio::time::sleep(SHORT).await;
        said(&run, &used, &request("ping", &json!({}))).await;
        assert_eq!(used.hears().await["result"], json!({}));
    }
    assert_eq!(run_of(&lab, &run).streams.count(), 1);
    assert!(silent.ends().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_level_is_of_its_stream() {
    let servers = json!({"ledger": {"notices": ["notifications/message"]}});
    let lab = Lab::start(Wanted { servers: Some(servers), ..Wanted::default() }).await;
    let run = lab.run(&[ADJUST]);
    let (mut loud, mut other) = (Stream::of(&run).await, Stream::of(&run).await);
    said(&run, &loud, &request("logging/setLevel", &json!({"level": "warning"}))).await;
    assert_eq!(loud.hears().await["result"], json!({}));
    for (stream, level) in [(&mut loud, Some(Level::Warning)), (&mut other, None)] {
        said(&run, stream, &adjust(1)).await;
        assert_eq!(stream.hears().await["id"], 7);
        let act = lab.executor.acts.lock().unwrap().pop().expect("an act");
        assert_eq!(act.permit.may_tell, MayTell { level, ..MayTell::default() });
    }
}

/// Clients that know both ask the newer transport first, at the same place.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_asks_the_newer_way_first_is_told_so() {
    let lab = Lab::start(Wanted::default()).await;
    let run = lab.run(&[ADJUST]);
    let got = posted(&run.socket, "/sse", &initialize(), &bearer(&run.token)).await;
    assert!(got.starts_with("HTTP/1.1 405 ") && got.contains("allow: GET\r\n"), "{got}");
    let mut client = Client::connect(&run.socket).await;
    let own = format!("Bearer {}", run.token);
    let got: Got = client.post(&adjust(1), &[("authorization", &own)]).await.unwrap();
    assert_eq!(got.status, 200, "the control");
}
