//! A client: HTTP/1.1 over a run's socket, by hyper or by hand.

use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::net::UnixStream as PlainStream;
use std::path::Path;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{HeaderMap, Request};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::UnixStream;

use super::lab::{LabRun, prompt};

/// What came back.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Got {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }

    /// The stable reason, wherever the answer has it.
    pub(crate) fn reason(&self) -> String {
        let json = self.json();
        let places = ["/result/structuredContent/reason", "/error/data/reason"];
        places
            .iter()
            .find_map(|place| Some(json.pointer(place)?.as_str()?.to_owned()))
            .unwrap_or_default()
    }
}

/// An open connection.
pub(crate) struct Client(SendRequest<Full<Bytes>>);

impl Client {
    pub(crate) async fn connect(socket: &Path) -> Self {
        let stream = loop {
            match UnixStream::connect(socket).await {
                // The backlog is full; a connection that does not wait is refused (unix(7)).
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                connected => break connected.unwrap(),
            }
        };
        let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        // Its end shows in the next request.
        tokio::spawn(async move { connection.await.ok() });
        Self(sender)
    }

    /// Posts `body` with the headers of an honest call, and `more`; an empty value takes one away.
    pub(crate) async fn post(
        &mut self,
        body: &str,
        more: &[(&str, &str)],
    ) -> Result<Got, hyper::Error> {
        let honest = [
            ("host", "atf"),
            ("content-type", "application/json"),
            ("accept", "application/json, text/event-stream"),
            ("mcp-protocol-version", "2025-11-25"),
        ];
        let mut request = Request::post("/mcp");
        let kept = honest.iter().filter(|(name, _)| more.iter().all(|(other, _)| name != other));
        for (name, value) in kept.chain(more).filter(|(_, value)| !value.is_empty()) {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::from(body.to_owned()))).unwrap();
        self.0.ready().await?;
        let (head, body) = self.0.send_request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(Got {
            status: head.status.as_u16(),
            headers: head.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        })
    }
}

/// One request of `run` on a connection of its own, with the run's own token.
pub(crate) async fn post(run: &LabRun, body: &str) -> Got {
    post_with(run, body, &run.token).await
}

/// The same with another token.
pub(crate) async fn post_with(run: &LabRun, body: &str, token: &str) -> Got {
    let mut client = Client::connect(&run.socket).await;
    let bearer = format!("Bearer {token}");
    client.post(body, &[("authorization", &bearer)]).await.unwrap()
}

/// What the gateway says that it has, with and without a handshake.
pub(crate) fn capabilities(changes: bool) -> Value {
    let (name, tasks) = match changes {
        true => ("extensions", json!({"io.modelcontextprotocol/tasks": {}})),
        false => ("tasks", json!({"list": {}, "cancel": {}, "requests": {"tools": {"call": {}}}})),
    };
    json!({
        name: tasks,
        "tools": {"listChanged": changes},
        "prompts": {"listChanged": changes},
        "resources": {"listChanged": changes, "subscribe": true},
        "completions": {},
        "logging": {},
    })
}

/// A `tools/call` with the prompt of the lab's runs.
pub(crate) fn tool_call(tool: &str, arguments: &Value) -> String {
    let prompt = super::lab::prompt().to_string();
    json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {
        "name": tool, "arguments": arguments, "_meta": {"io.atf/promptSha256": prompt},
    }})
    .to_string()
}

/// The tool of most rows.
pub(crate) const ADJUST: &str = "ledger.adjust";

/// An adjustment by this many cents.
pub(crate) fn adjust(cents: u64) -> String {
    let arguments = json!({"entry_id": 1, "amount_cents": cents, "reason": "r"});
    tool_call(ADJUST, &arguments)
}

/// A request of another method.
pub(crate) fn request(method: &str, params: &Value) -> String {
    json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params}).to_string()
}

/// Sends `bytes` as they are and reads until the gateway closes, or `patience` is over.
pub(crate) async fn raw(socket: &Path, bytes: Vec<u8>, patience: Duration) -> String {
    let socket = socket.to_owned();
    let exchange = move || {
        let mut stream = PlainStream::connect(socket).unwrap();
        stream.set_read_timeout(Some(patience)).unwrap();
        // The gateway may close before it has everything.
        let _cut = stream.write_all(&bytes);
        let (mut all, mut buffer) = (Vec::new(), [0; 4096]);
        while let Ok(count @ 1..) = stream.read(&mut buffer) {
            all.extend_from_slice(&buffer[..count]);
        }
        String::from_utf8_lossy(&all).into_owned()
    };
    tokio::task::spawn_blocking(exchange).await.unwrap()
}

/// Asks as a client of 2026-07-28 that can do `can`; the name that its headers say is that of `params`.
pub(crate) async fn said(run: &LabRun, method: &str, can: &Value, mut params: Value) -> Got {
    const REVISION: &str = "2026-07-28";
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": REVISION,
        "io.modelcontextprotocol/clientCapabilities": can,
        "io.atf/promptSha256": prompt().to_string(),
    });
    let message = json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params});
    let name = params["name"].as_str().or(params["taskId"].as_str()).unwrap_or_default();
    let bearer = format!("Bearer {}", run.token);
    let headers = [
        ("authorization", bearer.as_str()),
        ("mcp-protocol-version", REVISION),
        ("mcp-method", method),
        ("mcp-name", name),
    ];
    Client::connect(&run.socket).await.post(&message.to_string(), &headers).await.unwrap()
}
