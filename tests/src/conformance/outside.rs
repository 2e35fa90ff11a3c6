//! The injector's end outside of the run: HTTP on the loopback for the suite, lines for the run.

use std::collections::HashMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::process::{ChildStdin, ChildStdout};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use anyhow::{Context as _, Result};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::frames::{Answered, Asked, Part, is_of_connection};
use super::names::{self, Server};

/// The exchanges that are under way, by their numbers.
type UnderWay = Arc<Mutex<HashMap<u64, UnboundedSender<Part>>>>;

/// What every request is handed to.
struct Outside {
    number: AtomicU64,
    under_way: UnderWay,
    to_run: Mutex<ChildStdin>,
    server: Server,
}

/// Listens on the loopback, for as long as this process lives; returns where.
///
/// # Errors
/// When it cannot listen.
pub(super) fn serve(server: Server, to_run: ChildStdin, from_run: ChildStdout) -> Result<String> {
    let under_way = UnderWay::default();
    let answers = Arc::clone(&under_way);
    std::thread::spawn(move || hear(from_run, &answers));
    let to_run = Mutex::new(to_run);
    let outside = Arc::new(Outside { number: AtomicU64::new(0), under_way, to_run, server });
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::spawn(move || {
        if let Err(error) = runtime.block_on(accept(listener, outside)) {
            eprintln!("outside: {error}");
        }
    });
    Ok(format!("http://{address}/mcp"))
}

async fn accept(listener: std::net::TcpListener, outside: Arc<Outside>) -> std::io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        let outside = Arc::clone(&outside);
        let service = service_fn(move |request| {
            let outside = Arc::clone(&outside);
            async move { Ok::<_, Infallible>(outside.answer(request).await) }
        });
        let connection = hyper::server::conn::http1::Builder::new();
        tokio::spawn(connection.serve_connection(TokioIo::new(stream), service));
    }
}

/// Hands what the run says to the exchanges.
fn hear(from_run: ChildStdout, under_way: &UnderWay) {
    use std::io::BufRead as _;
    for line in std::io::BufReader::new(from_run).lines().map_while(Result::ok) {
        let Ok(answered) = serde_json::from_str::<Answered>(&line) else { continue };
        let mut all = lock(under_way);
        match answered.part {
            Part::End => drop(all.remove(&answered.number)),
            part => {
                if let Some(exchange) = all.get(&answered.number) {
                    // The suite may have hung up.
                    drop(exchange.send(part));
                }
            }
        }
    }
    lock(under_way).clear();
}

impl Outside {
    async fn answer(&self, request: Request<Incoming>) -> Response<Said> {
        match self.exchange(request).await {
            Ok(response) => response,
            Err(error) => {
                eprintln!("outside: {error:#}");
                let nothing = Said::of(self.server, None, false);
                let mut response = Response::new(nothing);
                *response.status_mut() = StatusCode::BAD_GATEWAY;
                response
            }
        }
    }

    async fn exchange(&self, request: Request<Incoming>) -> Result<Response<Said>> {
        let (head, whole) = request.into_parts();
        let whole = whole.collect().await?.to_bytes();
        let text = |value: &hyper::header::HeaderValue| {
            String::from_utf8_lossy(value.as_bytes()).into_owned()
        };
        let method = head.headers.get("mcp-method").map(text).unwrap_or_default();
        let headers = head.headers.iter().map(|(name, value)| match name.as_str() {
            "mcp-name" => (name.to_string(), names::header(self.server, &method, &text(value))),
            _ => (name.to_string(), text(value)),
        });
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let asked = Asked {
            number,
            method: head.method.to_string(),
            path: head.uri.to_string(),
            headers: headers.collect(),
            body: names::lengthen(self.server, &whole).unwrap_or_else(|| whole.to_vec()),
        };
        let (send, mut parts) = unbounded_channel();
        lock(&self.under_way).insert(number, send);
        {
            use std::io::Write as _;
            let mut line = serde_json::to_vec(&asked)?;
            line.push(b'\n');
            let mut to_run = self.to_run.lock().unwrap_or_else(PoisonError::into_inner);
            to_run.write_all(&line)?;
            to_run.flush()?;
        }
        let Some(Part::Head(status, headers)) = parts.recv().await else {
            anyhow::bail!("the run has no answer to exchange {number}");
        };
        let mut response = Response::builder().status(status);
        for (name, value) in headers.iter().filter(|(name, _)| !is_of_connection(name)) {
            response = response.header(name, value);
        }
        let is_stream = headers.iter().any(|(_, value)| value.starts_with("text/event-stream"));
        let said = Said::of(self.server, Some(parts), is_stream);
        response.body(said).context("the run's answer is none")
    }
}

/// A body of what the run says, with the suite's names. A name may come in two pieces, so that only what
/// is whole goes on: an event of a stream, or all of anything else.
struct Said {
    server: Server,
    parts: Option<UnboundedReceiver<Part>>,
    is_stream: bool,
    held: Vec<u8>,
}

impl Said {
    fn of(server: Server, parts: Option<UnboundedReceiver<Part>>, is_stream: bool) -> Self {
        Self { server, parts, is_stream, held: Vec::new() }
    }

    /// What of the held bytes is whole.
    fn whole(&mut self) -> Vec<u8> {
        let ends = self.held.windows(2).rposition(|two| two == b"\n\n");
        match ends.filter(|_| self.is_stream) {
            Some(end) => self.held.drain(..end + 2).collect(),
            None => Vec::new(),
        }
    }
}

impl Body for Said {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let server = self.server;
        let frame =
            |piece: &[u8]| Some(Ok(Frame::data(Bytes::from(names::shorten(server, piece)))));
        while let Some(parts) = self.parts.as_mut() {
            match ready!(parts.poll_recv(context)) {
                Some(Part::Piece(piece)) => {
                    self.held.extend(piece);
                    let whole = self.whole();
                    if !whole.is_empty() {
                        return Poll::Ready(frame(&whole));
                    }
                }
                Some(Part::Head(..)) => {}
                Some(Part::End) | None => {
                    self.parts = None;
                    let rest = std::mem::take(&mut self.held);
                    if !rest.is_empty() {
                        return Poll::Ready(frame(&rest));
                    }
                }
            }
        }
        Poll::Ready(None)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
