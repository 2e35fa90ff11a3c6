//! What a caller gets: a JSON-RPC answer and the HTTP status that goes with it. A refusal says
//! little here; the log has the rest.

use hyper::StatusCode;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::account::Asked;
use super::after::Passed;
use super::authorization::Challenge;
use super::mcp;
use super::rounds::Asks;
use crate::call::{Reason, Refusal};
use crate::gate::{Code, Era, Id, Reply, TASKS};

/// JSON-RPC 2.0: the server failed.
const INTERNAL_ERROR: i32 = -32603;

/// MCP up to 2025-11-25: there is no such resource.
const NOT_FOUND: i64 = -32002;

/// MCP 2026-07-28: the client does not say that it answers what would have to be asked.
const MISSING_CAPABILITY: i64 = -32021;

/// The answer to one HTTP request.
#[derive(Debug)]
pub(super) struct Answer {
    /// The HTTP status.
    pub(super) status: StatusCode,
    /// With 401 and 403.
    pub(super) challenge: Option<Challenge>,
    /// `Allow`, with 405.
    pub(super) allow: Option<&'static str>,
    /// The word of a session that begins with it.
    pub(super) session: Option<String>,
    /// The JSON; empty with 202.
    pub(super) body: String,
    /// What the run is asked before there is an answer: this is none then.
    pub(super) asks: Option<Asks>,
}

impl Answer {
    /// What a server gave for request `id`.
    pub(super) fn passed(id: &Id, era: Era, passed: &Passed) -> Self {
        match passed {
            Passed::Result { text, says_type } => Self::result(id, era, text, *says_type),
            Passed::Question(text) => Self::result(id, era, text, true),
            // Whoever asks for it is not answered by it.
            Passed::Round(_) => Self::failed(),
            Passed::Deferred(passes) => Self::result(id, era, &passes.text, true),
            Passed::Error { code, message, data } => {
                // The stateless era has no code of its own for what is not there.
                let code = match (era, *code) {
                    (Era::Stateless, NOT_FOUND) => i64::from(Code::Params.number()),
                    (Era::Stateless | Era::Handshake, code) => code,
                };
                let status = match (era, code) {
                    (Era::Stateless, MISSING_CAPABILITY) => StatusCode::BAD_REQUEST,
                    (Era::Stateless | Era::Handshake, _) => StatusCode::OK,
                };
                let mut error = json!({"code": code, "message": message});
                if let Some(data) = data {
                    error["data"] = data.clone();
                }
                let body = json!({"jsonrpc": "2.0", "id": id, "error": error});
                Self::of(status, body.to_string())
            }
        }
    }

    /// None yet: the run is asked before.
    pub(super) fn asking(asks: Asks) -> Self {
        Self { asks: Some(asks), ..Self::failed() }
    }

