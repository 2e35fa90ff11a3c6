//! Messages of the stateless revision with the headers that come with them: honest ones, and for each
//! rule one that breaks it and nothing else.

#![allow(clippy::too_many_lines, reason = "a table of vectors is one test")]

use super::{Era, Limits, Message, Received, STATELESS, Stated};

const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"c","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}"#;

fn message(method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{{params}{META}}}}}"#)
}

fn call() -> String {
    message("tools/call", r#""name":"ledger.query","arguments":{},"#)
}

/// What an honest client states about `method`.
fn stated(method: &str, name: Option<&str>) -> Stated {
    Stated {
        has_headers: true,
        revision: Some(STATELESS.to_owned()),
        method: Some(method.to_owned()),
        name: name.map(str::to_owned),
        ..Stated::default()
    }
}

/// `Ok`: it is read, as of that era. `Err`: it is refused and answered so.
#[track_caller]
fn check(what: &str, json: &str, stated: &Stated, expected: Result<Era, i32>) {
    let limits = Limits::default();
    let found = Received::read(json.as_bytes(), &limits, stated);
    let reply = Received::reply(json.as_bytes(), &limits, stated);
    match (&found, expected) {
        (Ok(Message::Request(received)), Ok(era)) => assert_eq!(received.era(), era, "{what}"),
        (Ok(Message::Notification(..)), Ok(_)) => {}
        (Err(_), Err(code)) => {
            let reply = reply.as_ref().expect("a refusal has a reply");
            assert_eq!(reply.code.number(), code, "{what}: {found:?}");
        }
        _ => panic!("{what}: {found:?}, expected {expected:?}: {json}"),
    }
}

#[test]
fn an_honest_message_is_read_with_headers_and_without() {
    for (json, method, name) in [
        (call(), "tools/call", Some("ledger.query")),
        (call(), "tools/call", Some("=?base64?bGVkZ2VyLnF1ZXJ5?=")),
        (message("tools/list", ""), "tools/list", None),
        (message("tools/list", r#""cursor":"c","#), "tools/list", None),
        (message("server/discover", ""), "server/discover", None),
    ] {
        check(method, &json, &stated(method, name), Ok(Era::Stateless));
        check(method, &json, &Stated::default(), Ok(Era::Stateless));
    }
    let anonymous =
        call().replace(r#""io.modelcontextprotocol/clientInfo":{"name":"c","version":"1"},"#, "");
    check(
        "a client that does not say who it is",
        &anonymous,
        &Stated::default(),
        Ok(Era::Stateless),
    );
    let cancelled = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{}}"#;
    let note = Stated { method: None, ..stated("", None) };
    check("a cancellation", cancelled, &note, Ok(Era::Stateless));
}

#[test]
fn headers_that_do_not_say_what_the_message_says_are_refused() {
    let (honest, list) = (stated("tools/call", Some("ledger.query")), message("tools/list", ""));
    let with = |change: fn(&mut Stated)| {
        let mut stated = honest.clone();
        change(&mut stated);
        stated
    };
    check("the control", &call(), &honest, Ok(Era::Stateless));
    let mismatch = Err(-32_020);
    for (what, stated) in [
        ("no revision", with(|s| s.revision = None)),
        ("another revision", with(|s| s.revision = Some("2025-11-25".to_owned()))),
        ("two revisions", with(|s| s.revision = Some(String::new()))),
        ("no method", with(|s| s.method = None)),
        ("another method", with(|s| s.method = Some("tools/list".to_owned()))),
        ("the method in another case", with(|s| s.method = Some("Tools/Call".to_owned()))),
        ("two methods", with(|s| s.method = Some(String::new()))),
        ("no name", with(|s| s.name = None)),
        ("another name", with(|s| s.name = Some("ledger.adjust".to_owned()))),
        ("the name in another case", with(|s| s.name = Some("Ledger.Query".to_owned()))),
        ("two names", with(|s| s.name = Some(String::new()))),
        ("another name, encoded", with(|s| s.name = Some("=?base64?eA==?=".to_owned()))),
        ("a name in no base64", with(|s| s.name = Some("=?base64?%?=".to_owned()))),
    ] {
        check(what, &call(), &stated, mismatch);
    }
    check("a list called a call", &list, &honest, mismatch);
    // The handshake era knows no such headers; one that lies is refused all the same.
    let old = |method: &str, name: &str| Stated {
        revision: Some("2025-11-25".to_owned()),
        ..stated(method, Some(name))
    };
    let plain =
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"ledger.query"}}"#;
    check("an old call", plain, &old("tools/call", "ledger.query"), Ok(Era::Handshake));
    check("an old call with a lie", plain, &old("tools/list", "ledger.query"), mismatch);
    check("an old call of another name", plain, &old("tools/call", "ledger.adjust"), mismatch);
}

#[test]
fn what_every_request_must_say_is_demanded() {
    let honest = stated("tools/call", Some("ledger.query"));
    let without = |from: &str, to: &str| {
        let json = call();
        assert!(json.contains(from), "{from}");
        json.replace(from, to)
    };
    let capabilities = r#","io.modelcontextprotocol/clientCapabilities":{}"#;
    let client = r#""io.modelcontextprotocol/clientInfo":{"name":"c","version":"1"},"#;
    check("the control", &call(), &honest, Ok(Era::Stateless));
    for (what, json) in [
        ("no _meta", without(&format!(",{META}"), "")),
        ("an empty _meta", without(META, r#""_meta":{}"#)),
        ("no revision", without(r#""io.modelcontextprotocol/protocolVersion":"2026-07-28","#, "")),
        ("no capabilities", without(capabilities, "")),
        ("capabilities that are null", without("Capabilities\":{}", "Capabilities\":null")),
        ("capabilities that are a list", without("Capabilities\":{}", "Capabilities\":[]")),
        ("a revision that is a number", without("\"2026-07-28\"", "20260728")),
        ("a revision that is null", without("\"2026-07-28\"", "null")),
        ("a client that is a text", without(r#"{"name":"c","version":"1"}"#, "\"c\"")),
        ("a client that is a list", without(r#"{"name":"c","version":"1"}"#, r#"["c","1"]"#)),
        ("a client without a version", without(r#","version":"1""#, "")),
        ("a name in another case", without("/clientInfo", "/clientinfo")),
        (
            "the revision twice, in two cases",
            without(client, r#""io.modelcontextprotocol/protocolversion":"2025-11-25","#),
        ),
        (
            "an answer that is none",
            without(r#""arguments":{},"#, r#""arguments":{},"inputResponses":[],"#),
        ),
        (
            "a state that is no text",
            without(r#""arguments":{},"#, r#""arguments":{},"requestState":1,"#),
        ),
        ("a task", without(r#""arguments":{},"#, r#""arguments":{},"task":1,"#)),
        (
            "capabilities that are none",
            call().replace(r#"Capabilities":{}"#, r#"Capabilities":{"extensions":[]}"#),
        ),
    ] {
        check(what, &json, &honest, Err(-32_602));
    }
}

/// The standard has what an older client says of it passed over.
#[test]
fn a_task_of_the_revision_before_is_no_mistake() {
    let json = call().replace(r#""arguments":{},"#, r#""arguments":{},"task":{"ttl":-1},"#);
    check("a task", &json, &stated("tools/call", Some("ledger.query")), Ok(Era::Stateless));
}

#[test]
fn a_revision_that_is_not_spoken_is_named_to_its_sender() {
    let json = |revision: &str| call().replace("2026-07-28", revision);
    let with = |revision: &str| Stated {
        revision: Some(revision.to_owned()),
        ..stated("tools/call", Some("ledger.query"))
    };
    let long = "9".repeat(1_000);
    for revision in ["2030-01-01", "2026-07-29", "latest", "2026-07-28 ", long.as_str()] {
        check(revision, &json(revision), &with(revision), Err(-32_022));
        check(revision, &json(revision), &Stated::default(), Err(-32_022));
        let reply = Received::reply(json(revision).as_bytes(), &Limits::default(), &with(revision));
        let named = reply.and_then(|reply| reply.requested).unwrap();
        assert!(revision.starts_with(&named) && named.len() <= 64, "{named}");
    }
    // A handshake revision is agreed on once, and not by `_meta`.
    check("2025-11-25", &json("2025-11-25"), &with("2025-11-25"), Err(-32_602));
    let plain = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    let ping = |revision: &str| Stated { name: None, method: None, ..with(revision) };
    check("a header of the future alone", plain, &ping("2030-01-01"), Err(-32_022));
    check("two headers alone", plain, &ping(""), Err(-32_022));
    check("the control", plain, &ping("2025-11-25"), Ok(Era::Handshake));
    for revision in ["2024-11-05", "2025-03-26", "2025-06-18"] {
        check(revision, plain, &ping(revision), Ok(Era::Handshake));
    }
}

#[test]
fn each_era_has_its_own_methods() {
    let old = |method: &str| {
        let params = match method {
            "tools/call" => r#""name":"x""#,
            "tasks/get" | "tasks/result" | "tasks/cancel" => r#""taskId":"x""#,
            "resources/subscribe" | "resources/unsubscribe" => r#""uri":"f+file:///a""#,
            _ => r#""protocolVersion":"2025-11-25""#,
        };
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{{params}}}}}"#)
    };
    let new = |method: &str| match method {
        "tools/call" => message(method, r#""name":"x","#),
        "tasks/get" | "tasks/cancel" => message(method, r#""taskId":"x","#),
        "tasks/update" => message(method, r#""taskId":"x","inputResponses":{},"#),
        "subscriptions/listen" => message(method, r#""notifications":{},"#),
        _ => message(method, r#""protocolVersion":"2025-11-25","#),
    };
    let no = Err(-32_601);
    for (method, handshake, stateless) in [
        ("initialize", Ok(Era::Handshake), no),
        ("ping", Ok(Era::Handshake), no),
        ("server/discover", no, Ok(Era::Stateless)),
        ("tools/list", Ok(Era::Handshake), Ok(Era::Stateless)),
        ("tools/call", Ok(Era::Handshake), Ok(Era::Stateless)),
        ("resources/list", Ok(Era::Handshake), Ok(Era::Stateless)),
        ("resources/templates/list", Ok(Era::Handshake), Ok(Era::Stateless)),
        ("prompts/list", Ok(Era::Handshake), Ok(Era::Stateless)),
        ("resources/subscribe", Ok(Era::Handshake), no),
        ("resources/unsubscribe", Ok(Era::Handshake), no),
        ("subscriptions/listen", no, Ok(Era::Stateless)),
        ("tasks/get", Ok(Era::Handshake), Ok(Era::Stateless)),
        ("tasks/cancel", Ok(Era::Handshake), Ok(Era::Stateless)),
        ("tasks/result", Ok(Era::Handshake), no),
        ("tasks/list", Ok(Era::Handshake), no),
        ("tasks/update", no, Ok(Era::Stateless)),
        ("tasks/watch", no, no),
        ("notifications/cancelled", no, no),
        ("", no, no),
    ] {
        check(method, &old(method), &Stated::default(), handshake);
        let has_name = ["tools/call", "tasks/get", "tasks/cancel", "tasks/update"];
        let name = has_name.contains(&method).then_some("x");
        check(method, &new(method), &stated(method, name), stateless);
    }
    let note = |method: &str| format!(r#"{{"jsonrpc":"2.0","method":"{method}"}}"#);
    let without_id = |method: &str| new(method).replace(r#""id":1,"#, "");
    for (method, handshake, stateless) in [
        ("notifications/cancelled", true, true),
        ("notifications/initialized", true, false),
        ("notifications/progress", true, false),
        ("notifications/roots/list_changed", true, false),
        ("tools/list", false, false),
        ("tools/call", false, false),
        ("server/discover", false, false),
    ] {
        let refused = |good: bool, era| if good { Ok(era) } else { Err(-32_600) };
        check(method, &note(method), &Stated::default(), refused(handshake, Era::Handshake));
        let name = (method == "tools/call").then_some("x");
        let headers = stated(method, name);
        check(method, &without_id(method), &headers, refused(stateless, Era::Stateless));
    }
}
