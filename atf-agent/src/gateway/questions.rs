//! A result by which a server asks the run for more before it is done. It is built anew of what the permit
//! allows the server to ask; what is not understood is not passed on.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use super::rounds::Round;
use crate::call::{Question, Questions, STATE_BYTES_MAX, StateKey, StateOf};
use crate::gate;
use crate::wire::PermitBody;

/// The type of such a result.
pub(super) const INPUT_REQUIRED: &str = "input_required";

/// Most questions of one result, and the longest key of one in bytes.
const QUESTIONS_MAX: usize = 16;
const KEY_BYTES_MAX: usize = 128;

/// What is read of the result. All else in it is dropped: it is the server's own, and nobody's answer.
#[derive(Deserialize)]
struct Asks<'a> {
    #[serde(borrow, default, rename = "inputRequests")]
    requests: BTreeMap<String, Request<'a>>,
    #[serde(default, rename = "requestState")]
    state: Option<String>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Request<'a> {
    method: Question,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    params: Option<&'a RawValue>,
}

/// What of a form is read.
#[derive(Deserialize)]
struct Form<'a> {
    #[serde(default)]
    mode: Option<String>,
    #[serde(borrow, default)]
    url: Option<&'a RawValue>,
}

/// The members by which a client tells what it is asked: a form, or a page to open.
const MODES: [&str; 5] = ["mode", "url", "message", "requestedSchema", "elicitationId"];

#[derive(Serialize)]
struct Asked<'a> {
    #[serde(rename = "resultType")]
    result_type: &'static str,
    #[serde(rename = "inputRequests", skip_serializing_if = "BTreeMap::is_empty")]
    requests: BTreeMap<String, Request<'a>>,
    #[serde(rename = "requestState", skip_serializing_if = "Option::is_none")]
    state: Option<String>,
}

/// The result as the run gets it: the questions byte for byte, the state bound to this call.
///
/// # Errors
/// When it asks what the permit does not allow, or is no such result.
pub(super) fn asked(
    text: &str,
    permit: &PermitBody,
    key: &StateKey,
) -> Result<Box<RawValue>, String> {
    let Asks { requests, state } = read(text, permit)?;
    let PermitBody { run, ref target, arguments, .. } = *permit;
    let state = state.map(|state| key.bind(StateOf { run, target, arguments }, &state));
    to_raw_value(&Asked { result_type: INPUT_REQUIRED, requests, state })
        .map_err(|error| error.to_string())
}

/// The same for a run that is asked by requests: the questions byte for byte, and the state, which stays here.
///
/// # Errors
/// See [`asked`].
pub(super) fn round(text: &str, permit: &PermitBody) -> Result<Round, String> {
    let Asks { requests, state } = read(text, permit)?;
    let empty = || RawValue::from_string("{}".to_owned()).map_err(|error| error.to_string());
    let one = |(key, request): (String, Request<'_>)| {
        let params = request.params.map_or_else(empty, |params| Ok(params.to_owned()))?;
        Ok((key, request.method, params))
    };
    let questions = requests.into_iter().map(one).collect::<Result<_, String>>()?;
    let (decision, target) = (permit.decision, permit.target.clone());
    Ok(Round { decision, target, questions, state, bytes: text.len() as u64 })
}

fn read<'a>(text: &'a str, permit: &PermitBody) -> Result<Asks<'a>, String> {
    let asks: Asks<'a> = serde_json::from_str(text)
        .map_err(|error| format!("a question is not understood: {error}"))?;
    are_allowed(&asks.requests, permit.exchange.as_ref().map(|exchange| &exchange.questions))?;
    if asks.state.as_ref().is_some_and(|state| state.len() > STATE_BYTES_MAX) {
        return Err(format!("a state of more than {STATE_BYTES_MAX} bytes"));
    }
    if asks.requests.is_empty() && asks.state.is_none() {
        return Err("a question that asks nothing".to_owned());
    }
    Ok(asks)
}

/// What a server asks by `requests`, an object by its keys, when it may ask all of it. It is built anew, so that what
/// was looked at is what every reader finds.
///
/// # Errors
/// When it may not, or they are no questions.
pub(super) fn allowed(requests: &str, may: Option<&Questions>) -> Result<Box<RawValue>, String> {
    let requests = serde_json::from_str(requests)
        .map_err(|error| format!("a question is not understood: {error}"))?;
    are_allowed(&requests, may)?;
    to_raw_value(&requests).map_err(|error| error.to_string())
}