    /// A result byte for byte; the stateless era gets the member that it demands of each result, when
    /// it does not say it.
    fn result(id: &Id, era: Era, text: &RawValue, says_type: bool) -> Self {
        let (id, text) = (json!(id), text.get());
        let rest = match era {
            Era::Stateless if !says_type => text.strip_prefix('{').map(str::trim_start),
            Era::Stateless | Era::Handshake => None,
        };
        let body = match rest {
            None => format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{text}}}"#),
            Some(rest) => {
                let comma = if rest.starts_with('}') { "" } else { "," };
                let typed = format!(r#"{{"resultType":"complete"{comma}{rest}"#);
                format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{typed}}}"#)
            }
        };
        Self::of(StatusCode::OK, body)
    }

    /// The result of request `id`, an object made here.
    pub(super) fn made(id: &Id, era: Era, result: Value) -> Self {
        let result = mcp::complete(era, result);
        let body = json!({"jsonrpc": "2.0", "id": id, "result": result});
        Self::of(StatusCode::OK, body.to_string())
    }

    /// The same with a member of `_meta` besides.
    pub(super) fn made_of(id: &Id, era: Era, result: Value, of: (&str, Value)) -> Self {
        let mut result = mcp::complete(era, result);
        result["_meta"][of.0] = of.1;
        let body = json!({"jsonrpc": "2.0", "id": id, "result": result});
        Self::of(StatusCode::OK, body.to_string())
    }

    /// What is told before an answer.
    pub(super) fn notice(message: String) -> Self {
        Self::of(StatusCode::OK, message)
    }

    /// A notification was taken; nothing is to be said (MCP, Streamable HTTP).
    pub(super) fn accepted() -> Self {
        Self::of(StatusCode::ACCEPTED, String::new())
    }

    /// A session has ended.
    pub(super) fn ended() -> Self {
        Self::of(StatusCode::NO_CONTENT, String::new())
    }

    /// The metadata of this resource.
    pub(super) fn metadata(body: String) -> Self {
        Self::of(StatusCode::OK, body)
    }

    /// The HTTP request itself was not in order.
    pub(super) fn turned(status: StatusCode, why: &str) -> Self {
        Self::of(status, error(None, Code::Request.number(), why, None))
    }

    /// The gateway itself failed. What became of the call is in the log, or nothing did.
    pub(super) fn failed() -> Self {
        let body = error(None, INTERNAL_ERROR, "internal error", None);
        Self::of(StatusCode::INTERNAL_SERVER_ERROR, body)
    }

    /// A step of the line said no. A tool's caller gets a tool result, because a protocol error
    /// would end the agent's run and teach its model nothing; one who awaits a promise takes no result in its place,
    /// and gets an error in the same words.
    pub(super) fn refused(
        asked: &Asked,
        era: Era,
        refusal: &Refusal,
        challenge: Option<Challenge>,
    ) -> Self {
        if let Some(challenge) = challenge {
            let status = challenge.status();
            let id = match asked {
                Asked::Unread(reply) => reply.id.as_ref(),
                Asked::Nothing => None,
                Asked::Tool(id) | Asked::Promise(id) | Asked::Other(id) => Some(id),
            };
            let code = i32::from(status.as_u16());
            let reason = refusal.reason;
            return Self {
                challenge: Some(challenge),
                ..Self::of(status, error(id, code, &reason.to_string(), Some(reason)))
            };
        }
        match asked {
            // What is wrong with the message is told as such, whatever is called.
            Asked::Tool(id) | Asked::Promise(id) | Asked::Other(id)
                if let Some(code) = code_of(refusal.reason, era) =>
            {
                let (id, requested) = (Some(id.clone()), None);
                Self::unread(&Reply { id, code, era, requested }, refusal.reason)
            }
            Asked::Unread(reply) => Self::unread(reply, refusal.reason),
            // An id would be taken for one of the client's own requests.
            Asked::Nothing => {
                let reason = refusal.reason;
                let text = reason.to_string();
                let body = error(None, Code::Request.number(), &text, Some(reason));
                Self::of(StatusCode::BAD_REQUEST, body)
            }
            Asked::Tool(id) => Self::made(id, era, refused_tool(refusal)),
            Asked::Promise(id) => {
                let (text, data) = refused_words(refusal);
                let error = json!({"code": Code::Request.number(), "message": text, "data": data});
                let body = json!({"jsonrpc": "2.0", "id": id, "error": error});
                Self::of(StatusCode::OK, body.to_string())
            }
            Asked::Other(id) => {
                let text = words(refusal.reason);
                let code = Code::Request.number();
                let body = error(Some(id), code, &text, Some(refusal.reason));
                Self::of(StatusCode::OK, body)
            }
        }
    }

    fn unread(reply: &Reply, reason: Reason) -> Self {
        let status = match (reply.era, reply.code) {
            (Era::Handshake, Code::Method | Code::Params) => StatusCode::OK,
            (Era::Stateless, Code::Method) => StatusCode::NOT_FOUND,
            (
                _,
                Code::Capability | Code::Parse | Code::Request | Code::Mismatch | Code::Unsupported,
            )
            | (Era::Stateless, Code::Params) => StatusCode::BAD_REQUEST,
        };
        let mut error = json!({
            "code": reply.code.number(),
            "message": reply.code.text(),
            "data": {"reason": reason},
        });
        if reply.code == Code::Capability {
            error["data"]["requiredCapabilities"] = json!({ "extensions": { TASKS: {} } });
        }
        if let Some(requested) = &reply.requested {
            error["data"]["supported"] = json!(mcp::supported());
            error["data"]["requested"] = json!(requested);
        }
        let body = json!({"jsonrpc": "2.0", "id": reply.id, "error": error});
        Self::of(status, body.to_string())
    }

    /// Whether it has a result.
    pub(super) fn is_result(&self) -> bool {
        let message: Option<Value> = serde_json::from_str(&self.body).ok();
        self.status == StatusCode::OK && message.is_some_and(|one| one.get("result").is_some())
    }

    fn of(status: StatusCode, body: String) -> Self {
        Self { status, challenge: None, allow: None, session: None, body, asks: None }
    }
}

/// The code by which the standard answers such a refusal; none of those that are ATF's own.
fn code_of(reason: Reason, era: Era) -> Option<Code> {
    match (reason, era) {
        (Reason::MessageState | Reason::TaskUnknown, _) => Some(Code::Params),
        (Reason::TaskForbidden, _) | (Reason::TaskRequired, Era::Handshake) => Some(Code::Method),
        (Reason::TaskRequired, Era::Stateless) | (Reason::TaskCapability, _) => {
            Some(Code::Capability)
        }
        _ => None,
    }
}

/// How a client says which prompt it acts on. Every run has that digest in its environment and in a file.
const PROMPT: &str =
    "the call has to come with the header or line `ATF-Prompt-SHA256: $ATF_PROMPT_SHA256`";

/// The reason in words: what it is called, and what is missing where that is the same for every policy and call.
fn words(reason: Reason) -> String {
    match reason {
        Reason::PromptDigest => format!("{reason}; {PROMPT}"),
        _ => reason.to_string(),
    }
}

/// A refusal for a model to read, and for a program: the reason, and when it is worth asking again.
fn refused_words(refusal: &Refusal) -> (String, Value) {
    let mut text = format!("refused: {}", words(refusal.reason));
    let mut content = json!({"reason": refusal.reason});
    if let Some(seconds) = refusal.retry_after_s {
        text = format!("{text}; try again in {seconds} s");
        content["retry_after_s"] = json!(seconds);
    }
    (text, content)
}

/// A refusal as a tool's result.
fn refused_tool(refusal: &Refusal) -> Value {
    let (text, content) = refused_words(refusal);
    json!({
        "content": [{"type": "text", "text": text}],
        "structuredContent": content,
        "isError": true,
    })
}

fn error(id: Option<&Id>, code: i32, message: &str, reason: Option<Reason>) -> String {
    let mut error = json!({"code": code, "message": message});
    if let Some(reason) = reason {
        error["data"] = json!({"reason": reason});
    }
    json!({"jsonrpc": "2.0", "id": id, "error": error}).to_string()
}
