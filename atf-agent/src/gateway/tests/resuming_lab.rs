//! What the tests of streams that are come back to begin with.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use super::super::runs::LiveRun;
use super::client::{ADJUST, Client, adjust, request};
use super::doubles::Mood;
use super::lab::{Lab, LabRun, Wanted};
use crate::call::Question;
use crate::wire::Told;

const SOON: Duration = Duration::from_secs(10);

/// What the ledger may tell and ask.
fn servers() -> Option<Value> {
    let one = json!({"notices": ["notifications/progress"], "questions": ["elicitation/create"]});
    Some(json!({ "ledger": one }))
}

/// A lab whose ledger tells how far it is.
pub(super) async fn lab() -> Lab {
    with(Wanted::default()).await
}

pub(super) async fn with(wanted: Wanted) -> Lab {
    let lab = Lab::start(Wanted { servers: servers(), ..wanted }).await;
    let told = Told::Progress { progress: 1.into(), total: None, message: None };
    *lab.executor.tells.lock().unwrap() = vec![told];
    lab
}

/// A lab whose calls begin a stream soon.
pub(super) async fn quick() -> Lab {
    let mut wanted = Wanted::default();
    wanted.patience.resumes = Duration::from_millis(50);
    let lab = with(wanted).await;
    lab.executor.tells.lock().unwrap().clear();
    lab
}

/// One whose runs may have one call under way, which begins a stream soon.
pub(super) async fn of_one_call() -> Lab {
    let mut wanted = Wanted::default();
    wanted.patience.resumes = Duration::from_millis(50);
    wanted.settings.calls_per_run_max = 1;
    with(wanted).await
}

pub(super) fn live(lab: &Lab, run: &LabRun) -> Arc<LiveRun> {
    lab.gateway.runs.get(run.entry.run).expect("it lives")
}

pub(super) fn question() -> Told {
    let params = r#"{"message":"who?","requestedSchema":{}}"#.to_owned();
    Told::Asks { question: 5, asks: Question::Elicitation, params }
}

/// What a client says that wants to be told how far its call is.
pub(super) fn wants() -> Value {
    json!({"progressToken": "p"})
}

/// Begins a session of this revision; its word.
pub(super) async fn begun(run: &LabRun, revision: &str) -> String {
    initialized(run, &json!({"protocolVersion": revision, "capabilities": {}})).await
}

pub(super) async fn initialized(run: &LabRun, params: &Value) -> String {
    let bearer = format!("Bearer {}", run.token);
    let headers = [("authorization", bearer.as_str()), ("mcp-protocol-version", "")];
    let body = request("initialize", params);
    let got = Client::connect(&run.socket).await.post(&body, &headers).await.unwrap();
    got.header("mcp-session-id").to_owned()
}

/// The id of the first event of a call whose client was lost, and which has ended since.
pub(super) async fn lost(lab: &Lab, run: &LabRun, session: &str) -> String {
    lab.executor.mood.set(Mood::Waits);
    let before = lab.outcomes().len();
    let mut reader = Reader::posts(run, session, ("2025-11-25", &wants())).await;
    let (id, _) = reader.next().await.expect("it is primed");
    drop(reader);
    lab.executor.mood.set(Mood::Works);
    lab.until("the outcome", |lab| (lab.outcomes().len() > before).then_some(())).await;
    // The reader is seen to have gone, and the answer is kept.
    let is_kept = |lab: &Lab| {
        let live = live(lab, run);
        (live.calls.available_permits() == lab.gateway.settings.calls_per_run_max).then_some(())
    };
    lab.until("its place is free", is_kept).await;
    id
}

/// The head of one that comes back.
pub(super) fn resume_head(session: &str, id: &str, token: &str) -> String {
    let bearer =
        if token.is_empty() { String::new() } else { format!("authorization: Bearer {token}\r\n") };
    format!(
        "GET /mcp HTTP/1.1\r\nhost: atf\r\naccept: text/event-stream\r\nmcp-session-id: {session}\r\n\
         mcp-protocol-version: 2025-11-25\r\nlast-event-id: {id}\r\n{bearer}\r\n"
    )
}

/// A client that reads a stream.
pub(super) struct Reader {
    pub(super) stream: UnixStream,
    /// All that it read.
    pub(super) all: String,
    read: usize,
}

