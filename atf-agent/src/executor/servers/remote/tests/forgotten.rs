//! Servers that forget the session, where what meets that is no call.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use super::lab::{Lab, PATIENCE, Play, Played, answer, honest, remote, word};
use crate::gate::Era;

const STREAM: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n: hi\n\n";

/// A server that forgets its first session at the first request of `method`, as one that was started anew does;
/// with `method` GET, at the second. It answers nobody who is in no session. How many there were.
fn forgets(method: &'static str) -> (Played, Arc<AtomicUsize>) {
    let (begun, forgot, opened) =
        (Arc::new(AtomicUsize::new(0)), AtomicBool::new(false), AtomicBool::new(false));
    let begins = Arc::clone(&begun);
    let played = Played::new(move |request| {
        if request.method() == "initialize" {
            let number = begins.fetch_add(1, Ordering::SeqCst);
            return honest(request, &format!("s{number}"));
        }
        let Some(session) = request.header("mcp-session-id") else {
            return Play::Say(answer("400 Bad Request", "", b""));
        };
        let is_first = session == "s0";
        let is_it = match request.is_get() {
            true => method == "GET" && opened.swap(true, Ordering::SeqCst),
            false => request.method() == method,
        };
        if is_first && (is_it || forgot.load(Ordering::SeqCst)) {
            forgot.store(true, Ordering::SeqCst);
            return Play::Say(answer("404 Not Found", "", b""));
        }
        match request.method() {
            "resources/subscribe" | "resources/unsubscribe" => {
                Play::Say(super::lab::json_answer(&request.answer(&serde_json::json!({}))))
            }
            _ if request.is_get() && method == "GET" && is_first => Play::Close(STREAM.to_vec()),
            _ if request.is_get() && method == "GET" => Play::Hang(STREAM.to_vec()),
            _ => honest(request, session),
        }
    });
    (played, begun)
}

async fn soon(what: &str, is_so: impl Fn() -> bool) {
    let until = std::time::Instant::now() + PATIENCE;
    while !is_so() {
        assert!(std::time::Instant::now() < until, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The attack: a run subscribes, or ends that, when the server was started anew: all who call after that would
/// speak in no session, and be refused until the executor is started anew too.
#[tokio::test]
async fn a_session_that_is_over_for_one_message_is_begun_anew_for_all() {
    for (method, outcome) in [
        ("the control", ""),
        ("resources/subscribe", "unknown: it ended the session"),
        ("resources/unsubscribe", "null"),
        ("GET", "unknown: the server far ended before it answered: it ended the session"),
    ] {
        let (played, begun) = forgets(method);
        let (port, _serving) = played.on_loopback().await;
        let text = format!("url = \"http://127.0.0.1:{port}/mcp\"\n");
        let mut lab = Lab::keep(remote(&text), Era::Handshake, 5_000);
        lab.offers(|tools| !tools.is_empty()).await;
        assert_eq!(lab.echo("first").await, "first", "{method}");
        let (decision, given) = lab.subscribe("file:///a").await;
        if method == "resources/unsubscribe" {
            soon("it says yes", || !lab.told.lock().unwrap().is_empty()).await;
            lab.cancel(decision).await;
        }
        if !outcome.is_empty() {
            let found = tokio::time::timeout(PATIENCE, given).await.expect("it is over").unwrap();
            assert_eq!(word(found), outcome, "{method}");
            // It is begun anew by itself, before anybody calls.
            soon(method, || begun.load(Ordering::SeqCst) == 2).await;
        }
        assert_eq!(lab.echo("second").await, "second", "{method}");
        assert_eq!(
            begun.load(Ordering::SeqCst),
            if outcome.is_empty() { 1 } else { 2 },
            "{method}"
        );
    }
}
