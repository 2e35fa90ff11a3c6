//! What a caller gets: a JSON-RPC answer and the HTTP status that goes with it. A refusal says
//! little here; the log has the rest.

use hyper::StatusCode;
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;

use crate::call::{Reason, Refusal};

/// JSON-RPC 2.0: not JSON at all.
const PARSE_ERROR: i32 = -32700;
/// JSON-RPC 2.0: JSON, but no request.
const INVALID_REQUEST: i32 = -32600;
/// JSON-RPC 2.0: no such method.
const METHOD_NOT_FOUND: i32 = -32601;

/// The answer to one HTTP request.
#[derive(Debug)]
pub(super) struct Answer {
    /// The HTTP status.
    pub(super) status: StatusCode,
    /// `WWW-Authenticate` (RFC 6750), with 401 and 403.
    pub(super) challenge: Option<&'static str>,
    /// The JSON; empty with 202.
    pub(super) body: String,
}

/// What kind of answer a refused request expects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// The result of a tool, which a model reads.
    Tool,
    /// Anything else.
    Other,
}

impl Answer {
    /// The result of request `id`, as it is.
    pub(super) fn result(id: &RawValue, result: &RawValue) -> Self {
        Self::ok(format!(
            r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#
        ))
    }

    /// The result of request `id`, made here.
    pub(super) fn made(id: &RawValue, result: &impl Serialize) -> Self {
        let body = json!({"jsonrpc": "2.0", "id": id, "result": result});
        Self::ok(body.to_string())
    }

    /// A notification or a response was taken; nothing is to be said (MCP, Streamable HTTP).
    pub(super) fn accepted() -> Self {
        Self {
            status: StatusCode::ACCEPTED,
            challenge: None,
            body: String::new(),
        }
    }

    /// The method of request `id` is not known.
    pub(super) fn no_such_method(id: &RawValue) -> Self {
        Self::ok(error(Some(id), METHOD_NOT_FOUND, "method not found", None))
    }

    /// The HTTP request itself was not in order.
    pub(super) fn turned(status: StatusCode, why: &str) -> Self {
        Self {
            status,
            challenge: None,
            body: error(None, INVALID_REQUEST, why, None),
        }
    }

    /// A message that is no request: not JSON, or not as ATF reads it.
    pub(super) fn unreadable(message: &[u8]) -> Self {
        let is_json = serde_json::from_slice::<serde::de::IgnoredAny>(message).is_ok();
        let (code, why) = if is_json {
            (INVALID_REQUEST, "invalid request")
        } else {
            (PARSE_ERROR, "parse error")
        };
        let reason = Some(Reason::MessageInvalid);
        Self {
            status: StatusCode::BAD_REQUEST,
            challenge: None,
            body: error(None, code, why, reason),
        }
    }

    /// A step of the line said no to request `id`. A tool's caller gets a tool result, because a
    /// protocol error would end the agent's run and teach its model nothing.
    pub(super) fn refused(id: &RawValue, asked: Asked, refusal: &Refusal, had_token: bool) -> Self {
        let reason = refusal.reason;
        let text = reason.to_string();
        let (status, challenge) = match reason {
            Reason::TokenInvalid if !had_token => (StatusCode::UNAUTHORIZED, Some("Bearer")),
            Reason::TokenInvalid | Reason::TokenOtherRun => (
                StatusCode::UNAUTHORIZED,
                Some(r#"Bearer error="invalid_token""#),
            ),
            Reason::ToolNotNamed => (
                StatusCode::FORBIDDEN,
                Some(r#"Bearer error="insufficient_scope""#),
            ),
            Reason::MessageInvalid
            | Reason::ToolNotPinned
            | Reason::SchemaArguments
            | Reason::SqlRefused
            | Reason::PromptDigest
            | Reason::PolicyDenied
            | Reason::CapExceeded
            | Reason::RunSealed
            | Reason::Unavailable
            | Reason::ExecuteFailed
            | Reason::ResultWithheld => (StatusCode::OK, None),
        };
        if challenge.is_some() {
            let code = i32::from(status.as_u16());
            return Self {
                status,
                challenge,
                body: error(Some(id), code, &text, Some(reason)),
            };
        }
        match asked {
            Asked::Tool => Self::made(
                id,
                &json!({
                    "content": [{"type": "text", "text": format!("refused: {text}")}],
                    "structuredContent": {"reason": reason},
                    "isError": true,
                }),
            ),
            Asked::Other => Self::ok(error(Some(id), INVALID_REQUEST, &text, Some(reason))),
        }
    }

    /// The gateway itself failed. Nothing is known to have been done.
    pub(super) fn failed() -> Self {
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            challenge: None,
            body: error(None, -32603, "internal error", None),
        }
    }

    fn ok(body: String) -> Self {
        Self {
            status: StatusCode::OK,
            challenge: None,
            body,
        }
    }
}

fn error(id: Option<&RawValue>, code: i32, message: &str, reason: Option<Reason>) -> String {
    let mut error = json!({"code": code, "message": message});
    if let Some(reason) = reason {
        error["data"] = json!({"reason": reason});
    }
    json!({"jsonrpc": "2.0", "id": id, "error": error}).to_string()
}
