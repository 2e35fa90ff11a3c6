//! Answers that are none, one a row: the call gets what stands beside it, and the server's next call its answer.

use serde_json::json;

use super::lab::{Lab, Play, Played, Request, answer, events, honest, json_answer, remote};
use crate::gate::Era;

/// Longest answer in these rows.
const ANSWER_BYTES_MAX: usize = 4_096;

/// Bytes of a chunked body: the head, and one chunk.
fn chunked(content_type: &str, chunk: &str) -> (Vec<u8>, Vec<u8>) {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    (head.into_bytes(), format!("{:x}\r\n{chunk}\r\n", chunk.len()).into_bytes())
}

type Row = (&'static str, fn(&Request) -> Play, &'static str);

const ROWS: &[Row] = &[
    ("the control", |r| Play::Say(json_answer(&r.answer(&json!({"of": "evil"})))), "evil"),
    (
        "events, the control",
        |r| {
            let told = r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{}}"#;
            let answer = r.answer(&json!({"of": "evil"}));
            Play::Say(events(&format!(": hi\n\ndata: {told}\n\nid: 1\ndata: {answer}\n\n")))
        },
        "evil",
    ),
    (
        "a redirect",
        |_| Play::Say(answer("307 Temporary Redirect", "Location: /elsewhere\r\n", b"")),
        "unknown: the server far: it answered with status 307 Temporary Redirect; no redirect",
    ),
    (
        "another type",
        |r| {
            let body = r.answer(&json!({"of": "evil"}));
            Play::Say(answer("200 OK", "Content-Type: text/html\r\n", body.as_bytes()))
        },
        "unknown: the server far: it answered with status 200 OK and the type",
    ),
    (
        "no type",
        |r| Play::Say(answer("200 OK", "", r.answer(&json!({"of": "evil"})).as_bytes())),
        "unknown: the server far: it answered with status 200 OK and the type None",
    ),
    (
        "another encoding of text",
        |r| {
            let body = r.answer(&json!({"of": "evil"}));
            let headers = "Content-Type: application/json; charset=utf-16\r\n";
            Play::Say(answer("200 OK", headers, body.as_bytes()))
        },
        "unknown: the server far: it answered with status 200 OK and the type",
    ),
    (
        "packed",
        |r| {
            let headers = "Content-Type: application/json\r\nContent-Encoding: gzip\r\n";
            Play::Say(answer("200 OK", headers, r.answer(&json!({"of": "evil"})).as_bytes()))
        },
        "unknown: the server far: it answered with the encoding",
    ),
    (
        "too long",
        |r| Play::Say(json_answer(&r.answer(&json!({"of": "x".repeat(ANSWER_BYTES_MAX)})))),
        "unknown: the server far: it answered with more than 4096 bytes",
    ),
    (
        "without end",
        |_| {
            let (head, chunk) = chunked("application/json", &" ".repeat(512));
            Play::Endless(head, chunk)
        },
        "unknown: the server far: it answered with more than 4096 bytes",
    ),
    (
        "an event without end",
        |_| {
            let (head, chunk) = chunked("text/event-stream", &"x".repeat(512));
            Play::Endless([head, b"6\r\ndata: \r\n".to_vec()].concat(), chunk)
        },
        "unknown: the server far: it said an event of more than 4096 bytes",
    ),
    (
        "comments without end",
        |_| {
            let (head, chunk) = chunked("text/event-stream", &": still here\n\n".repeat(64));
            Play::Endless(head, chunk)
        },
        "unknown: the server far: its events did not come to the answer",
    ),
    (
        "events without end",
        |_| {
            let told = r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{}}"#;
            let (head, chunk) = chunked("text/event-stream", &format!("data: {told}\n\n"));
            Play::Endless(head, chunk)
        },
        "unknown: the server far: its events did not come to the answer",
    ),
    (
        "a stream that says nothing",
        |_| Play::Hang(chunked("text/event-stream", "").0),
        "unknown: the server far did not answer in 1.5s",
    ),
    (
        "no answer at all",
        |_| Play::Hang(Vec::new()),
        "unknown: the server far: no answer began in 1s",
    ),
    (
        "bytes that are no UTF-8",
        |_| {
            let body = b"{\"jsonrpc\":\"2.0\",\"id\":4,\"result\":{\"of\":\"\xff\"}}";
            Play::Say(answer("200 OK", "Content-Type: application/json\r\n", body))
        },
        "unknown: the server far: it answered with no answer",
    ),
    (
        "events that are no UTF-8",
        |_| {
            let body = b"data: {\"of\":\"\xff\"}\n\n";
            Play::Say(answer("200 OK", "Content-Type: text/event-stream\r\n", body))
        },
        "unknown: the server far: it said an event that is not UTF-8",
    ),
    (
        "an answer to what nobody asked",
        |_| Play::Say(json_answer(r#"{"jsonrpc":"2.0","id":999,"result":{"of":"evil"}}"#)),
        "unknown: the server far: it answered with no answer",
    ),
    (
        "an answer to what nobody asked, and then the one",
        |r| {
            let evil = r#"{"jsonrpc":"2.0","id":999,"result":{"of":"evil"}}"#;
            let answer = r.answer(&json!({"of": "honest"}));
            Play::Say(events(&format!("data: {evil}\n\ndata: {answer}\n\n")))
        },
        "honest",
    ),
    (
        "two answers",
        |r| {
            let (one, two) =
                (r.answer(&json!({"of": "first"})), r.answer(&json!({"of": "second"})));
            Play::Say(events(&format!("data: {one}\n\ndata: {two}\n\n")))
        },
        "first",
    ),
    (
        "an answer in another event",
        |r| {
            let answer = r.answer(&json!({"of": "evil"}));
            Play::Say(events(&format!("event: ping\ndata: {answer}\n\n")))
        },
        "unknown: the server far: its events ended without the answer",
    ),
    (
        "an event that does not end",
        |r| Play::Say(events(&format!("data: {}\n", r.answer(&json!({"of": "evil"}))))),
        "unknown: the server far: its events ended without the answer",
    ),
    (
        "a batch",
        |r| Play::Say(json_answer(&format!("[{}]", r.answer(&json!({"of": "evil"}))))),
        "unknown: the server far: it answered with no answer",
    ),
    (
        "two answers in one body",
        |r| {
            let one = r.answer(&json!({"of": "evil"}));
            Play::Say(json_answer(&format!("{one}{one}")))
        },
        "unknown: the server far: it answered with no answer",
    ),
    (
        "half a body",
        |r| {
            let whole = json_answer(&r.answer(&json!({"of": "evil"})));
            Play::Close(whole[..whole.len() - 4].to_vec())
        },
        "unknown: the server far: its answer broke off",
    ),
    ("it dies", |_| Play::Close(Vec::new()), "unknown: the server far: no answer"),
    ("no HTTP", |_| Play::Close(b"hello\r\n\r\n".to_vec()), "unknown: the server far: no answer"),
    (
        "more headers than are read",
        |r| {
            let headers = format!("Content-Type: application/json\r\n{}", "A: b\r\n".repeat(200));
            Play::Say(answer("200 OK", &headers, r.answer(&json!({"of": "evil"})).as_bytes()))
        },
        "unknown: the server far: no answer",
    ),
    (
        "a head without end",
        |_| Play::Endless(b"HTTP/1.1 200 OK\r\nA: ".to_vec(), vec![b'x'; 512]),
        "unknown: the server far: no answer",
    ),
    (
        "taken, and no more said",
        |_| Play::Say(answer("202 Accepted", "", b"")),
        "unknown: the server far: it answered with status 202 Accepted",
    ),
    (
        "an error of the server",
        |_| Play::Say(answer("502 Bad Gateway", "", b"")),
        "unknown: the server far: it answered with status 502 Bad Gateway",
    ),
    (
        "not for us",
        |_| Play::Say(answer("401 Unauthorized", "WWW-Authenticate: Bearer\r\n", b"")),
        "the server answered with error 401: HTTP status 401 Unauthorized",
    ),
    (
        "an error that says what",
        |r| {
            let id = &r.body["id"];
            let error =
                json!({"jsonrpc": "2.0", "id": id, "error": {"code": -32020, "message": "m"}});
            let headers = "Content-Type: application/json\r\n";
            Play::Say(answer("400 Bad Request", headers, error.to_string().as_bytes()))
        },
        "the server answered with error -32020: m",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_none_leaves_its_call_unknown_and_the_server_there() {
    let mut wrong = Vec::new();
    for era in [Era::Handshake, Era::Stateless] {
        for (what, play, expected) in ROWS {
            let played = Played::new(move |request| match request.text() {
                "evil" => play(request),
                _ => honest(request, "s1"),
            });
            let (port, serving) = played.on_loopback().await;
            let text = format!(
                "url = \"http://127.0.0.1:{port}/mcp\"\nanswer_timeout_ms = 1000\nanswer_bytes_max = {ANSWER_BYTES_MAX}\n"
            );
            let lab = Lab::keep(remote(&text), era, 1_500);
            let found = lab.echo("evil").await;
            if !found.contains(expected) {
                wrong.push(format!("{what} {era:?}: {found}"));
            }
            assert_eq!(lab.echo("control").await, "control", "{what} {era:?}");
            let paths = played.heard().into_iter().map(|request| request.head);
            assert!(paths.into_iter().all(|head| !head.contains("elsewhere")), "{what}");
            serving.abort();
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The attack: as many connections as there are calls, each held open for ever.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hangs_does_not_hold_up_another() {
    let slow = Played::new(|request| match request.text() {
        "evil" => Play::Hang(Vec::new()),
        _ => honest(request, "s1"),
    });
    let fast = Played::new(|request| honest(request, "s1"));
    let (slow_port, _slow) = slow.on_loopback().await;
    let (fast_port, _fast) = fast.on_loopback().await;
    let at = |port: u16| remote(&format!("url = \"http://127.0.0.1:{port}/mcp\"\n"));
    let slow = Lab::keep(at(slow_port), Era::Handshake, 3_000);
    let fast = Lab::keep(at(fast_port), Era::Handshake, 3_000);
    assert_eq!(slow.echo("control").await, "control");
    let mut held = Vec::new();
    for _ in 0..8 {
        held.push(slow.begin("echo", &json!({"text": "evil"})).await);
    }
    let since = std::time::Instant::now();
    for _ in 0..50 {
        assert_eq!(fast.echo("control").await, "control");
    }
    assert!(since.elapsed().as_millis() < 2_000, "{:?}", since.elapsed());
    for given in held {
        assert!(super::lab::word(given.await.unwrap()).contains("did not answer in 3s"));
    }
    assert_eq!(slow.echo("control").await, "control", "its places are free again");
}

/// The attack: what a server says of itself when it does not serve is in the record of each call that it refuses.
#[tokio::test]
async fn a_server_does_not_fill_the_log_by_saying_why_it_does_not_serve() {
    for length in [10, 1 << 20] {
        let played = Played::new(move |request| {
            let error = json!({"code": 1, "message": "x".repeat(length)});
            let text = json!({"jsonrpc": "2.0", "id": request.body["id"], "error": error});
            Play::Say(json_answer(&text.to_string()))
        });
        let (port, _serving) = played.on_loopback().await;
        let text = format!("url = \"http://127.0.0.1:{port}/mcp\"\n");
        let lab = Lab::keep(remote(&text), Era::Handshake, 5_000);
        let found = lab.echo("x").await;
        assert!(found.contains("it answered with error 1: \"xxxxxxxxxx"), "{found}");
        assert!(found.len() < 2_000, "{} bytes", found.len());
    }
}

/// The attack: hundreds of streams of notices, each with an event as long as the longest answer, and never its end.
#[tokio::test]
async fn a_stream_of_notices_holds_no_event_as_long_as_an_answer() {
    for (length, expected) in [(100 << 10, 1), (300 << 10, 2)] {
        let played = Played::new(move |request| match request.is_get() {
            true => {
                let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: ";
                Play::Hang((head.to_owned() + &"x".repeat(length)).into_bytes())
            }
            false => honest(request, "s1"),
        });
        let (port, _serving) = played.on_loopback().await;
        let text = format!("url = \"http://127.0.0.1:{port}/mcp\"\n");
        let lab = Lab::keep(remote(&text), Era::Handshake, 5_000);
        assert_eq!(lab.echo("control").await, "control");
        // One that is read no further is opened again after a second.
        tokio::time::sleep(std::time::Duration::from_millis(2_000)).await;
        assert_eq!(played.heard().iter().filter(|r| r.is_get()).count(), expected, "{length}");
    }
}
