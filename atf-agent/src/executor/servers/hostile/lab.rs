//! A session with a server that the test plays.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::io::{AsyncWriteExt as _, DuplexStream, ReadHalf, WriteHalf, duplex, split};
use tokio::sync::mpsc::Sender;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::call::{DecisionId, Questions, RunId, Target};
use crate::executor::error::Mistrust;
use crate::executor::outcome::Reply;
use crate::executor::servers::Call;
use crate::executor::servers::bounds::{Bounds, KnownBy};
use crate::executor::servers::framing::{Line, Lines};
use crate::executor::servers::hear::Hear;
use crate::executor::servers::offer::Offered;
use crate::executor::servers::orders::{Answering, Giving, orders};
use crate::executor::servers::request::capabilities;
use crate::executor::servers::session::{Ended, live};
use crate::executor::servers::sides::over;
use crate::gate::Era;
use crate::wire::{ExecutorReply, MayTell, Told};

/// The one tool of the server.
pub(super) const TOOL: &str = r#"{"name":"echo","description":"says it again","inputSchema":{}}"#;

/// A session with a server that the test plays.
pub(super) struct Lab {
    pub(super) calls: Sender<Call>,
    pub(super) cancels: Sender<DecisionId>,
    pub(super) answers: Sender<Answering>,
    pub(super) may_tell: MayTell,
    pub(super) told: Arc<Mutex<Vec<Told>>>,
    pub(super) hears: Lines<ReadHalf<DuplexStream>>,
    pub(super) says: WriteHalf<DuplexStream>,
    pub(super) life: JoinHandle<Ended>,
    pub(super) sealed: Arc<AtomicBool>,
    pub(super) expired: Arc<AtomicBool>,
}

pub(super) fn bounds(timeout_ms: u64, calls_max: usize) -> Bounds {
    let call_timeout = Duration::from_millis(timeout_ms);
    Bounds {
        era: Era::Handshake,
        call_timeout,
        calls_max,
        may_forget: false,
        known_by: KnownBy::Nothing,
        asks: Questions::new(),
    }
}

impl Lab {
    /// Before the handshake; the stream holds `room` bytes that nobody has read.
    pub(super) fn silent(bounds: Bounds, room: usize) -> Self {
        let (ours, theirs) = duplex(room);
        let (Giving { calls, answers, cancels }, mut waiting) = orders(256);
        let (from, to) = split(ours);
        let life = tokio::spawn(async move {
            let offered = Hear { tools: Box::new(|_| {}), besides: Box::new(drop) };
            live("fixture", bounds, over(from, to), &mut waiting, &offered).await
        });
        let (hears, says) = split(theirs);
        let hears = Lines::new(hears, 1 << 20);
        Self {
            calls,
            cancels,
            answers,
            may_tell: MayTell::default(),
            told: Arc::default(),
            hears,
            says,
            life,
            sealed: Arc::default(),
            expired: Arc::default(),
        }
    }

    pub(super) async fn greeted(bounds: Bounds) -> Self {
        let can = json!(capabilities(&bounds.asks));
        let mut lab = Self::silent(bounds, 64 << 10);
        let asked = lab.hear().await;
        assert_eq!(asked["method"], "initialize");
        assert_eq!(asked["params"]["capabilities"], can);
        let result = json!({"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}});
        lab.answer(&asked, &result).await;
        assert_eq!(lab.hear().await["method"], "notifications/initialized");
        lab.list(TOOL).await;
        lab
    }

    /// Is asked for its tools, and offers one.
    pub(super) async fn list(&mut self, tool: &str) {
        let asked = self.hear().await;
        assert_eq!(asked["method"], "tools/list");
        let tool: Value = serde_json::from_str(tool).unwrap();
        self.answer(&asked, &json!({"tools": [tool]})).await;
    }

    pub(super) async fn hear(&mut self) -> Value {
        let wait = tokio::time::timeout(Duration::from_secs(10), self.hears.next());
        match wait.await.expect("the server hears something").unwrap() {
            Some(Line::Whole(line)) => serde_json::from_slice(&line).unwrap(),
            Some(Line::Cut(_)) | None => panic!("the session ended"),
        }
    }

    pub(super) async fn say(&mut self, bytes: &[u8]) {
        // A session that has ended does not read any more.
        let _ended = self.says.write_all(bytes).await;
    }

    pub(super) async fn answer(&mut self, asked: &Value, result: &Value) {
        let message = json!({"jsonrpc": "2.0", "id": asked["id"], "result": result});
        self.say(format!("{message}\n").as_bytes()).await;
    }

    pub(super) async fn call(&self, text: &str) -> oneshot::Receiver<ExecutorReply> {
        let (give, given) = oneshot::channel();
        let call = self.made(text, give);
        assert!(self.calls.send(call).await.is_ok(), "the session takes calls");
        given
    }

    pub(super) fn made(&self, text: &str, give: oneshot::Sender<ExecutorReply>) -> Call {
        let told = Arc::clone(&self.told);
        let (sealed, expired) = (Arc::clone(&self.sealed), Arc::clone(&self.expired));
        let refuse = |no: bool, why: &str| match no {
            false => Ok(()),
            true => Err(Mistrust::Sealed { why: why.to_owned() }),
        };
        Call {
            decision: DecisionId::random(),
            run: RunId::random(),
            began: None,
            asks_by_request: false,
            may_tell: self.may_tell,
            defers: None,
            target: Target::Tool("fixture.echo".parse().unwrap()),
            approved: Some(Offered::read(TOOL).unwrap().digest),
            arguments: RawValue::from_string(json!({"text": text}).to_string()).unwrap(),
            questions: Questions::new(),
            answers: None,
            unexpired: Arc::new(move || refuse(expired.load(Ordering::SeqCst), "expired")),
            unsealed: Arc::new(move || refuse(sealed.load(Ordering::SeqCst), "sealed")),
            is_again: false,
            reply: Reply::new(move |reply| drop(give.send(reply))).telling(
                move |reply| match reply {
                    ExecutorReply::Told { told: one } => told.lock().unwrap().push(one),
                    other => panic!("{other:?} before the answer"),
                },
            ),
        }
    }

    /// An honest call and its honest answer.
    pub(super) async fn control(&mut self) {
        let given = self.call("control").await;
        let asked = self.hear().await;
        assert_eq!(asked["params"], json!({"name": "echo", "arguments": {"text": "control"}}));
        self.answer(&asked, &json!({"content": [], "of": "control"})).await;
        assert_eq!(word(given.await.unwrap()), "control");
    }
}

/// The result's `of`, or what became of the call.
pub(in crate::executor::servers) fn word(reply: ExecutorReply) -> String {
    match reply {
        ExecutorReply::Result { result } => {
            let result: Value = serde_json::from_str(result.get()).unwrap();
            result["of"].as_str().map_or_else(|| result.to_string(), str::to_owned)
        }
        ExecutorReply::Refused { why } => format!("refused: {why}"),
        ExecutorReply::Unknown { why } => format!("unknown: {why}"),
        ExecutorReply::Changed { why } => format!("changed: {why}"),
        ExecutorReply::Erred { code, message, .. } => format!("erred: {code} {message}"),
        ExecutorReply::Hello { .. }
        | ExecutorReply::Told { .. }
        | ExecutorReply::Cancelled
        | ExecutorReply::Offering { .. }
        | ExecutorReply::Withheld { .. }
        | ExecutorReply::Catalogue { .. } => panic!("no outcome"),
    }
}
