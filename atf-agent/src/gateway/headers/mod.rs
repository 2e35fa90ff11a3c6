//! What an HTTP request must look like before its body is read. Pure; the rules are those of MCP's
//! Streamable HTTP transport, whose revisions differ here in nothing that ATF offers, and of HTTP+SSE, which
//! was before it.

use hyper::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN,
};
use hyper::{Method, StatusCode, Uri};

use super::authorization::METADATA_PATHS;
use crate::gate::{STATELESS, Stated};

/// Where calls go.
const PATH: &str = "/mcp";
/// Where a stream of HTTP+SSE is opened (MCP 2024-11-05), and where its messages go.
const STREAM_PATH: &str = "/sse";
/// The second of the two, which the first event of a stream names with the stream's word.
pub(super) const MESSAGES_PATH: &str = "/messages";
/// What stands before the word in the query.
pub(super) const STREAM_WORD: &str = "session_id=";
/// Hosts that a run may name, with or without a port. A name from the public DNS here would mean
/// that a browser was tricked into asking (DNS rebinding).
const HOSTS: [&str; 4] = ["localhost", "127.0.0.1", "[::1]", "atf"];

const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");
const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
const LAST_EVENT: HeaderName = HeaderName::from_static("last-event-id");
const PROMPT: HeaderName = HeaderName::from_static("atf-prompt-sha256");

/// What the line needs of the headers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Envelope {
    /// The bearer token (RFC 6750); absent when there is none or more than one.
    pub(super) jwt: Option<String>,
    /// The prompt digest that the caller claims, not yet read.
    pub(super) prompt: Option<String>,
    /// What the headers say about the message, not yet held against it.
    pub(super) stated: Stated,
    /// The session that it is of, by its word. The stateless revision has none.
    pub(super) session: Option<String>,
    /// Whether the client names a stream of events before JSON among what it takes.
    pub(super) prefers_events: bool,
}

/// What a request wants.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// To be judged.
    Call(Envelope),
    /// The metadata of this resource, which everybody may read.
    Metadata,
    /// The end of the session of this word.
    End(String),
    /// The stream of a session.
    Listen(Envelope),
    /// What came after the event of this id on the stream of a call of a session.
    Resume(Envelope, String),
    /// A stream of HTTP+SSE.
    Stream(Envelope),
    /// To be judged, and answered on the stream of this word.
    OnStream(Envelope, String),
}

/// A request that is no call.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Turned {
    /// The host is none of ours.
    #[error("the host must be localhost, 127.0.0.1, [::1] or atf")]
    Host,
    /// A web page of another origin asks.
    #[error("the origin must be one of this gateway")]
    Origin,
    /// Another path.
    #[error("the paths are /mcp, and of HTTP+SSE /sse")]
    Path,
    /// Another method.
    #[error("the only method is {0}")]
    Method(&'static str),
    /// Not JSON.
    #[error("the content type must be application/json")]
    ContentType,
    /// The client does not take JSON.
    #[error("the client must accept application/json")]
    Accept,
    /// The client does not take events.
    #[error("the client must accept text/event-stream")]
    AcceptEvents,
    /// The revision without a handshake has no HTTP+SSE.
    #[error("this revision is spoken at /mcp")]
    Revision,
}

impl Turned {
    /// The status code that says so.
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Host | Self::Origin => StatusCode::FORBIDDEN,
            Self::Path => StatusCode::NOT_FOUND,
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::ContentType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Accept | Self::AcceptEvents => StatusCode::NOT_ACCEPTABLE,
            Self::Revision => StatusCode::BAD_REQUEST,
        }
    }
}

/// Which of our names the client reached us by; `None` when it is none of them.
pub(super) fn host<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<&'a str> {
    let host = one(headers, &HOST).filter(|host| is_ours(host))?;
    // An absolute request target names the host too (RFC 9112, 3.2.2): both must be ours.
    let named = uri.authority().map_or(host, |authority| authority.as_str());
    is_ours(named).then_some(named)
}

