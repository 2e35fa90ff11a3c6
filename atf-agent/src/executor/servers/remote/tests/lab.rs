//! A kept server by URL, and HTTP servers that the test plays byte by byte.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::io::{
    AsyncBufRead, AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite,
    AsyncWriteExt as _,
};
use tokio::io::{BufReader, split};
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use super::super::settings::{Remote, read_one};
use crate::call::{DecisionId, Digest, Questions, RunId, Target};
use crate::executor::error::Mistrust;
use crate::executor::outcome::Reply;
use crate::executor::servers::Call;
use crate::executor::servers::bounds::{Bounds, KnownBy};
use crate::executor::servers::hear::Hear;
pub(super) use crate::executor::servers::hostile::lab::word;
use crate::executor::servers::keeper::{Kept, Reached, keep};
use crate::executor::servers::offer::Offered;
use crate::executor::servers::orders::{Giving, orders};
use crate::gate::Era;
use crate::wire::{ExecutorReply, MayTell, Told};

/// The one tool of a server that is played.
pub(super) const TOOL: &str = r#"{"name":"echo","description":"says it again","inputSchema":{}}"#;

/// How long a test waits for what has to come.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// A server that is kept, as the executor keeps it.
pub(super) struct Lab {
    pub(super) giving: Giving,
    offers: watch::Receiver<Vec<Offered>>,
    pub(super) may_tell: MayTell,
    pub(super) questions: Questions,
    pub(super) run: RunId,
    pub(super) told: Arc<Mutex<Vec<Told>>>,
    pub(super) sealed: Arc<AtomicBool>,
    pub(super) life: JoinHandle<()>,
}

/// The settings of a server at `url`, of this test's own user.
pub(super) fn remote(text: &str) -> Remote {
    read_one(text, rustix::process::geteuid().as_raw()).unwrap()
}

impl Lab {
    pub(super) fn keep(remote: Remote, era: Era, call_timeout_ms: u64) -> Self {
        let (giving, waiting) = orders(64);
        let (tell, offers) = watch::channel(Vec::new());
        let tools = Box::new(move |tools: &[Offered]| drop(tell.send_replace(tools.to_vec())));
        let may_forget = era == Era::Handshake && !remote.is_sse;
        let call_timeout = Duration::from_millis(call_timeout_ms);
        let known_by = if remote.is_sse { KnownBy::Nothing } else { KnownBy::Stream };
        let asks = remote.asks.clone();
        let bounds = Bounds { era, call_timeout, calls_max: 8, may_forget, known_by, asks };
        let offered = Hear { tools, besides: Box::new(drop) };
        let reached = Reached::Url(Arc::new(remote));
        let kept = Kept { name: "far".to_owned(), bounds, reached, offered };
        let life = tokio::spawn(keep(kept, waiting));
        Self {
            giving,
            offers,
            may_tell: MayTell::default(),
            questions: Questions::new(),
            run: RunId::random(),
            told: Arc::default(),
            sealed: Arc::default(),
            life,
        }
    }

    /// What it offers, once `is_that` holds of it.
    pub(super) async fn offers(&mut self, is_that: impl Fn(&[Offered]) -> bool) -> Vec<Offered> {
        let found = self.offers.wait_for(|tools| is_that(tools));
        tokio::time::timeout(PATIENCE, found).await.expect("it offers that").unwrap().clone()
    }

    /// What became of a call of `tool`, which is approved as it is offered.
    pub(super) async fn call(&self, tool: &str, arguments: &Value) -> ExecutorReply {
        let given = self.begin(tool, arguments).await;
        tokio::time::timeout(PATIENCE, given).await.expect("there is an outcome").unwrap()
    }

    pub(super) async fn begin(
        &self,
        tool: &str,
        arguments: &Value,
    ) -> oneshot::Receiver<ExecutorReply> {
        let offered: Option<Digest> =
            self.offers.borrow().iter().find(|one| one.tool == tool).map(|one| one.digest);
        let approved = offered.or(Some(Offered::read(TOOL).unwrap().digest));
        let target = Target::Tool(format!("far.{tool}").parse().unwrap());
        self.made(target, approved, arguments).await.1
    }

