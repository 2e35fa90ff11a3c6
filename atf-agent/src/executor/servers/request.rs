//! The lines that a server hears. Envelopes are built here; nothing of the caller's message but the
//! arguments is in them: no id, no token, no `_meta`.

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::call::Call;
use super::framing::push_on_one_line;
use super::handshake;
use super::saying::What;
use crate::call::{Questions, Target};
use crate::gate::{Era, STATELESS, TASKS};
use crate::wire::{Answers, MayDefer};

/// Bytes of a call's envelope: fixed words, a number and a name; what is said anew in each request.
const ENVELOPE_BYTES: usize = 400;

/// JSON-RPC 2.0: it could not be done.
const INTERNAL_ERROR: i32 = -32603;

/// JSON-RPC 2.0: no such method.
const METHOD_NOT_FOUND: i32 = -32601;

/// Who we are.
pub(super) fn client() -> Value {
    json!({"name": "atf", "version": env!("CARGO_PKG_VERSION")})
}

/// That we answer what may be asked.
pub(super) fn capabilities(questions: &Questions) -> Map<String, Value> {
    questions.iter().map(|question| (question.capability().to_owned(), json!({}))).collect()
}

/// What the stateless revision has said anew in each request: that we answer what may be asked, and whether
/// promises are taken.
fn meta(questions: &Questions, defers: bool) -> Map<String, Value> {
    let mut capabilities = capabilities(questions);
    if defers {
        capabilities.insert("extensions".to_owned(), json!({ TASKS: {} }));
    }
    let said = [
        ("protocolVersion", json!(STATELESS)),
        ("clientCapabilities", json!(capabilities)),
        ("clientInfo", client()),
    ];
    said.map(|(name, value)| (format!("io.modelcontextprotocol/{name}"), value))
        .into_iter()
        .collect()
}

/// What is said of a call beside it: what the revision demands, and what the run may be told meanwhile. The
/// server knows the call by our number alone.
fn meta_of_call(era: Era, id: u64, call: &Call) -> Map<String, Value> {
    let mut meta = match era {
        Era::Handshake => Map::new(),
        Era::Stateless => {
            let of_deferred = call.target.deferral().is_some();
            meta(&call.questions, of_deferred || call.defers == Some(MayDefer::Allowed))
        }
    };
    if call.may_tell.progress {
        meta.insert("progressToken".to_owned(), json!(id));
    }
    if let (Era::Stateless, Some(level)) = (era, call.may_tell.level) {
        meta.insert("io.modelcontextprotocol/logLevel".to_owned(), json!(level));
    }
    meta
}

/// A request of our own, whose `params` are an object.
pub(super) fn request(era: Era, id: u64, method: &str, mut params: Value) -> String {
    match era {
        Era::Handshake => {}
        Era::Stateless => params["_meta"] = json!(meta(&Questions::new(), false)),
    }
    let message = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
    format!("{message}\n")
}

/// What the call `id` is: its method, and the server's own name for what it is of.
pub(super) fn what(era: Era, id: u64, call: &Call) -> What {
    let own = || Some(call.target.split().1.to_owned());
    let (method, name) = match &call.target {
        Target::Tool(_) => ("tools/call", own()),
        Target::Prompt(_) => ("prompts/get", own()),
        Target::Resource(_) => ("resources/read", own()),
        Target::Subscription(_) if era == Era::Handshake => ("resources/subscribe", own()),
        Target::Subscription(_) => (handshake::LISTEN, None),
        Target::PromptArgument(_) | Target::TemplateArgument(_) => ("completion/complete", None),
        Target::Deferred(deferred) => (deferred.asks.method(), task(&call.arguments)),
    };
    What::Request { id, method, name }
}

/// The server's own name for the deferred call that these arguments are of.
pub(super) fn task(arguments: &RawValue) -> Option<String> {
    let arguments: Value = serde_json::from_str(arguments.get()).ok()?;
    arguments["taskId"].as_str().map(str::to_owned)
}