impl Reader {
    pub(super) async fn of(run: &LabRun, said: &str) -> Self {
        let mut stream = UnixStream::connect(&run.socket).await.unwrap();
        stream.write_all(said.as_bytes()).await.unwrap();
        Self { stream, all: String::new(), read: 0 }
    }

    /// Makes a call with these members of `_meta`.
    pub(super) async fn posts(
        run: &LabRun,
        session: &str,
        (revision, meta): (&str, &Value),
    ) -> Self {
        let mut message: Value = serde_json::from_str(&adjust(1)).unwrap();
        let members = message["params"]["_meta"].as_object_mut().unwrap();
        members.extend(meta.as_object().unwrap().clone());
        let accept = "application/json, text/event-stream";
        Self::says(run, session, (revision, accept, &message.to_string())).await
    }

    /// Posts this, and names a stream before one message.
    pub(super) async fn prefers(run: &LabRun, session: &str, message: &str) -> Self {
        let accept = "text/event-stream, application/json";
        Self::says(run, session, ("2025-11-25", accept, message)).await
    }

    pub(super) async fn says(
        run: &LabRun,
        session: &str,
        (revision, accept, message): (&str, &str, &str),
    ) -> Self {
        let head = format!(
            "POST /mcp HTTP/1.1\r\nhost: atf\r\ncontent-type: application/json\r\naccept: {accept}\r\n\
             mcp-session-id: {session}\r\nmcp-protocol-version: {revision}\r\nauthorization: Bearer {}\r\n\
             content-length: {}\r\n\r\n{message}",
            run.token,
            message.len()
        );
        Self::of(run, &head).await
    }

    /// Comes back to what came after `id`.
    pub(super) async fn resumes(run: &LabRun, session: &str, id: &str) -> Self {
        Self::of(run, &resume_head(session, id, &run.token)).await
    }

    /// The id and the message of the next event; none at the end.
    pub(super) async fn next(&mut self) -> Option<(String, Option<Value>)> {
        loop {
            let unread = &self.all[self.read..];
            if let Some(end) = unread.find("\n\n") {
                let event = unread[..end].to_owned();
                self.read += end + 2;
                let of = |name: &str| event.lines().find_map(|line| line.strip_prefix(name));
                if let Some(id) = of("id: ") {
                    let data = of("data: ").map(|text| serde_json::from_str(text).unwrap());
                    return Some((id.to_owned(), data));
                }
                continue;
            }
            if self.is_whole() || !self.reads().await {
                return None;
            }
        }
    }

    /// Reads on; false at the end of the connection.
    async fn reads(&mut self) -> bool {
        let mut some = [0; 65_536];
        let read = tokio::time::timeout(SOON, self.stream.read(&mut some)).await;
        let read = read.expect("it says something").unwrap_or_default();
        self.all.push_str(std::str::from_utf8(&some[..read]).unwrap());
        read > 0
    }

    /// Waits for the end, of the answer or of the connection.
    pub(super) async fn ends(&mut self) {
        while self.next().await.is_some() {}
    }

    /// Whether all that it read is one whole answer.
    fn is_whole(&self) -> bool {
        let Some((head, body)) = self.all.split_once("\r\n\r\n") else { return false };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        length.map_or(body.ends_with("0\r\n\r\n"), |length| body.len() >= length.parse().unwrap())
    }

    pub(super) async fn hears_nothing(&mut self) {
        let mut some = [0; 1];
        let read = self.stream.read(&mut some);
        let read = tokio::time::timeout(Duration::from_millis(200), read).await;
        assert!(read.is_err(), "{read:?}");
    }

    /// The status of its answer.
    pub(super) fn status(&self) -> &str {
        self.all.split(' ').nth(1).unwrap_or_default()
    }
}

/// How many calls a lab's run may have under way at the moment.
pub(super) fn free(lab: &Lab, run: &LabRun) -> usize {
    live(lab, run).calls.available_permits()
}

/// What a run's calls are answered from now on: a text of this many bytes.
pub(super) fn answers(lab: &Lab, bytes: usize) {
    let text = "x".repeat(bytes);
    let result = json!({"content": [{"type": "text", "text": text}]});
    *lab.executor.result.lock().unwrap() = result.to_string();
}

/// The tools of its runs.
pub(super) const TOOLS: [&str; 1] = [ADJUST];
