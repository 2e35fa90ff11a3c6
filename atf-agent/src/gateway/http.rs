//! HTTP/1.1 on one accepted connection of a run: limits, the head, the body, and then the line. It
//! decides nothing about calls.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Either, Full, LengthLimitError, Limited};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, WWW_AUTHENTICATE,
};
use hyper::http::request::Parts;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::Gateway;
use super::answer::Answer;
use super::asking::Place;
use super::authorization;
use super::connections::Open;
use super::events::Events;
use super::following::Following;
use super::headers::{self, Turned, Wanted};
use super::kept::{self, Reading, Wants};
use super::runs::LiveRun;
use super::sse;
use super::streams::StreamEvents;
use crate::call::Caller;

/// Most header fields of one request; SDKs send about ten.
const HEADERS_MAX: usize = 64;
/// Bytes of a request's head, a token of 8 KiB included; also what one connection buffers.
const HEAD_BYTES_MAX: usize = 32 << 10;

/// How long a connection may keep the gateway waiting.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// From the moment a request may come until its head is whole: slow senders and idle
    /// connections alike; clients open a new one.
    pub(super) head: Duration,
    /// From the head until the body is whole.
    pub(super) body: Duration,
    /// How long a stream of HTTP+SSE may be open without a message from its client.
    pub(super) stream: Duration,
    /// How long a call may take before its stream begins, where its client can come back to one.
    pub(super) resumes: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(60),
            body: Duration::from_secs(15),
            // An agent thinks, or waits for its user, for minutes; one that is silent for longer than this
            // opens another stream.
            stream: Duration::from_secs(60 * 60),
            // Most calls are answered sooner, by one message.
            resumes: Duration::from_millis(500),
        }
    }
}

