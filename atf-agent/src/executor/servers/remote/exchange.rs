//! One request over HTTP, and the head of its answer: what is sent beside a message, and which answers are
//! read at all.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Method, Response, StatusCode};
use tokio::time::timeout;

use super::super::call::Standing;
use super::super::message::Failed;
use super::super::saying::What;
use super::Link;
use super::dial::{Asking, Sender};
use crate::gate::{Era, STATELESS};

/// Longest id of a session.
const SESSION_BYTES_MAX: usize = 512;

/// What names the session.
pub(super) const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");

/// After which event one comes back to a stream.
pub(super) const LAST_EVENT: HeaderName = HeaderName::from_static("last-event-id");

const REVISION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");

const EVENTS: &str = "text/event-stream";
const JSON: &str = "application/json";

/// What an answer's body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// One message.
    Json,
    /// Events.
    Events,
    /// Something else, or not to be known.
    Other,
}

/// An answer, and the connection that it comes on.
pub(super) struct Answered {
    pub(super) response: Response<Incoming>,
    pub(super) kind: Kind,
    pub(super) sender: Sender,
    /// Whether the request named a session.
    pub(super) has_session: bool,
}

impl Link {
    /// A request with all that is said beside it.
    pub(super) fn asking(
        &self,
        method: Method,
        path: &str,
        line: &str,
        said: (Option<&What>, Option<&'static str>),
    ) -> Result<Asking, String> {
        let (what, revision) = said;
        let mut asking = Asking::new(Full::new(Bytes::copy_from_slice(line.trim_end().as_bytes())));
        let accept =
            if method == Method::GET { EVENTS } else { "application/json, text/event-stream" };
        let headers = asking.headers_mut();
        let value = |text: &str| HeaderValue::from_str(text).map_err(|error| error.to_string());
        headers.insert(header::HOST, value(&self.remote.url.authority)?);
        headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let agent = concat!("atf/", env!("CARGO_PKG_VERSION"));
        headers.insert(header::USER_AGENT, HeaderValue::from_static(agent));
        if method == Method::POST {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(JSON));
        }
        let revision = if self.era == Era::Stateless { Some(STATELESS) } else { revision };
        if let Some(revision) = revision.filter(|_| !self.remote.is_sse) {
            headers.insert(REVISION, HeaderValue::from_static(revision));
        }
        if let (Era::Stateless, Some(What::Request { method, name, .. })) = (self.era, what) {
            headers.insert(METHOD, HeaderValue::from_static(method));
            if let Some(name) = name {
                headers.insert(NAME, value(&spelled(name))?);
            }
        }
        if let Some(session) = self.session.id() {
            headers.insert(SESSION, session);
        }
        headers.extend(self.credentials.clone());
        *asking.method_mut() = method;
        *asking.uri_mut() = path.parse().map_err(|_| format!("{path:?} is no path"))?;
        Ok(asking)
    }

    /// Sends a request, if it still `stands` when there is a connection; the head of its answer.
    ///
    /// # Errors
    /// When there is none: whether the server may have heard of it is said.
    pub(super) async fn send(
        &self,
        asking: Asking,
        stands: Option<&Standing>,
    ) -> Result<Answered, Failed> {
        let stands = || stands.map_or(Ok(()), |stands| stands().map_err(Failed::Unsent));
        stands()?;
        let has_session = asking.headers().contains_key(SESSION);
        let (asking, sender) = match self.dial.kept() {
            None => (asking, None),
            Some(mut sender) => match self.try_send(&mut sender, asking).await {
                Ok(response) => return answered(response, sender, has_session),
                // It ended while it was kept, and not a byte was sent.
                Err((Some(asking), _)) => (asking, None),
                Err((None, failed)) => return Err(failed),
            },
        };
        let mut sender = match sender {
            Some(sender) => sender,
            None => self.dial.connect().await.map_err(Failed::Unheard)?,
        };
        // Connecting took its time.
        stands()?;
        match self.try_send(&mut sender, asking).await {
            Ok(response) => answered(response, sender, has_session),
            Err((_, failed)) => Err(failed),
        }
    }

    async fn try_send(
        &self,
        sender: &mut Sender,
        asking: Asking,
    ) -> Result<Response<Incoming>, (Option<Asking>, Failed)> {
        let most = self.remote.answer_timeout;
        match timeout(most, sender.try_send_request(asking)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(mut error)) => {
                let unsent = error.take_message();
                let why = format!("no answer: {}", error.error());
                Err(match unsent {
                    Some(asking) => (Some(asking), Failed::Unheard(why)),
                    None => (None, Failed::Unanswered(why)),
                })
            }
            Err(_) => Err((None, Failed::Unanswered(format!("no answer began in {most:?}")))),
        }
    }
}

