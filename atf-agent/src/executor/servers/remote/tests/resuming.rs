//! Answers whose stream ended before them: they are come back to where the server gave an event an id, within bounds,
//! and no call is made again.

use std::time::{Duration, Instant};

use super::lab::{Lab, Play, Played, Request, answer, honest, json_answer, remote};
use crate::gate::Era;

const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";

/// Says these events, and closes.
fn closes(events: &str) -> Play {
    Play::Close(format!("{HEAD}{events}").into_bytes())
}

/// A server whose calls are answered by events that end after `first`; `then` answers who comes back, the how many
/// times it is.
fn served(
    first: &'static str,
    then: impl Fn(&Request, &Request, usize) -> Play + Send + Sync + 'static,
) -> Played {
    let call = std::sync::Mutex::new((None::<Request>, 0));
    Played::new(move |request| {
        let mut call = call.lock().unwrap();
        if request.method() == "tools/call" {
            *call = (Some(request.clone()), 0);
            return closes(first);
        }
        match (&mut *call, request.header("last-event-id")) {
            ((Some(asked), times), Some(_)) => {
                *times += 1;
                then(asked, request, *times)
            }
            _ => honest(request, "s1"),
        }
    })
}

/// Who came back, by the ids that were named.
fn came_back(played: &Played) -> Vec<String> {
    let heard = played.heard();
    let named = heard.iter().filter_map(|request| request.header("last-event-id"));
    named.map(str::to_owned).collect()
}

fn calls(played: &Played) -> usize {
    played.heard().iter().filter(|request| request.method() == "tools/call").count()
}

async fn kept(played: &Played, era: Era, more: &str) -> Lab {
    let (port, _serving) = played.on_loopback().await;
    let text = format!("url = \"http://127.0.0.1:{port}/mcp\"\n{more}");
    let mut lab = Lab::keep(remote(&text), era, 5_000);
    lab.offers(|tools| !tools.is_empty()).await;
    lab
}

fn event(id: &str, data: &str) -> String {
    format!("id: {id}\nretry: 100\ndata: {data}\n\n")
}

fn result(asked: &Request) -> String {
    asked.answer(&serde_json::json!({"content": [], "of": asked.text()}))
}

const PRIMED: &str = "id: e/1\nretry: 300\ndata:\n\n";

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_come_back_to_where_an_event_had_an_id() {
    let played = served(PRIMED, |asked, back, times| match times {
        // It polls: twice there is nothing yet.
        1 | 2 => closes(&event(&format!("e/{}", times + 1), "")),
        _ => {
            assert_eq!(back.header("mcp-session-id"), Some("s1"));
            closes(&event("e/4", &result(asked)))
        }
    });
    let lab = kept(&played, Era::Handshake, "").await;
    let began = Instant::now();
    assert_eq!(lab.echo("hello").await, "hello");
    assert!(began.elapsed() >= Duration::from_millis(500), "it waited for as long as it was told");
    assert_eq!(came_back(&played), ["e/1", "e/2", "e/3"]);
    assert_eq!(calls(&played), 1);
    lab.end().await;
}

/// Each row is a server that says nothing more. Nobody knows what became of the call, and it is not made again.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_come_back_to_is_unknown_and_not_asked_for_anew() {
    type Then = fn(&Request, &Request, usize) -> Play;
    let rows: [(&str, &'static str, Then, usize); 7] = [
        ("no id", "data:\n\n", |asked, _, _| closes(&event("1", &result(asked))), 0),
        (
            "an id of no whole event",
            "id: 1\n",
            |asked, _, _| closes(&event("1", &result(asked))),
            0,
        ),
        ("no stream", PRIMED, |_, _, _| Play::Say(answer("405 Method Not Allowed", "", b"")), 1),
        ("no session", PRIMED, |_, _, _| Play::Say(answer("404 Not Found", "", b"")), 1),
        ("one message", PRIMED, |asked, _, _| Play::Say(json_answer(&result(asked))), 1),
        ("an empty stream", PRIMED, |_, _, _| closes(": there is nothing\n\n"), 3),
        ("nobody", PRIMED, |_, _, _| Play::Close(Vec::new()), 3),
    ];
    for (what, first, then, times) in rows {
        let played = served(first, then);
        let lab = kept(&played, Era::Handshake, "").await;
        let found = lab.echo("hello").await;
        assert!(found.starts_with("unknown: "), "{what}: {found}");
        assert_eq!((came_back(&played).len(), calls(&played)), (times, 1), "{what}");
        lab.end().await;
    }
    // The revision without sessions has no such thing.
    let played = served(PRIMED, |asked, _, _| closes(&event("1", &result(asked))));
    let lab = kept(&played, Era::Stateless, "stateless = true\n").await;
    let found = lab.echo("hello").await;
    assert!(found.starts_with("unknown: "), "{found}");
    assert_eq!((came_back(&played).len(), calls(&played)), (0, 1));
    lab.end().await;
}

/// The attacks: a server that has one come back for ever, at once, or says too much in many parts.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_has_nobody_come_back_without_end() {
    let first = "id: 1\nretry: 0\ndata:\n\n";
    let played = served(first, |_, _, _| closes("id: 1\nretry: 0\ndata:\n\n"));
    let lab = kept(&played, Era::Handshake, "").await;
    let found = lab.echo("hello").await;
    assert!(found.starts_with("unknown: "), "{found}");
    let times = came_back(&played).len();
    assert!((5..=64).contains(&times), "{times}");
    lab.end().await;

    let noise = format!("id: 1\nretry: 0\ndata:\n\n{}", ": x\n".repeat(1_500));
    let played = served(first, move |_, _, _| closes(&noise));
    let lab = kept(&played, Era::Handshake, "answer_bytes_max = 4096\n").await;
    let found = lab.echo("hello").await;
    assert!(found.contains("did not come to the answer"), "{found}");
    assert_eq!(came_back(&played).len(), 3, "16 KiB in parts of 6");
    lab.end().await;

    // An answer to another number is none here either.
    let played = served(first, |asked, _, _| {
        let other = result(asked).replace(&asked.body["id"].to_string(), "999999");
        closes(&event("2", &other))
    });
    let lab = kept(&played, Era::Handshake, "").await;
    let found = lab.echo("hello").await;
    assert!(found.starts_with("unknown: "), "{found}");
    lab.end().await;
}