/// Serves one connection until it ends or is shut. Calls under way are detached from it.
pub(super) async fn serve(gateway: Arc<Gateway>, run: Arc<LiveRun>, caller: Caller, open: Open) {
    let patience = gateway.patience;
    let cut = Arc::new(Notify::new());
    let cuts = Arc::clone(&cut);
    let service = service_fn(move |request: Request<Incoming>| {
        let place = (Arc::clone(&gateway), Arc::clone(&run));
        let cut = Arc::clone(&cuts);
        async move {
            let (head, body) = request.into_parts();
            let answer = answer(place, caller, &head, body, cut).await;
            Ok::<_, Infallible>(match answer {
                Replied::Whole(answer) => {
                    respond(*answer, headers::host(&head.uri, &head.headers)).map(Either::Left)
                }
                Replied::Events(events, session) => {
                    let body = |events| Either::Right(Either::Left(events));
                    in_session(stream(events), session).map(body)
                }
                Replied::Stream(events) => {
                    let body = |events| Either::Right(Either::Right(Either::Left(events)));
                    stream(events).map(body)
                }
                Replied::Kept(events) => {
                    let body = |events| Either::Right(Either::Right(Either::Right(events)));
                    stream(events).map(body)
                }
            })
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(patience.head)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(open.end()), service);
    tokio::select! {
        ended = connection => if let Err(error) = ended {
            tracing::debug!(run = %caller.run, %error, "a connection ended badly");
        },
        () = cut.notified() => tracing::debug!(run = %caller.run, "a stream is read too slowly, or elsewhere"),
    }
}

/// How a request is answered.
pub(super) enum Replied {
    /// By one message, or none.
    Whole(Box<Answer>),
    /// By a stream of them, with which a session may begin.
    Events(Events, Option<String>),
    /// By a stream that does not end with an answer.
    Stream(StreamEvents),
    /// By a stream that its client can come back to.
    Kept(Reading),
}

impl From<Answer> for Replied {
    fn from(answer: Answer) -> Self {
        Self::Whole(Box::new(answer))
    }
}

/// One request. `cut` ends its connection.
async fn answer(
    (gateway, run): (Arc<Gateway>, Arc<LiveRun>),
    caller: Caller,
    head: &Parts,
    body: Incoming,
    cut: Arc<Notify>,
) -> Replied {
    let mut envelope = match headers::read(&head.method, &head.uri, &head.headers) {
        Ok(Wanted::Call(envelope)) => envelope,
        Ok(Wanted::End(session)) => {
            let Some(session) = run.sessions.end(&session) else { return no_session() };
            run.subscriptions.end_all_of(&session);
            run.kept.end_all_of(&session);
            return Answer::ended().into();
        }
        Ok(Wanted::Listen(envelope)) => {
            let session = envelope.session.as_deref().and_then(|id| run.sessions.get(id));
            let Some(session) = session else { return no_session() };
            return sse::listen((gateway, run), caller, (envelope, session), cut).await;
        }
        Ok(Wanted::Resume(envelope, event)) => {
            let session = envelope.session.as_deref().and_then(|id| run.sessions.get(id));
            let Some(session) = session else { return no_session() };
            let of = (envelope, session);
            return kept::resume((gateway, run), caller, of, (event, cut)).await;
        }
        Ok(Wanted::Stream(envelope)) => {
            return sse::open((gateway, run), caller, envelope, cut).await;
        }
        Ok(Wanted::OnStream(envelope, word)) => {
            return sse::take((gateway, run), caller, (envelope, &word), body).await.into();
        }
        Ok(Wanted::Metadata) => {
            let host = headers::host(&head.uri, &head.headers).unwrap_or_default();
            return Answer::metadata(authorization::metadata(host, gateway.keys.issuer())).into();
        }
        Err(turned) => {
            tracing::debug!(run = %caller.run, %turned, "a request is turned away");
            let allow = match turned {
                Turned::Method(allowed) => Some(allowed),
                Turned::Host
                | Turned::Origin
                | Turned::Path
                | Turned::ContentType
                | Turned::Accept
                | Turned::AcceptEvents
                | Turned::Revision => None,
            };
            let answer = Answer::turned(turned.status(), &turned.to_string());
            return Answer { allow, ..answer }.into();
        }
    };
    let session = match &envelope.session {
        Some(id) => match run.sessions.get(id) {
            Some(session) => Some(session),
            None => return no_session(),
        },
        None => None,
    };
    if let Some(session) = &session {
        session.state(&mut envelope.stated);
    }
    // Taken before the body is read, so that one run holds no more bodies than calls.
    let ended = || sse::ended().into();
    let Some(place) = Place::of(&run).await else { return ended() };
    let message = match read_body(body, &gateway).await {
        Ok(message) => message,
        Err(answer) => return answer.into(),
    };
    let Some(slot) = place.taken(&run, &message).await else { return ended() };
    let wants = Wants::of((&gateway, &run), &envelope, session.as_ref(), &message);
    let message = (message, envelope, session);
    let following = Following::begin((gateway, Arc::clone(&run)), caller, message, slot);
    kept::reply(&run, following, wants, cut).await
}

/// A session that there is not, or not any more: the client begins another one (MCP, Session Management).
fn no_session() -> Replied {
    Answer::turned(StatusCode::NOT_FOUND, "there is no such session").into()
}

/// The whole body, in time and within its limit.
///
/// # Errors
/// The answer that says why there is none.
pub(super) async fn read_body(body: Incoming, gateway: &Gateway) -> Result<Bytes, Answer> {
    let bytes_max = gateway.settings.body_bytes_max;
    let too_large = || Answer::turned(StatusCode::PAYLOAD_TOO_LARGE, "the body is too long");
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > bytes_max {
        return Err(too_large());
    }
    match timeout(gateway.patience.body, Limited::new(body, bytes_max).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(Answer::turned(StatusCode::BAD_REQUEST, "the body is not whole")),
        Err(_) => Err(Answer::turned(StatusCode::REQUEST_TIMEOUT, "the body took too long")),
    }
}

fn in_session<B>(mut response: Response<B>, session: Option<String>) -> Response<B> {
    // A word of ours is visible ASCII.
    if let Some(id) = session.and_then(|id| HeaderValue::try_from(id).ok()) {
        response.headers_mut().insert(HeaderName::from_static("mcp-session-id"), id);
    }
    response
}

fn stream<B>(events: B) -> Response<B> {
    let mut response = Response::new(events);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Others on the way pass on each event as it comes (MCP 2026-07-28, Receiving Messages).
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response
}

fn respond(answer: Answer, host: Option<&str>) -> Response<Full<Bytes>> {
    let is_empty = answer.body.is_empty();
    let mut response = Response::new(Full::new(Bytes::from(answer.body)));
    *response.status_mut() = answer.status;
    let headers = response.headers_mut();
    if !is_empty {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    let challenge = answer.challenge.zip(host).map(|(challenge, host)| challenge.header(host));
    // A host's and a tool's name are visible ASCII.
    if let Some(challenge) = challenge.and_then(|text| HeaderValue::try_from(text).ok()) {
        headers.insert(WWW_AUTHENTICATE, challenge);
    }
    if let Some(allow) = answer.allow {
        headers.insert(ALLOW, HeaderValue::from_static(allow));
    }
    in_session(response, answer.session)
}
