//! What an HTTP request must look like before its body is read. Pure; the rules are those of MCP's
//! Streamable HTTP transport, whose revisions differ here in nothing that ATF offers.

use hyper::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN,
};
use hyper::{Method, StatusCode, Uri};

use super::authorization::METADATA_PATHS;
use crate::gate::{STATELESS, Stated};

/// The one path.
const PATH: &str = "/mcp";
/// Hosts that a run may name, with or without a port. A name from the public DNS here would mean
/// that a browser was tricked into asking (DNS rebinding).
const HOSTS: [&str; 4] = ["localhost", "127.0.0.1", "[::1]", "atf"];

const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");
const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
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
    #[error("the only path is /mcp")]
    Path,
    /// Another method; there is no stream to open.
    #[error("the only method is {0}")]
    Method(&'static str),
    /// Not JSON.
    #[error("the content type must be application/json")]
    ContentType,
    /// The client does not take JSON.
    #[error("the client must accept application/json")]
    Accept,
}

impl Turned {
    /// The status code that says so.
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Host | Self::Origin => StatusCode::FORBIDDEN,
            Self::Path => StatusCode::NOT_FOUND,
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::ContentType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Accept => StatusCode::NOT_ACCEPTABLE,
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
    let is_metadata = METADATA_PATHS.contains(&uri.path());
    if uri.query().is_some() || (uri.path() != PATH && !is_metadata) {
        return Err(Turned::Path);
    }
    match (is_metadata, method) {
        (true, &Method::GET) => return Ok(Wanted::Metadata),
        (true, _) => return Err(Turned::Method("GET")),
        (false, &Method::POST) => {}
        (false, &Method::DELETE) => {
            return Ok(Wanted::End(stated(headers, &SESSION).unwrap_or_default()));
        }
        (false, _) => return Err(Turned::Method("POST, DELETE")),
    }
    if !one(headers, &CONTENT_TYPE).is_some_and(is_json) {
        return Err(Turned::ContentType);
    }
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
            level: None,
        },
    }))
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
mod tests {
    use super::*;

    /// The headers of an honest call, with `changes` applied: an empty value takes one away.
    fn headers(changes: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let honest = [
            ("host", "localhost"),
            ("content-type", "application/json"),
            ("accept", "application/json, text/event-stream"),
        ];
        for (name, value) in honest.iter().chain(changes) {
            let name: HeaderName = name.parse().unwrap();
            let value: HeaderValue = value.parse().unwrap();
            if value.is_empty() {
                headers.remove(name);
            } else if changes.iter().filter(|(n, _)| *n == name.as_str()).count() > 1 {
                headers.append(name, value);
            } else {
                headers.insert(name, value);
            }
        }
        headers
    }