    /// One who wants to be told of the changes of a resource.
    pub(super) async fn subscribe(
        &self,
        uri: &str,
    ) -> (DecisionId, oneshot::Receiver<ExecutorReply>) {
        let target = Target::Subscription(format!("far+{uri}").parse().unwrap());
        self.made(target, None, &json!({})).await
    }

    /// Nobody waits for the call of `decision`.
    pub(super) async fn cancel(&self, decision: DecisionId) {
        self.giving.cancels.send(decision).await.unwrap();
    }

    async fn made(
        &self,
        target: Target,
        approved: Option<Digest>,
        arguments: &Value,
    ) -> (DecisionId, oneshot::Receiver<ExecutorReply>) {
        let (call, given) = self.call_of(target, approved, arguments);
        let decision = call.decision;
        assert!(self.giving.calls.send(call).await.is_ok(), "the keeper takes calls");
        (decision, given)
    }

    /// A call of the played server's tool, and what becomes of it.
    pub(super) fn echoing(&self, text: &str) -> (Call, oneshot::Receiver<ExecutorReply>) {
        let approved = Some(Offered::read(TOOL).unwrap().digest);
        let target = Target::Tool("far.echo".parse().unwrap());
        self.call_of(target, approved, &json!({ "text": text }))
    }

    fn call_of(
        &self,
        target: Target,
        approved: Option<Digest>,
        arguments: &Value,
    ) -> (Call, oneshot::Receiver<ExecutorReply>) {
        let (give, given) = oneshot::channel();
        let (told, sealed) = (Arc::clone(&self.told), Arc::clone(&self.sealed));
        let call = Call {
            decision: DecisionId::random(),
            run: self.run,
            began: None,
            may_tell: self.may_tell,
            defers: None,
            target,
            approved,
            arguments: RawValue::from_string(arguments.to_string()).unwrap(),
            questions: self.questions.clone(),
            asks_by_request: true,
            answers: None,
            unexpired: Arc::new(|| Ok(())),
            unsealed: Arc::new(move || match sealed.load(Ordering::SeqCst) {
                false => Ok(()),
                true => Err(Mistrust::Sealed { why: "the test says so".to_owned() }),
            }),
            is_again: false,
            reply: Reply::new(move |reply| drop(give.send(reply))).telling(
                move |reply| match reply {
                    ExecutorReply::Told { told: one } => told.lock().unwrap().push(one),
                    other => panic!("{other:?} before the answer"),
                },
            ),
        };
        (call, given)
    }

    /// A call of the played server's tool, in words.
    pub(super) async fn echo(&self, text: &str) -> String {
        word(self.call("echo", &json!({ "text": text })).await)
    }

    /// Ends it as the executor ends it.
    pub(super) async fn end(self) {
        let Self { giving, life, .. } = self;
        drop(giving);
        tokio::time::timeout(PATIENCE, life).await.expect("it ends").unwrap();
    }
}

/// One request that a played server had.
#[derive(Clone)]
pub(super) struct Request {
    pub(super) head: String,
    pub(super) body: Value,
}

impl Request {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub(super) fn method(&self) -> &str {
        self.body["method"].as_str().unwrap_or_default()
    }

    pub(super) fn text(&self) -> &str {
        self.body["params"]["arguments"]["text"].as_str().unwrap_or_default()
    }

    pub(super) fn is_get(&self) -> bool {
        self.head.starts_with("GET ")
    }

    /// A message that answers it.
    pub(super) fn answer(&self, result: &Value) -> String {
        json!({"jsonrpc": "2.0", "id": self.body["id"], "result": result}).to_string()
    }
}

/// What a played server does with a request.
pub(super) enum Play {
    /// Says this, and waits for the next request.
    Say(Vec<u8>),
    /// Says the first, and the second again and again.
    Endless(Vec<u8>, Vec<u8>),
    /// Says this, and closes.
    Close(Vec<u8>),
    /// Says this and nothing more, and does not close.
    Hang(Vec<u8>),
    /// Says this, and closes with what comes of all that it hears meanwhile.
    Until(Vec<u8>, Until),
}

/// What a played server says at last, when it has heard enough.
type Until = Box<dyn Fn(&[Request]) -> Option<Vec<u8>> + Send>;

type Script = Arc<dyn Fn(&Request) -> Play + Send + Sync>;

