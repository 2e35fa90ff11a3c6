//! HTTP+SSE, as MCP had it in 2024-11-05: a GET opens a stream, whose first event says where to post; what is
//! posted there is taken (202), judged on the line as any other message, and answered on the stream.

use std::sync::Arc;

use hyper::StatusCode;
use hyper::body::{Bytes, Incoming};
use serde_json::Value;
use tokio::sync::Notify;

use super::Gateway;
use super::answer::Answer;
use super::following::{Following, Next};
use super::headers::Envelope;
use super::http::{Replied, read_body};
use super::runs::LiveRun;
use super::sessions::Session;
use super::streams::{self, NoStream};
use crate::call::Caller;

/// What one who opens a stream is judged by: whoever may be answered at all may have one.
const PING: &[u8] = br#"{"jsonrpc":"2.0","id":"sse","method":"ping"}"#;

/// Opens a stream.
pub(super) async fn open(
    (gateway, run): (Arc<Gateway>, Arc<LiveRun>),
    caller: Caller,
    envelope: Envelope,
    cut: Arc<Notify>,
) -> Replied {
    let Ok(slot) = Arc::clone(&run.calls).acquire_owned().await else {
        return ended().into();
    };
    let message = (Bytes::from_static(PING), envelope, Some(Arc::new(Session::of_connection())));
    let place = (Arc::clone(&gateway), Arc::clone(&run));
    match Following::begin(place, caller, message, slot).next().await {
        Next::Answer(answer, _slot) if is_result(&answer) => {}
        Next::Answer(answer, _slot) if answer.status == StatusCode::OK => {
            return Answer { status: StatusCode::FORBIDDEN, ..answer }.into();
        }
        Next::Answer(answer, _slot) => return answer.into(),
        Next::Notice(_) => return Answer::failed().into(),
    }
    match streams::open(&run, caller, cut, gateway.patience.stream) {
        Ok(events) => Replied::Stream(events),
        Err(NoStream::Many) => {
            let why = "the run has as many streams as it may";
            Answer::turned(StatusCode::TOO_MANY_REQUESTS, why).into()
        }
        Err(NoStream::Wordless) => Answer::failed().into(),
    }
}

/// Takes a message for the stream of this word.
pub(super) async fn take(
    (gateway, run): (Arc<Gateway>, Arc<LiveRun>),
    caller: Caller,
    (mut envelope, word): (Envelope, &str),
    body: Incoming,
) -> Answer {
    let Some(stream) = run.streams.get(word, caller) else {
        return no_stream();
    };
    stream.heard();
    // Taken before the body is read, so that one run holds no more bodies than calls.
    let Ok(slot) = Arc::clone(&run.calls).acquire_owned().await else {
        return ended();
    };
    let message = match read_body(body, &gateway).await {
        Ok(message) => message,
        Err(answer) => return answer,
    };
    // Nobody would read the answer.
    if !stream.is_open() {
        return no_stream();
    }
    envelope.stated.level = stream.session.level();
    let patience = gateway.patience.body;
    let message = (message, envelope, Some(Arc::clone(&stream.session)));
    let following = Following::begin((gateway, run), caller, message, slot);
    tokio::spawn(stream.follow(following, patience));
    Answer::accepted()
}

fn is_result(answer: &Answer) -> bool {
    let message: Option<Value> = serde_json::from_str(&answer.body).ok();
    answer.status == StatusCode::OK && message.is_some_and(|one| one.get("result").is_some())
}

fn no_stream() -> Answer {
    Answer::turned(StatusCode::NOT_FOUND, "there is no such stream")
}

fn ended() -> Answer {
    Answer::turned(StatusCode::NOT_FOUND, "the run has ended")
}