    fn envelope(headers: &HeaderMap) -> Envelope {
        match read(&Method::POST, &"/mcp".parse().unwrap(), headers) {
            Ok(Wanted::Call(envelope)) => envelope,
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn check(changes: &[(&str, &str)], expected: Result<(), Turned>) {
        let found = read(&Method::POST, &"/mcp".parse().unwrap(), &headers(changes));
        assert_eq!(found.map(|_| ()), expected, "{changes:?}");
    }

    #[test]
    fn an_honest_head_passes_in_all_its_spellings() {
        for changes in [
            &[][..],
            &[("host", "LOCALHOST:80")],
            &[("host", "127.0.0.1:8080")],
            &[("host", "[::1]:1")],
            &[("host", "atf")],
            &[("origin", "http://localhost:3000")],
            &[("accept", "")],
            &[("accept", "*/*")],
            &[("accept", "text/html, application/json;q=0.1")],
            &[("content-type", "Application/JSON; charset=UTF-8")],
        ] {
            check(changes, Ok(()));
        }
    }

    #[test]
    fn a_head_that_breaks_a_rule_is_turned_away_by_that_rule() {
        for (name, value, rule) in [
            ("host", "", Turned::Host),
            ("host", "example.org", Turned::Host),
            ("host", "localhost.example.org", Turned::Host),
            ("host", "localhost:", Turned::Host),
            ("host", "localhost:80@evil", Turned::Host),
            ("host", "127.0.0.1:999999", Turned::Host),
            ("origin", "http://example.org", Turned::Origin),
            ("origin", "null", Turned::Origin),
            ("origin", "file://localhost", Turned::Origin),
            ("content-type", "", Turned::ContentType),
            ("content-type", "text/plain", Turned::ContentType),
            ("content-type", "application/json; charset=utf-7", Turned::ContentType),
            ("accept", "text/event-stream", Turned::Accept),
            ("accept", "application/json;q=0", Turned::Accept),
            ("accept", "application/json;q=0.00", Turned::Accept),
        ] {
            check(&[(name, value)], Err(rule));
        }
        check(&[("host", "atf"), ("host", "atf")], Err(Turned::Host));
        let origin = "http://localhost";
        check(&[("origin", origin), ("origin", origin)], Err(Turned::Origin));
    }

    #[test]
    fn events_are_taken_by_name_and_preferred_by_order() {
        for (accept, takes, prefers) in [
            ("application/json, text/event-stream", true, false),
            ("text/event-stream, application/json", true, true),
            ("Text/Event-Stream,application/json", true, true),
            ("application/json", false, false),
            ("*/*", false, false),
            ("application/json, text/event-stream;q=0", false, false),
            ("text/event-stream;q=0.1, application/json", true, false),
            ("", false, false),
        ] {
            let found = envelope(&headers(&[("accept", accept)]));
            let found = (!found.stated.takes_one_message, found.prefers_events);
            assert_eq!(found, (takes, prefers), "{accept}");
        }
    }

    #[test]
    fn a_session_is_of_the_handshake_revisions() {
        for (revision, expected) in [("", Some("s")), ("2025-11-25", Some("s")), (STATELESS, None)]
        {
            let all = headers(&[("mcp-protocol-version", revision), ("mcp-session-id", "s")]);
            assert_eq!(envelope(&all).session.as_deref(), expected, "{revision}");
        }
        let twice = headers(&[("mcp-session-id", "s"), ("mcp-session-id", "s")]);
        assert_eq!(envelope(&twice).session.as_deref(), Some(""), "none that there is");
    }

    #[test]
    fn other_paths_and_methods_are_turned_away() {
        for (method, uri, expected) in [
            (Method::POST, "/mcp", Ok(())),
            (Method::POST, "http://atf/mcp", Ok(())),
            (Method::POST, "http://example.org/mcp", Err(Turned::Host)),
            (Method::POST, "/", Err(Turned::Path)),
            (Method::POST, "/mcp/", Err(Turned::Path)),
            (Method::POST, "/mcp?access_token=x", Err(Turned::Path)),
            (Method::GET, "/mcp", Err(Turned::Method("POST, DELETE"))),
            (Method::DELETE, "/mcp", Ok(())),
            (Method::OPTIONS, "/mcp", Err(Turned::Method("POST, DELETE"))),
            (Method::GET, METADATA_PATHS[0], Ok(())),
            (Method::GET, METADATA_PATHS[1], Ok(())),
            (Method::POST, METADATA_PATHS[0], Err(Turned::Method("GET"))),
            (Method::GET, "/.well-known/oauth-protected-resource/other", Err(Turned::Path)),
            (Method::GET, "/.well-known/oauth-protected-resource?x", Err(Turned::Path)),
            (
                Method::GET,
                "http://example.org/.well-known/oauth-protected-resource",
                Err(Turned::Host),
            ),
        ] {
            let found = read(&method, &uri.parse().unwrap(), &headers(&[]));
            assert_eq!(found.map(|_| ()), expected, "{method} {uri}");
        }
    }

    #[test]
    fn a_token_is_taken_from_one_well_formed_header_alone() {
        for (values, expected) in [
            (&["Bearer a.b.c"][..], Some("a.b.c")),
            (&["bearer a.b.c"], Some("a.b.c")),
            (&["Basic a.b.c"], None),
            (&["Bearer"], None),
            (&["Bearer a b"], None),
            (&["Bearer a", "Bearer b"], None),
            (&[], None),
        ] {
            let changes: Vec<_> = values.iter().map(|v| ("authorization", *v)).collect();
            let found = envelope(&headers(&changes));
            assert_eq!(found.jwt.as_deref(), expected, "{values:?}");
        }
    }

    #[test]
    fn what_is_stated_twice_or_unreadably_is_not_none() {
        let stated = |headers: &HeaderMap| envelope(headers).stated;
        let mut unreadable = headers(&[]);
        unreadable.insert("mcp-method", HeaderValue::from_bytes(b"tools/c\xe4ll").unwrap());
        assert_eq!(stated(&unreadable).method.as_deref(), Some(""));
        for header in ["mcp-protocol-version", "mcp-method", "mcp-name"] {
            for (times, expected) in [(0, None), (1, Some("x")), (2, Some(""))] {
                let found = stated(&headers(&vec![(header, "x"); times]));
                let found = [found.revision, found.method, found.name].into_iter().flatten();
                let expected: Vec<_> = expected.into_iter().collect();
                assert_eq!(found.collect::<Vec<_>>(), expected, "{header} {times}");
            }
        }
    }

    #[test]
    fn a_prompt_digest_that_is_stated_twice_is_not_none() {
        let twice = [("atf-prompt-sha256", "aa"), ("atf-prompt-sha256", "bb")];
        for (changes, expected) in [(&twice[..], Some("")), (&twice[..1], Some("aa")), (&[], None)]
        {
            assert_eq!(envelope(&headers(changes)).prompt.as_deref(), expected);
        }
    }
}
