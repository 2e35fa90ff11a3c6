//! Requests for prompts, resources and completions, honest ones against those that peers read differently.

use super::{Limits, Message, Received, Stated};

fn read(json: &str) -> Option<Received> {
    match Received::read(json.as_bytes(), &Limits::default(), &Stated::default()) {
        Ok(Message::Request(received)) => Some(received),
        Ok(Message::Notification(..) | Message::Response(_)) | Err(_) => None,
    }
}

/// What is asked of a server: what it names, and the arguments that go on.
fn asked(method: &str, params: &str) -> Option<(String, String)> {
    let json = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#);
    let received = read(&json)?;
    let ask = received.ask()?;
    Some((ask.target().to_string(), ask.arguments().get().to_owned()))
}

#[test]
fn what_is_asked_of_a_server_is_read_by_name_and_goes_on_byte_for_byte() {
    let (get, open, complete) = ("prompts/get", "resources/read", "completion/complete");
    let argument = r#""argument":{"name":"n","value":"\u0041"}"#;
    for (method, params, target, arguments) in [
        (get, r#"{"name":"f.p"}"#.to_owned(), "f.p", "{}".to_owned()),
        (
            get,
            r#"{"name":"f.p","arguments":{ "a":"\u0041" },"_meta":{}}"#.to_owned(),
            "f.p",
            r#"{ "a":"\u0041" }"#.to_owned(),
        ),
        (open, r#"{"uri":"f+file:\/\/\/a"}"#.to_owned(), "f+file:///a", "{}".to_owned()),
        (
            "resources/subscribe",
            r#"{"uri":"f+file:\/\/\/a","_meta":{}}"#.to_owned(),
            "f+file:///a",
            "{}".to_owned(),
        ),
        (
            complete,
            format!(r#"{{"ref":{{"type":"ref/prompt","name":"f.p","title":"t"}},{argument}}}"#),
            "f.p",
            format!("{{{argument}}}"),
        ),
        (
            complete,
            format!(
                r#"{{"ref":{{"uri":"f+x:{{y}}","type":"ref/resource"}},"context":{{"arguments":{{}}}},{argument}}}"#
            ),
            "f+x:{y}",
            format!(r#"{{{argument},"context":{{"arguments":{{}}}}}}"#),
        ),
    ] {
        assert_eq!(asked(method, &params), Some((target.to_owned(), arguments)), "{params}");
    }
}

#[test]
fn what_peers_may_read_differently_or_nobody_knows_is_not_read() {
    let (get, open, complete) = ("prompts/get", "resources/read", "completion/complete");
    let subscribe = "resources/subscribe";
    for (method, params) in [
        (get, "{}"),
        (get, r#"{"name":"no name"}"#),
        (get, r#"{"name":"f.p","arguments":{"a":1}}"#),
        (get, r#"{"name":"f.p","arguments":[]}"#),
        (get, r#"{"name":"f.p","arguments":null}"#),
        (get, r#"{"name":"f.p","Arguments":{}}"#),
        (get, r#"{"name":"f.p","inputResponses":{}}"#),
        (get, r#"["f.p"]"#),
        (open, "{}"),
        (open, r#"{"uri":"file:///a"}"#),
        (open, r#"{"uri":"f+file:///a/../b"}"#),
        (open, r#"{"uri":"f+file:///a/%2e%2e/b"}"#),
        (open, r#"{"uri":"f+file:///a","URI":"f+file:///b"}"#),
        (open, r#"{"uri":"f+file:///a","ur\u0131":"f+file:///b"}"#),
        (open, r#"{"uri":"f+x:{y}"}"#),
        (complete, r#"{"ref":{"type":"ref/prompt","name":"f.p"}}"#),
        (
            complete,
            r#"{"ref":{"type":"ref/tool","name":"f.p"},"argument":{"name":"n","value":"v"}}"#,
        ),
        (
            complete,
            r#"{"ref":{"type":"ref/prompt","name":"f.p"},"argument":{"name":"n","value":1}}"#,
        ),
        (
            complete,
            r#"{"ref":{"type":"ref/prompt","name":"f.p","uri":"f+x:a"},"argument":{"name":"n","value":"v"}}"#,
        ),
        (
            complete,
            r#"{"ref":{"type":"ref/prompt","name":"f.p"},"argument":{"name":"n","value":"v"},"context":{"arguments":{"a":[]}}}"#,
        ),
        (subscribe, "{}"),
        (subscribe, r#"{"uri":"file:///a"}"#),
        (subscribe, r#"{"uri":"f+file:///a/../b"}"#),
        (subscribe, r#"{"uri":"f+file:///a","URI":"f+file:///b"}"#),
        (subscribe, r#"{"uri":"f+file:///a","inputResponses":{}}"#),
        // Which asks nothing of a server.
        ("resources/unsubscribe", r#"{"uri":"f+file:///a"}"#),
    ] {
        assert_eq!(asked(method, params), None, "{params}");
    }
    for (level, is_read) in [("\"warning\"", true), ("\"loud\"", false), ("4", false)] {
        let json = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"logging/setLevel","params":{{"level":{level}}}}}"#
        );
        assert_eq!(read(&json).is_some_and(|received| received.level().is_some()), is_read);
    }
}
