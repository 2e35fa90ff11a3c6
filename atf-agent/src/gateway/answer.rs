//! What a caller gets: a JSON-RPC answer and the HTTP status that goes with it. A refusal says
//! little here; the log has the rest.

use hyper::StatusCode;
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::account::Asked;
use crate::call::{Reason, Refusal};
use crate::gate::{Id, Reply};

/// JSON-RPC 2.0: no request.
const INVALID_REQUEST: i32 = -32600;
/// JSON-RPC 2.0: no such method.
const METHOD_NOT_FOUND: i32 = -32601;
/// JSON-RPC 2.0: a request, but not with such parameters.
const INVALID_PARAMS: i32 = -32602;
/// JSON-RPC 2.0: the server failed.
const INTERNAL_ERROR: i32 = -32603;

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

impl Answer {
    /// The result of request `id`, byte for byte.
    pub(super) fn result(id: &Id, result: &RawValue) -> Self {
        let id = json!(id);
        let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#);
        Self::of(StatusCode::OK, body)
    }

    /// The result of request `id`, made here.
    pub(super) fn made(id: &Id, result: &impl Serialize) -> Self {
        let body = json!({"jsonrpc": "2.0", "id": id, "result": result});
        Self::of(StatusCode::OK, body.to_string())
    }

    /// A notification was taken; nothing is to be said (MCP, Streamable HTTP).
    pub(super) fn accepted() -> Self {
        Self::of(StatusCode::ACCEPTED, String::new())
    }

    /// The HTTP request itself was not in order.
    pub(super) fn turned(status: StatusCode, why: &str) -> Self {
        Self::of(status, error(None, INVALID_REQUEST, why, None))
    }

    /// The gateway itself failed. What became of the call is in the log, or nothing did.
    pub(super) fn failed() -> Self {
        let body = error(None, INTERNAL_ERROR, "internal error", None);
        Self::of(StatusCode::INTERNAL_SERVER_ERROR, body)
    }

    /// A step of the line said no. A tool's caller gets a tool result, because a protocol error
    /// would end the agent's run and teach its model nothing.
    pub(super) fn refused(asked: &Asked, refusal: &Refusal, had_token: bool) -> Self {
        if let Some((status, challenge)) = challenge(refusal.reason, had_token) {
            let id = match asked {
                Asked::Unread(reply) => reply.id.as_ref(),
                Asked::Tool(id) | Asked::Other(id) => Some(id),
            };
            let code = i32::from(status.as_u16());
            let reason = refusal.reason;
            return Self {
                challenge: Some(challenge),
                ..Self::of(status, error(id, code, &reason.to_string(), Some(reason)))
            };
        }
        match asked {
            Asked::Unread(reply) => Self::unread(reply, refusal.reason),
            Asked::Tool(id) => Self::made(
                id,
                &json!({
                    "content": [{"type": "text", "text": format!("refused: {}", refusal.reason)}],
                    "structuredContent": {"reason": refusal.reason},
                    "isError": true,
                }),
            ),
            Asked::Other(id) => {
                let text = refusal.reason.to_string();
                let body = error(Some(id), INVALID_REQUEST, &text, Some(refusal.reason));
                Self::of(StatusCode::OK, body)
            }
        }
    }

    fn unread(reply: &Reply, reason: Reason) -> Self {
        let (status, text) = match reply.code {
            METHOD_NOT_FOUND => (StatusCode::OK, "method not found"),
            INVALID_PARAMS => (StatusCode::OK, "invalid params"),
            INVALID_REQUEST => (StatusCode::BAD_REQUEST, "invalid request"),
            _ => (StatusCode::BAD_REQUEST, "parse error"),
        };
        let body = error(reply.id.as_ref(), reply.code, text, Some(reason));
        Self::of(status, body)
    }

    fn of(status: StatusCode, body: String) -> Self {
        Self { status, challenge: None, body }
    }
}

/// 401 and 403 are for tokens and their scopes (RFC 6750, 3.1); without any token no error is named.
fn challenge(reason: Reason, had_token: bool) -> Option<(StatusCode, &'static str)> {
    match reason {
        Reason::TokenInvalid if !had_token => Some((StatusCode::UNAUTHORIZED, "Bearer")),
        Reason::TokenInvalid | Reason::TokenOtherRun => {
            Some((StatusCode::UNAUTHORIZED, r#"Bearer error="invalid_token""#))
        }
        Reason::ToolNotNamed => {
            Some((StatusCode::FORBIDDEN, r#"Bearer error="insufficient_scope""#))
        }
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
        | Reason::ResultWithheld => None,
    }
}

fn error(id: Option<&Id>, code: i32, message: &str, reason: Option<Reason>) -> String {
    let mut error = json!({"code": code, "message": message});
    if let Some(reason) = reason {
        error["data"] = json!({"reason": reason});
    }
    json!({"jsonrpc": "2.0", "id": id, "error": error}).to_string()
}