/// Reads the head. Where else to go is nowhere, and what was packed is not unpacked.
fn answered(
    response: Response<Incoming>,
    sender: Sender,
    has_session: bool,
) -> Result<Answered, Failed> {
    let (status, headers) = (response.status(), response.headers());
    if status.is_redirection() || status.is_informational() {
        let why = format!("it answered with status {status}; no redirect is followed");
        return Err(Failed::Unanswered(why));
    }
    let one = |name| {
        let mut all = headers.get_all(name).iter();
        let first = all.next();
        (first.and_then(|value| value.to_str().ok()), first.is_none(), all.next().is_some())
    };
    let (encoding, is_plain, _) = one(header::CONTENT_ENCODING);
    if !is_plain && encoding != Some("identity") {
        return Err(Failed::Unanswered(format!("it answered with the encoding {encoding:?}")));
    }
    let kind = match one(header::CONTENT_TYPE) {
        (Some(found), _, false) => kind(found),
        _ => Kind::Other,
    };
    Ok(Answered { response, kind, sender, has_session })
}

fn kind(content_type: &str) -> Kind {
    let mut parts = content_type.split(';').map(str::trim);
    let found = parts.next().unwrap_or_default();
    // The encoding is UTF-8; another one would be read as what it is not.
    let is_utf8 = parts.all(|parameter| match parameter.split_once('=') {
        Some((name, value)) if name.eq_ignore_ascii_case("charset") => {
            value.trim_matches('"').eq_ignore_ascii_case("utf-8")
        }
        _ => true,
    });
    match found {
        _ if !is_utf8 => Kind::Other,
        found if found.eq_ignore_ascii_case(JSON) => Kind::Json,
        found if found.eq_ignore_ascii_case(EVENTS) => Kind::Events,
        _ => Kind::Other,
    }
}

/// A name as a header has it: as it is, when every reader of headers reads it back.
fn spelled(name: &str) -> String {
    let is_plain = name.bytes().all(|b| (0x20..0x7f).contains(&b))
        && name.trim_ascii() == name
        && !(name.starts_with("=?") && name.ends_with("?="));
    match is_plain {
        true => name.to_owned(),
        false => format!("=?base64?{}?=", BASE64.encode(name)),
    }
}

/// The session that an answer names.
///
/// # Errors
/// When it is none that can be named.
pub(super) fn session(response: &Response<Incoming>) -> Result<Option<HeaderValue>, Failed> {
    let mut all = response.headers().get_all(SESSION).iter();
    let Some(id) = all.next() else { return Ok(None) };
    let is_plain = (1..=SESSION_BYTES_MAX).contains(&id.len())
        && id.as_bytes().iter().all(u8::is_ascii_graphic)
        && all.next().is_none();
    let mut id = id.clone();
    // Who has it speaks in the session.
    id.set_sensitive(true);
    match is_plain {
        true => Ok(Some(id)),
        false => Err(Failed::Unanswered("it named a session that cannot be named".to_owned())),
    }
}

/// The next piece of a body; `None` at its end.
///
/// # Errors
/// When it breaks off.
pub(super) async fn piece(body: &mut Incoming) -> Result<Option<Bytes>, Failed> {
    loop {
        match body.frame().await {
            None => return Ok(None),
            // What follows a body is not read.
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
            Some(Err(error)) => {
                return Err(Failed::Unanswered(format!("its answer broke off: {error}")));
            }
        }
    }
}

/// A whole body of at most `bytes_max` bytes.
///
/// # Errors
/// When it is longer, or breaks off.
pub(super) async fn whole(body: &mut Incoming, bytes_max: usize) -> Result<Vec<u8>, Failed> {
    let mut all = Vec::new();
    while let Some(data) = piece(body).await? {
        if all.len() + data.len() > bytes_max {
            let why = format!("it answered with more than {bytes_max} bytes");
            return Err(Failed::Unanswered(why));
        }
        all.extend_from_slice(&data);
    }
    Ok(all)
}

/// Whether a status says that a request was taken.
pub(super) fn is_good(status: StatusCode) -> bool {
    status.is_success()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_spelled_so_that_it_is_read_back() {
        for (name, expected) in [
            ("echo", "echo"),
            ("file:///a b", "file:///a b"),
            (" echo", "=?base64?IGVjaG8=?="),
            ("=?base64?ZWNobw==?=", "=?base64?PT9iYXNlNjQ/WldOb2J3PT0/PQ==?="),
            ("e\u{301}", "=?base64?ZcyB?="),
            ("a\r\nX: y", "=?base64?YQ0KWDogeQ==?="),
        ] {
            assert_eq!(spelled(name), expected, "{name:?}");
            assert!(HeaderValue::from_str(&spelled(name)).is_ok());
        }
    }

    #[test]
    fn what_is_neither_one_message_nor_events_is_not_read() {
        for (content_type, expected) in [
            ("application/json", Kind::Json),
            ("Application/JSON; charset=UTF-8", Kind::Json),
            ("application/json; charset=\"utf-8\"", Kind::Json),
            ("text/event-stream", Kind::Events),
            ("text/event-stream;charset=utf-8", Kind::Events),
            ("application/json; charset=utf-16", Kind::Other),
            ("text/event-stream; charset=latin1", Kind::Other),
            ("application/json-patch+json", Kind::Other),
            ("text/html", Kind::Other),
            ("application/x-ndjson", Kind::Other),
            ("", Kind::Other),
        ] {
            assert_eq!(kind(content_type), expected, "{content_type}");
        }
    }
}