/// Reads the head of a request.
///
/// # Errors
/// The first rule that it breaks.
pub(super) fn read(method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<Wanted, Turned> {
    if host(uri, headers).is_none() {
        return Err(Turned::Host);
    }
    if headers.contains_key(ORIGIN) && !one(headers, &ORIGIN).is_some_and(is_our_origin) {
        return Err(Turned::Origin);
    }
    match (uri.path(), uri.query()) {
        (PATH, None) => call(method, headers),
        (STREAM_PATH, None) => stream(method, headers),
        (MESSAGES_PATH, Some(query)) => on_stream(method, query, headers),
        (path, None) if METADATA_PATHS.contains(&path) => match *method {
            Method::GET => Ok(Wanted::Metadata),
            _ => Err(Turned::Method("GET")),
        },
        _ => Err(Turned::Path),
    }
}

fn call(method: &Method, headers: &HeaderMap) -> Result<Wanted, Turned> {
    match *method {
        Method::POST => {}
        Method::GET if headers.contains_key(&SESSION) => return listen(headers),
        Method::DELETE => return Ok(Wanted::End(stated(headers, &SESSION).unwrap_or_default())),
        _ => return Err(Turned::Method("POST, DELETE")),
    }
    has_json(headers)?;
    if headers.contains_key(ACCEPT) && !headers.get_all(ACCEPT).iter().any(takes_json) {
        return Err(Turned::Accept);
    }
    let revision = stated(headers, &PROTOCOL_VERSION);
    let is_stateless = revision.as_deref() == Some(STATELESS);
    Ok(Wanted::Call(Envelope {
        session: stated(headers, &SESSION).filter(|_| !is_stateless),
        prefers_events: prefers_events(headers),
        jwt: one(headers, &AUTHORIZATION).and_then(bearer),
        prompt: stated(headers, &PROMPT),
        stated: Stated {
            has_headers: true,
            revision,
            method: stated(headers, &METHOD),
            name: stated(headers, &NAME),
            takes_one_message: !headers.get_all(ACCEPT).iter().any(takes_events),
            ..Stated::default()
        },
    }))
}

/// One in a session wants to be told of what it subscribed to, or comes back to the stream of a call: it names an event
/// then, and only those streams give theirs a name. There is no other stream to open.
fn listen(headers: &HeaderMap) -> Result<Wanted, Turned> {
    if !headers.get_all(ACCEPT).iter().any(takes_events) {
        return Err(Turned::AcceptEvents);
    }
    let session = stated(headers, &SESSION);
    let envelope = Envelope { session, ..of_stream(headers)? };
    Ok(match stated(headers, &LAST_EVENT) {
        Some(id) => Wanted::Resume(envelope, id),
        None => Wanted::Listen(envelope),
    })
}

fn stream(method: &Method, headers: &HeaderMap) -> Result<Wanted, Turned> {
    if method != Method::GET {
        return Err(Turned::Method("GET"));
    }
    if headers.contains_key(ACCEPT) && !headers.get_all(ACCEPT).iter().any(may_take_events) {
        return Err(Turned::AcceptEvents);
    }
    of_stream(headers).map(Wanted::Stream)
}

fn on_stream(method: &Method, query: &str, headers: &HeaderMap) -> Result<Wanted, Turned> {
    let word = query.strip_prefix(STREAM_WORD).ok_or(Turned::Path)?;
    if method != Method::POST {
        return Err(Turned::Method("POST"));
    }
    has_json(headers)?;
    Ok(Wanted::OnStream(of_stream(headers)?, word.to_owned()))
}

/// What the headers of HTTP+SSE say. Clients that know later revisions state one.
fn of_stream(headers: &HeaderMap) -> Result<Envelope, Turned> {
    let revision = stated(headers, &PROTOCOL_VERSION);
    if revision.as_deref() == Some(STATELESS) {
        return Err(Turned::Revision);
    }
    Ok(Envelope {
        jwt: one(headers, &AUTHORIZATION).and_then(bearer),
        prompt: stated(headers, &PROMPT),
        stated: Stated { has_headers: true, revision, ..Stated::default() },
        ..Envelope::default()
    })
}

fn has_json(headers: &HeaderMap) -> Result<(), Turned> {
    let is_json = one(headers, &CONTENT_TYPE).is_some_and(is_json);
    is_json.then_some(()).ok_or(Turned::ContentType)
}

/// The value of a header that is there once; more than one is as good as none.
fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut all = headers.get_all(name).iter();
    match (all.next(), all.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

/// The same for a header that must not count as none when it cannot be read, or when there are two: it
/// is the empty text then, which is no value of any.
fn stated(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    headers.contains_key(name).then(|| one(headers, name).unwrap_or_default().to_owned())
}

fn is_ours(host: &str) -> bool {
    HOSTS.iter().any(|ours| {
        let Some((head, rest)) = host.split_at_checked(ours.len()) else {
            return false;
        };
        head.eq_ignore_ascii_case(ours)
            && (rest.is_empty()
                || rest.strip_prefix(':').is_some_and(|port| {
                    (1..=5).contains(&port.len()) && port.bytes().all(|b| b.is_ascii_digit())
                }))
    })
}

fn is_our_origin(origin: &str) -> bool {
    ["http://", "https://"].iter().any(|scheme| origin.strip_prefix(scheme).is_some_and(is_ours))
}

fn is_json(content_type: &str) -> bool {
    let mut parts = content_type.split(';').map(str::trim);
    parts.next().is_some_and(|media| media.eq_ignore_ascii_case("application/json"))
        && parts.all(|parameter| parameter.eq_ignore_ascii_case("charset=utf-8"))
}

/// Whether one `Accept` value allows JSON.
fn takes_json(value: &HeaderValue) -> bool {
    takes(value, ["application/json", "application/*", "*/*"])
}

/// Whether one `Accept` value allows a stream of events. One that does not say so by name may be of a client
/// that takes whatever comes, and understands JSON alone.
fn takes_events(value: &HeaderValue) -> bool {
    takes(value, ["text/event-stream"])
}

/// The same of one who opens a stream: there is nothing else to take.
fn may_take_events(value: &HeaderValue) -> bool {
    takes(value, ["text/event-stream", "text/*", "*/*"])
}

/// Whether a stream of events is named before JSON. Without a weight the order is the client's to choose and
/// ours to follow (RFC 9110, 12.5.1).
fn prefers_events(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut ranges = values.flat_map(|value| value.split(',')).map(str::trim);
    let is = |range: &str, media: &str| range.eq_ignore_ascii_case(media);
    let first = ranges.find(|range| is(range, "text/event-stream") || range.contains("json"));
    first.is_some_and(|first| is(first, "text/event-stream"))
}

/// Whether one `Accept` value allows one of `ours` (RFC 9110, 12.5.1); a weight of zero forbids it.
fn takes<const N: usize>(value: &HeaderValue, ours: [&str; N]) -> bool {
    value.to_str().unwrap_or_default().split(',').any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default();
        ours.iter().any(|ours| media.eq_ignore_ascii_case(ours))
            && !parts
                .any(|p| p.starts_with("q=0") && p[3..].bytes().all(|b| matches!(b, b'.' | b'0')))
    })
}

/// The token of an `Authorization` value.
pub(super) fn bearer(value: &str) -> Option<String> {
    let (scheme, token) = value.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() && !token.contains(' '))
        .then(|| token.to_owned())
}

#[cfg(test)]
mod tests;
