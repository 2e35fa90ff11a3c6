//! Rows of heads: what passes, and by which rule the others are turned away.

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

#[test]
fn a_stream_takes_events_and_no_stateless_revision() {
    let get = |changes: &[(&str, &str)]| {
        let found = read(&Method::GET, &"/sse".parse().unwrap(), &headers(changes));
        found.map(|wanted| matches!(wanted, Wanted::Stream(_)))
    };
    for (accept, expected) in [
        ("text/event-stream", Ok(true)),
        ("*/*", Ok(true)),
        ("", Ok(true)),
        ("application/json", Err(Turned::AcceptEvents)),
        ("text/event-stream;q=0", Err(Turned::AcceptEvents)),
    ] {
        assert_eq!(get(&[("accept", accept), ("content-type", "")]), expected, "{accept}");
    }
    let of = |revision| get(&[("mcp-protocol-version", revision)]);
    assert_eq!((of("2025-06-18"), of(STATELESS)), (Ok(true), Err(Turned::Revision)));
}

#[test]
fn who_names_an_event_of_a_session_comes_back_to_a_stream_and_listens_to_none() {
    let get = |changes: &[(&str, &str)]| {
        let honest = [("accept", "text/event-stream"), ("content-type", "")];
        let all: Vec<_> = honest.iter().chain(changes).copied().collect();
        read(&Method::GET, &"/mcp".parse().unwrap(), &headers(&all))
    };
    let (session, event) = (("mcp-session-id", "s"), ("last-event-id", "e-1"));
    assert!(matches!(get(&[session]), Ok(Wanted::Listen(_))));
    for (changes, expected) in [(&[session, event][..], "e-1"), (&[session, event, event], "")] {
        let Ok(Wanted::Resume(envelope, id)) = get(changes) else { panic!("{changes:?}") };
        assert_eq!((envelope.session.as_deref(), id.as_str()), (Some("s"), expected));
    }
    assert_eq!(get(&[event]), Err(Turned::Method("POST, DELETE")), "no session");
    let stateless = [session, event, ("mcp-protocol-version", STATELESS)];
    assert_eq!(get(&stateless), Err(Turned::Revision));
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
    for (revision, expected) in [("", Some("s")), ("2025-11-25", Some("s")), (STATELESS, None)] {
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
        (Method::GET, "/sse", Ok(())),
        (Method::POST, "/sse", Err(Turned::Method("GET"))),
        (Method::GET, "/sse?x", Err(Turned::Path)),
        (Method::POST, "/messages?session_id=x", Ok(())),
        (Method::GET, "/messages?session_id=x", Err(Turned::Method("POST"))),
        (Method::POST, "/messages?sessionId=x", Err(Turned::Path)),
        (Method::POST, "/messages", Err(Turned::Path)),
        (Method::POST, "http://example.org/messages?session_id=x", Err(Turned::Host)),
        (Method::GET, METADATA_PATHS[0], Ok(())),
        (Method::GET, METADATA_PATHS[1], Ok(())),
        (Method::POST, METADATA_PATHS[0], Err(Turned::Method("GET"))),
        (Method::GET, "/.well-known/oauth-protected-resource/other", Err(Turned::Path)),
        (Method::GET, "/.well-known/oauth-protected-resource?x", Err(Turned::Path)),
        (Method::GET, "http://example.org/.well-known/oauth-protected-resource", Err(Turned::Host)),
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
    for (changes, expected) in [(&twice[..], Some("")), (&twice[..1], Some("aa")), (&[], None)] {
        assert_eq!(envelope(&headers(changes)).prompt.as_deref(), expected);
    }
}