/// A server that is played.
#[derive(Clone)]
pub(super) struct Played {
    script: Script,
    heard: Arc<Mutex<Vec<Request>>>,
}

impl Played {
    pub(super) fn new(script: impl Fn(&Request) -> Play + Send + Sync + 'static) -> Self {
        Self { script: Arc::new(script), heard: Arc::default() }
    }

    /// What it does with a request.
    pub(super) fn plays(&self, request: &Request) -> Play {
        (self.script)(request)
    }

    /// All that it heard.
    pub(super) fn heard(&self) -> Vec<Request> {
        self.heard.lock().unwrap().clone()
    }

    /// Serves on a port of loopback, which it says.
    pub(super) async fn on_loopback(&self) -> (u16, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        (port, self.on(listener))
    }

    pub(super) fn on(&self, listener: TcpListener) -> JoinHandle<()> {
        let played = self.clone();
        tokio::spawn(async move {
            let mut all = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                all.spawn(played.clone().serve(stream));
            }
        })
    }

    /// Serves one connection.
    pub(super) async fn serve(self, stream: impl AsyncRead + AsyncWrite + Unpin) {
        let (from, mut to) = split(stream);
        let mut from = BufReader::new(from);
        while let Some(request) = read(&mut from).await {
            self.heard.lock().unwrap().push(request.clone());
            match (self.script)(&request) {
                Play::Say(bytes) => drop(to.write_all(&bytes).await),
                Play::Endless(first, again) => {
                    let mut ended = to.write_all(&first).await.is_err();
                    while !ended {
                        ended = to.write_all(&again).await.is_err();
                    }
                    return;
                }
                Play::Close(bytes) => {
                    drop(to.write_all(&bytes).await);
                    drop(to.shutdown().await);
                    return;
                }
                Play::Until(bytes, says) => {
                    drop(to.write_all(&bytes).await);
                    loop {
                        if let Some(last) = says(&self.heard()) {
                            drop(to.write_all(&last).await);
                            drop(to.shutdown().await);
                            return;
                        }
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                }
                Play::Hang(bytes) => {
                    drop(to.write_all(&bytes).await);
                    // Until the other side hangs up.
                    drop(from.read_u8().await);
                    return;
                }
            }
        }
    }
}

async fn read(from: &mut (impl AsyncBufRead + Unpin)) -> Option<Request> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if from.read_line(&mut head).await.ok()? == 0 {
            return None;
        }
    }
    let request = Request { head, body: Value::Null };
    let length = request.header("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    from.read_exact(&mut body).await.ok()?;
    let body = serde_json::from_slice(&body).unwrap_or_default();
    Some(Request { body, ..request })
}

/// A whole answer.
pub(super) fn answer(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{headers}\r\n");
    [head.as_bytes(), body].concat()
}

/// An answer by JSON.
pub(super) fn json_answer(text: &str) -> Vec<u8> {
    answer("200 OK", "Content-Type: application/json\r\n", text.as_bytes())
}

/// An answer by events.
pub(super) fn events(text: &str) -> Vec<u8> {
    answer("200 OK", "Content-Type: text/event-stream\r\n", text.as_bytes())
}

/// What an honest server does, in a session of this name.
pub(super) fn honest(request: &Request, session: &str) -> Play {
    if !request.head.starts_with("POST ") {
        let status = if request.is_get() { "405 Method Not Allowed" } else { "204 No Content" };
        return Play::Say(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").into_bytes());
    }
    let result = match request.method() {
        "initialize" => {
            let result = json!({"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}});
            let headers =
                format!("Content-Type: application/json\r\nMcp-Session-Id: {session}\r\n");
            let text = request.answer(&result);
            return Play::Say(answer("200 OK", &headers, text.as_bytes()));
        }
        "server/discover" => {
            json!({"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}})
        }
        "tools/list" => {
            let tool: Value = serde_json::from_str(TOOL).unwrap();
            json!({ "tools": [tool] })
        }
        "tools/call" => json!({"content": [], "of": request.text()}),
        "subscriptions/listen" => {
            return Play::Say(answer("404 Not Found", "", b""));
        }
        _ => return Play::Say(answer("202 Accepted", "", b"")),
    };
    Play::Say(json_answer(&request.answer(&result)))
}
