//! HTTP+SSE, as MCP had it in 2024-11-05: a GET opens a stream, whose first event says where to post; what is
//! posted there is taken (202), judged on the line as any other message, and answered on the stream.

use std::sync::Arc;

use hyper::StatusCode;
use hyper::body::{Bytes, Incoming};
use tokio::sync::Notify;

use super::Gateway;
use super::answer::Answer;
use super::asking::Place;
use super::following::{Following, Next};
use super::headers::Envelope;
use super::http::{Replied, read_body};
use super::runs::LiveRun;
use super::sessions::Session;
use super::streams::{NoStream, Stream, StreamEvents};
use crate::call::Caller;

/// What one who opens a stream is judged by: whoever may be answered at all may have one.
const PING: &[u8] = br#"{"jsonrpc":"2.0","id":"sse","method":"ping"}"#;

/// Opens a stream on which its client is answered.
pub(super) async fn open(
    (gateway, run): (Arc<Gateway>, Arc<LiveRun>),
    caller: Caller,
    envelope: Envelope,
    cut: Arc<Notify>,
) -> Replied {
    if let Some(no) = admitted(&gateway, &run, caller, envelope).await {
        return no.into();
    }
    let stream = Stream::to_answer(caller, cut);
    opened(stream.map(|stream| StreamEvents::begin(&run, stream, gateway.patience.stream)))
}

/// Opens the stream of a session of the later transport, on which its client is told of what it subscribed to.
/// It is answered elsewhere.
pub(super) async fn listen(
    (gateway, run): (Arc<Gateway>, Arc<LiveRun>),
    caller: Caller,
    (envelope, session): (Envelope, Arc<Session>),
    cut: Arc<Notify>,
) -> Replied {
    if let Some(no) = admitted(&gateway, &run, caller, envelope).await {
        return no.into();
    }
    let stream = Stream::to_tell(caller, session, cut);
    opened(Ok(StreamEvents::begin(&run, stream, gateway.patience.stream)))
}

/// What is answered to one who may open no stream.
async fn admitted(
    gateway: &Arc<Gateway>,
    run: &Arc<LiveRun>,
    caller: Caller,
    envelope: Envelope,
) -> Option<Answer> {
    let Ok(slot) = Arc::clone(&run.calls).acquire_owned().await else {
        return Some(ended());
    };
    let message = (Bytes::from_static(PING), envelope, Some(Arc::new(Session::of_connection())));
    let place = (Arc::clone(gateway), Arc::clone(run));
    match Following::begin(place, caller, message, slot).next().await {
        Next::Answer(answer, _slot) if answer.is_result() => None,
        Next::Answer(answer, _slot) if answer.status == StatusCode::OK => {
            Some(Answer { status: StatusCode::FORBIDDEN, ..answer })
        }
        Next::Answer(answer, _slot) => Some(answer),
        Next::Notice(_) => Some(Answer::failed()),
    }
}

fn opened(stream: Result<Result<StreamEvents, NoStream>, NoStream>) -> Replied {
    match stream.and_then(|stream| stream) {
        Ok(events) => Replied::Stream(events),
        Err(NoStream::Many) => {
            let why = "the run, or the session, has as many streams as it may";
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
    let Some(place) = Place::of(&run).await else { return ended() };
    let message = match read_body(body, &gateway).await {
        Ok(message) => message,
        Err(answer) => return answer,
    };
    let Some(slot) = place.taken(&run, &message).await else { return ended() };
    // Nobody would read the answer.
    if !stream.is_open() {
        return no_stream();
    }
    stream.session.state(&mut envelope.stated);
    let patience = gateway.patience.body;
    let message = (message, envelope, Some(Arc::clone(&stream.session)));
    let following = Following::begin((gateway, run), caller, message, slot).apart();
    tokio::spawn(stream.follow(following, patience));
    Answer::accepted()
}

fn no_stream() -> Answer {
    Answer::turned(StatusCode::NOT_FOUND, "there is no such stream")
}

fn ended() -> Answer {
    Answer::turned(StatusCode::NOT_FOUND, "the run has ended")
}