/// A call of the target, by the name that its server has for it.
pub(super) fn call(era: Era, id: u64, call: &Call) -> String {
    let (target, arguments) = (&call.target, &call.arguments);
    let (own, arguments) = (json!(target.split().1), arguments.get());
    let mut line = String::with_capacity(ENVELOPE_BYTES + arguments.len());
    line.push_str(r#"{"jsonrpc":"2.0","id":"#);
    line.push_str(&id.to_string());
    line.push_str(r#","method":""#);
    match target {
        Target::Tool(_) => {
            line.push_str(&format!(r#"tools/call","params":{{"name":{own},"arguments":"#));
            push_on_one_line(&mut line, arguments);
        }
        Target::Prompt(_) => {
            line.push_str(&format!(r#"prompts/get","params":{{"name":{own},"arguments":"#));
            push_on_one_line(&mut line, arguments);
        }
        Target::Resource(_) => {
            line.push_str(&format!(r#"resources/read","params":{{"uri":{own}"#));
        }
        Target::Subscription(_) if era == Era::Handshake => {
            line.push_str(&format!(r#"resources/subscribe","params":{{"uri":{own}"#));
        }
        // A stream for this resource alone, which ends as any request is cancelled.
        Target::Subscription(_) => {
            let named = format!(r#"{{"resourceSubscriptions":[{own}]}}"#);
            line.push_str(&format!(r#"subscriptions/listen","params":{{"notifications":{named}"#));
        }
        Target::PromptArgument(_) => {
            let of = format!(r#"{{"type":"ref/prompt","name":{own}}}"#);
            complete(&mut line, &of, arguments);
        }
        Target::TemplateArgument(_) => {
            let of = format!(r#"{{"type":"ref/resource","uri":{own}}}"#);
            complete(&mut line, &of, arguments);
        }
        Target::Deferred(deferred) => {
            line.push_str(&format!(r#"{}","params":{{"#, deferred.asks.method()));
            push_members(&mut line, arguments);
        }
    }
    if let (Era::Handshake, Some(MayDefer::Asked { ttl_ms })) = (era, call.defers) {
        line.push_str(&format!(r#","task":{{"ttl":{ttl_ms}}}"#));
    }
    let meta = meta_of_call(era, id, call);
    if !meta.is_empty() {
        line.push_str(&format!(",\"_meta\":{}", json!(meta)));
    }
    match era {
        Era::Handshake => {}
        Era::Stateless => call.answers.iter().for_each(|answers| push_answers(&mut line, answers)),
    }
    line.push_str("}}\n");
    line
}

/// What the run answers, byte for byte as judged.
fn push_answers(line: &mut String, answers: &Answers) {
    if let Some(responses) = &answers.responses {
        line.push_str(",\"inputResponses\":");
        push_on_one_line(line, responses.get());
    }
    if let Some(state) = &answers.state {
        line.push_str(",\"requestState\":");
        push_on_one_line(line, &json!(state).to_string());
    }
}

/// The parameters of a completion, but for their end: `arguments` is an object of `argument` and
/// `context`, whose members stand beside what is completed.
fn complete(line: &mut String, of: &str, arguments: &str) {
    line.push_str(&format!(r#"completion/complete","params":{{"ref":{of},"#));
    push_members(line, arguments);
}

/// The members of an object, without what is around them.
fn push_members(line: &mut String, object: &str) {
    let members = object.trim_ascii();
    push_on_one_line(
        line,
        members.strip_prefix('{').and_then(|m| m.strip_suffix('}')).unwrap_or(""),
    );
}

/// That nobody waits for call `id` any more, and why.
pub(super) fn cancelled(id: u64, why: &str) -> String {
    let params = json!({"requestId": id, "reason": why});
    told("notifications/cancelled", Some(&params))
}

/// A notification.
pub(super) fn told(method: &str, params: Option<&serde_json::Value>) -> String {
    let mut message = json!({"jsonrpc": "2.0", "method": method});
    if let Some(params) = params {
        message["params"] = params.clone();
    }
    format!("{message}\n")
}

/// The answer to a request of the server's own: yes to a ping, no to all else.
pub(super) fn answer_of(id: &RawValue, is_ping: bool) -> String {
    let mut line = String::from(r#"{"jsonrpc":"2.0","id":"#);
    push_on_one_line(&mut line, id.get());
    if is_ping {
        line.push_str(",\"result\":{}}\n");
        return line;
    }
    let error = json!({"code": METHOD_NOT_FOUND, "message": "method not found"});
    line.push_str(&format!(",\"error\":{error}}}\n"));
    line
}

/// What a run answers to the question that the server has asked by this id, byte for byte as judged.
pub(super) fn answered(id: &RawValue, result: &RawValue) -> String {
    let mut line = String::with_capacity(ENVELOPE_BYTES + result.get().len());
    line.push_str(r#"{"jsonrpc":"2.0","id":"#);
    push_on_one_line(&mut line, id.get());
    line.push_str(",\"result\":");
    push_on_one_line(&mut line, result.get());
    line.push_str("}\n");
    line
}

/// That nobody answers the question of this id.
pub(super) fn unanswered(id: &RawValue) -> String {
    let mut line = String::from(r#"{"jsonrpc":"2.0","id":"#);
    push_on_one_line(&mut line, id.get());
    let error = json!({"code": INTERNAL_ERROR, "message": "nobody answers"});
    line.push_str(&format!(",\"error\":{error}}}\n"));
    line
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::call::{DecisionId, Question, RunId};
    use crate::executor::outcome::Reply;
    use crate::wire::MayTell;

    fn made(target: &Target, arguments: &RawValue) -> Call {
        Call {
            decision: DecisionId::random(),
            run: RunId::random(),
            began: None,
            asks_by_request: false,
            may_tell: MayTell::default(),
            defers: None,
            target: target.clone(),
            approved: None,
            arguments: arguments.to_owned(),
            questions: Questions::new(),
            answers: None,
            unexpired: Arc::new(|| Ok(())),
            unsealed: Arc::new(|| Ok(())),
            is_again: false,
            reply: Reply::new(drop),
        }
    }

    fn tool(name: &str) -> Target {
        Target::Tool(name.parse().unwrap())
    }

    #[test]
    fn each_target_is_asked_for_in_its_own_way_and_by_its_servers_name() {
        let argument = r#"{"argument":{"name":"n","value":"}"},"context":{}}"#;
        for (target, arguments, method, params) in [
            (tool("f.t"), "{}", "tools/call", json!({"name": "t", "arguments": {}})),
            (
                Target::Prompt("f.p.q".parse().unwrap()),
                r#"{"a":"b"}"#,
                "prompts/get",
                json!({"name": "p.q", "arguments": {"a": "b"}}),
            ),
            (
                Target::Resource("f+file:///a+b".parse().unwrap()),
                "{}",
                "resources/read",
                json!({"uri": "file:///a+b"}),
            ),
            (
                Target::Subscription("f+file:///a+b".parse().unwrap()),
                "{}",
                "resources/subscribe",
                json!({"uri": "file:///a+b"}),
            ),
            (
                Target::PromptArgument("f.p".parse().unwrap()),
                argument,
                "completion/complete",
                json!({"ref": {"type": "ref/prompt", "name": "p"},
                    "argument": {"name": "n", "value": "}"}, "context": {}}),
            ),
            (
                Target::TemplateArgument("f+x:{y}".parse().unwrap()),
                argument,
                "completion/complete",
                json!({"ref": {"type": "ref/resource", "uri": "x:{y}"},
                    "argument": {"name": "n", "value": "}"}, "context": {}}),
            ),
        ] {
            let arguments = RawValue::from_string(arguments.to_owned()).unwrap();
            let line = call(Era::Handshake, 7, &made(&target, &arguments));
            let message: Value = serde_json::from_str(&line).unwrap();
            let expected = json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params});
            assert_eq!(message, expected, "{target}");

            let What::Request { id, method: said, name } =
                what(Era::Handshake, 7, &made(&target, &arguments))
            else {
                panic!()
            };
            assert_eq!((id, said), (7, method), "what is said beside it");
            let own = params.get("name").or(params.get("uri")).and_then(Value::as_str);
            assert_eq!(name.as_deref(), own, "{target}");

            let line = call(Era::Stateless, 7, &made(&target, &arguments));
            let mut message: Value = serde_json::from_str(&line).unwrap();
            let meta = message["params"].as_object_mut().unwrap().remove("_meta").unwrap();
            let expected = match target {
                Target::Subscription(_) => {
                    let params =
                        json!({"notifications": {"resourceSubscriptions": ["file:///a+b"]}});
                    json!({"jsonrpc": "2.0", "id": 7, "method": "subscriptions/listen",
                        "params": params})
                }
                _ => expected,
            };
            assert_eq!(message, expected, "{target}");
            assert_eq!(meta["io.modelcontextprotocol/protocolVersion"], STATELESS);
            assert_eq!(meta["io.modelcontextprotocol/clientCapabilities"], json!({}));
        }
    }

    /// The attack: a second request inside of the arguments, between two line ends.
    #[test]
    fn arguments_are_one_message_and_mean_what_was_judged() {
        let smuggled =
            "{\"a\":\n{\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"tools/call\",\"params\":{}}\n}";
        let arguments = RawValue::from_string(smuggled.to_owned()).unwrap();
        let messages = |text: &str| {
            let lines = text.lines().map(serde_json::from_str::<serde_json::Value>);
            lines.filter_map(Result::ok).collect::<Vec<_>>()
        };
        // The control: written as it came, its middle line is a request.
        let naive = format!(r#"{{"params":{{"arguments":{smuggled}}}}}"#);
        assert_eq!(messages(&naive)[0]["method"], "tools/call");

        let found = messages(&call(Era::Handshake, 3, &made(&tool("fix.echo"), &arguments)));
        let judged: serde_json::Value = serde_json::from_str(smuggled).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0]["id"], 3);
        assert_eq!(found[0]["params"], json!({"name": "echo", "arguments": judged}));
    }

    #[test]
    fn arguments_on_one_line_go_on_byte_for_byte() {
        let bytes = r#"{ "n":1e2,"s":"\u0041é" }"#;
        let arguments = RawValue::from_string(bytes.to_owned()).unwrap();
        let line = call(Era::Handshake, 1, &made(&tool("fix.echo"), &arguments));
        assert!(line.contains(bytes), "{line}");
        assert!(line.ends_with('\n') && line.lines().count() == 1);
    }

    /// The attack: a member of the envelope inside of the answers or the state.
    #[test]
    fn a_server_hears_what_may_be_asked_and_the_answers_as_they_were_judged() {
        let raw = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
        let answers = Answers {
            responses: Some(raw("{\"k\":\n{ \"n\":1e2}}")),
            state: Some("\"},\"name\":\"other\u{2028}\n".to_owned()),
        };
        let state = answers.state.clone();
        let asked = Call {
            questions: [Question::Sampling].into(),
            answers: Some(Box::new(answers)),
            ..made(&tool("fix.echo"), &raw("{}"))
        };
        let line = call(Era::Stateless, 7, &asked);
        assert!(line.contains(r#"{"k": { "n":1e2}}"#), "{line}");
        assert_eq!(line.lines().count(), 1);
        let message: Value = serde_json::from_str(&line).unwrap();
        let params = &message["params"];
        assert_eq!(params["name"], "echo");
        assert_eq!(params["requestState"].as_str(), state.as_deref());
        let can = &params["_meta"]["io.modelcontextprotocol/clientCapabilities"];
        assert_eq!(can, &json!({"sampling": {}}));
    }
}
