//! HTTP+SSE, as MCP had it in 2024-11-05: a GET opens a stream, whose first event says where to post; what is
//! posted there is taken (202), judged on the line as any other message, and answered on the stream.

use std::sync::Arc;

use hyper::StatusCode;
use hyper::body::{Bytes, Incoming};
use tokio::sync::{Notify, OwnedSemaphorePermit};

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
use crate::identity::Claims;

/// What one who opens a stream is judged by: whoever may be answered at all may have one.
const PING: &[u8] = br#"{"jsonrpc":"2.0","id":"sse","method":"ping"}"#;

/// Opens a stream on which its client is answered.
pub(super) async fn open(
    (gateway, run): (Arc<Gateway>, Arc<LiveRun>),
    caller: Caller,
    envelope: Envelope,
    cut: Arc<Notify>,
) -> Replied {
    let session = Arc::new(Session::of_connection());
    if let Some(no) = refused((&gateway, &run), caller, envelope, session).await {
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
    let of_ping = Arc::new(Session::of_connection());
    if let Some(no) = refused((&gateway, &run), caller, envelope, of_ping).await {
        return no.into();
    }
    let stream = Stream::to_tell(caller, session, cut);
    opened(Ok(StreamEvents::begin(&run, stream, gateway.patience.stream)))
}

/// What is answered to one who may open no stream.
async fn refused(
    (gateway, run): (&Arc<Gateway>, &Arc<LiveRun>),
    caller: Caller,
    envelope: Envelope,
    session: Arc<Session>,
) -> Option<Answer> {
    let Ok(place) = Arc::clone(&run.calls).acquire_owned().await else {
        return Some(ended());
    };
    admitted((gateway, run), caller, envelope, (place, session)).await.err()
}

/// Judges a ping in `session`; what its token says, where that is kept.
///
/// # Errors
/// What is answered to one who may not even make a ping.
pub(super) async fn admitted(
    (gateway, run): (&Arc<Gateway>, &Arc<LiveRun>),
    caller: Caller,
    envelope: Envelope,
    (place, session): (OwnedSemaphorePermit, Arc<Session>),
) -> Result<Option<Claims>, Answer> {
    let message = (Bytes::from_static(PING), envelope, Some(session));
    let of = (Arc::clone(gateway), Arc::clone(run));
    let mut following = Following::begin(of, caller, message, place);
    match following.next().await {
        Next::Answer(answer, _place) if answer.is_result() => {
            Ok(following.known().and_then(|known| known.claims().cloned()))
        }
        Next::Answer(answer, _place) if answer.status == StatusCode::OK => {
            Err(Answer { status: StatusCode::FORBIDDEN, ..answer })
        }
        Next::Answer(answer, _place) => Err(answer),
        Next::Notice(_) => Err(Answer::failed()),
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

/// The run has ended.
pub(super) fn ended() -> Answer {
    Answer::turned(StatusCode::NOT_FOUND, "the run has ended")
}