fn are_allowed(
    requests: &BTreeMap<String, Request<'_>>,
    allowed: Option<&Questions>,
) -> Result<(), String> {
    if allowed.is_none_or(|allowed| allowed.is_empty()) {
        return Err("a question, and the server may ask nothing".to_owned());
    }
    if requests.len() > QUESTIONS_MAX {
        return Err(format!("{} questions, at most {QUESTIONS_MAX}", requests.len()));
    }
    for (name, request) in requests {
        let method = request.method;
        if name.len() > KEY_BYTES_MAX || name.chars().any(char::is_control) {
            return Err("a question by a key that is none".to_owned());
        }
        if !allowed.is_some_and(|allowed| allowed.contains(&method)) {
            return Err(format!("the question {}, which is not allowed", method.method()));
        }
        let params = request.params.map_or("{}", RawValue::get);
        if !params.starts_with('{') {
            return Err(format!("the question {} without parameters", method.method()));
        }
        if method == Question::Elicitation {
            let form: Form<'_> = serde_json::from_str(params).map_err(|error| error.to_string())?;
            if let Some(name) = gate::case_variant(params, &MODES) {
                return Err(format!("{name:?} differs from a known member in case alone"));
            }
            if form.mode.is_some_and(|mode| mode != "form") || form.url.is_some() {
                return Err("a question that is no form: nobody judges where it leads".to_owned());
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::call::{CgroupId, DecisionId, Digest, RunId, Target};
    use crate::wire::{Exchange, MayTell};

    fn permit(questions: Option<Questions>) -> PermitBody {
        PermitBody {
            decision: DecisionId::random(),
            run: RunId::random(),
            cgroup: CgroupId(1),
            token: Digest::of(b"t"),
            target: Target::Tool("f.t".parse().unwrap()),
            pin: None,
            arguments: Digest::of(b"{}"),
            policy: Digest::of(b"p"),
            nonce: Digest::of(b"n"),
            expires_unix_s: 1,
            exchange: questions.map(|questions| Exchange {
                questions,
                answers: None,
                by_request: false,
            }),
            may_tell: MayTell::default(),
            defers: None,
            began: None,
            waived: false,
        }
    }

    #[test]
    fn a_server_asks_what_the_permit_allows_and_nothing_else() {
        let ask = |method: &str, params: Value| {
            json!({"resultType": INPUT_REQUIRED, "_meta": {"x": 1}, "requestState": "s",
                "inputRequests": {"k": {"method": method, "params": params}}})
        };
        let form = ask("elicitation/create", json!({"mode": "form", "message": "who?"}));
        let forms = || Some(Questions::from([Question::Elicitation]));
        let key = StateKey::random();
        let may = permit(forms());
        let found = asked(&form.to_string(), &may, &key).unwrap();
        let found: Value = serde_json::from_str(found.get()).unwrap();
        assert_eq!(found["inputRequests"], form["inputRequests"]);
        assert_eq!((&found["resultType"], &found["_meta"]), (&json!(INPUT_REQUIRED), &Value::Null));
        let of = StateOf { run: may.run, target: &may.target, arguments: may.arguments };
        assert_eq!(key.unbind(of, found["requestState"].as_str().unwrap()), Some("s"));

        let many: serde_json::Map<_, _> = (0..=QUESTIONS_MAX)
            .map(|n| (n.to_string(), json!({"method": "elicitation/create", "params": {}})))
            .collect();
        for (questions, text) in [
            (None, form.to_string()),
            (Some(Questions::new()), form.to_string()),
            (Some(Questions::from([Question::Roots])), form.to_string()),
            (forms(), ask("sampling/createMessage", json!({})).to_string()),
            (forms(), ask("tools/call", json!({})).to_string()),
            (forms(), ask("elicitation/create", json!({"mode": "url", "url": "x"})).to_string()),
            (forms(), ask("elicitation/create", json!({"Mode": "url"})).to_string()),
            (
                forms(),
                ask("elicitation/create", json!({"mode": "form", "Mode": "url"})).to_string(),
            ),
            (forms(), ask("elicitation/create", json!({"mode": "form", "url": "x"})).to_string()),
            (forms(), ask("elicitation/create", json!({"mode": "form", "URL": "x"})).to_string()),
            (forms(), ask("elicitation/create", json!({"me\u{17f}sage": "x"})).to_string()),
            (forms(), ask("elicitation/create", json!([])).to_string()),
            (forms(), form.to_string().replace("\"params\"", "\"more\":1,\"params\"")),
            (forms(), form.to_string().replace("\"mode\"", "\"mode\":\"url\",\"mode\"")),
            (forms(), form.to_string().replace("\"s\"", &format!("{:?}", "s".repeat(9_000)))),
            (forms(), json!({"resultType": INPUT_REQUIRED}).to_string()),
            (forms(), json!({"inputRequests": many, "requestState": "s"}).to_string()),
            (forms(), json!({"inputRequests": {"k": 1}}).to_string()),
        ] {
            assert!(asked(&text, &permit(questions), &key).is_err(), "{text}");
        }
    }
}
