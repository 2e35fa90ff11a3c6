//! The floor: the same tool on the same data as a plain MCP server, on a unix socket like the gateway's,
//! with no check, no log and no process behind it. And what whoever is measured beside ATF stands before.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rusqlite::Connection;
use rusqlite::types::Value as Cell;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::runtime::{Builder, Runtime};

/// A server that ends when it is dropped.
pub(super) struct Direct {
    /// Its socket.
    pub(super) socket: PathBuf,
    _runtime: Runtime,
}

impl Direct {
    /// Serves in `folder`, on as many threads as the gateway has; and at `upstream`, for a peer.
    pub(super) fn start(folder: &Path, upstream: Option<SocketAddr>) -> Result<Self> {
        let (path, socket) = (folder.join("direct.db"), folder.join("direct.sock"));
        atf_agent::executor::seed(&path)?;
        let runtime = Builder::new_multi_thread().enable_all().build()?;
        let listener = runtime.block_on(async { UnixListener::bind(&socket) })?;
        let ledger = path.clone();
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, ledger.clone()));
            }
        });
        if let Some(address) = upstream {
            let listener = runtime.block_on(TcpListener::bind(address));
            let listener = listener.with_context(|| format!("cannot listen at {address}"))?;
            runtime.spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    let _slower = stream.set_nodelay(true);
                    tokio::spawn(serve(stream, path.clone()));
                }
            });
        }
        Ok(Self { socket, _runtime: runtime })
    }
}

/// Serves one connection. One whose ledger does not open is closed, and the load says so.
async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, ledger: PathBuf) {
    if let Ok(ledger) = Connection::open(ledger) {
        let ledger = std::sync::Mutex::new(ledger);
        let answer = service_fn(|request| answer(&ledger, request));
        drop(http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await);
    }
}

async fn answer(
    ledger: &std::sync::Mutex<Connection>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = request.into_body().collect().await.map(|body| body.to_bytes());
    let done = body.map_err(anyhow::Error::from).and_then(|body| call(ledger, &body));
    let (status, body) = match done {
        Ok(Some(answer)) => (200, answer.to_string()),
        Ok(None) => (202, String::new()),
        Err(error) => (500, error.to_string()),
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    *response.status_mut() = hyper::StatusCode::from_u16(status).unwrap_or_default();
    Ok(response)
}

/// The answer to a message; none to a notification.
fn call(ledger: &std::sync::Mutex<Connection>, body: &[u8]) -> Result<Option<Value>> {
    let message: Value = serde_json::from_slice(body)?;
    let result = match message["method"].as_str().context("no method")? {
        "tools/call" => query(ledger, &message)?,
        "tools/list" => json!({"tools": [{
            "name": "ledger.query",
            "inputSchema": {"type": "object", "properties": {"sql": {"type": "string"}}},
        }]}),
        "initialize" => json!({
            "protocolVersion": message["params"]["protocolVersion"],
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "direct", "version": env!("CARGO_PKG_VERSION")},
        }),
        _ if message.get("id").is_none() => return Ok(None),
        _ => json!({}),
    };
    Ok(Some(json!({"jsonrpc": "2.0", "id": message["id"], "result": result})))
}

fn query(ledger: &std::sync::Mutex<Connection>, message: &Value) -> Result<Value> {
    let sql = message["params"]["arguments"]["sql"].as_str().context("no sql")?;
    let ledger = ledger.lock().map_err(|_| anyhow::anyhow!("the ledger's thread panicked"))?;
    let mut statement = ledger.prepare(sql)?;
    let columns = statement.column_count();
    let rows: Result<Vec<Vec<Value>>, rusqlite::Error> = statement
        .query_map([], |row| (0..columns).map(|at| Ok(json_of(row.get(at)?))).collect())?
        .collect();
    let text = serde_json::to_string(&rows?)?;
    Ok(json!({"content": [{"type": "text", "text": text}], "isError": false}))
}

fn json_of(cell: Cell) -> Value {
    match cell {
        Cell::Null | Cell::Blob(_) => Value::Null,
        Cell::Integer(number) => number.into(),
        Cell::Real(number) => number.into(),
        Cell::Text(text) => text.into(),
    }
}
