//! What a caller gets: a JSON-RPC answer and the HTTP status that goes with it. A refusal says
//! little here; the log has the rest.

use hyper::StatusCode;
use serde_json::{Value, json};

use super::account::Asked;
use super::after::ToolResult;
use super::mcp;
use crate::call::{Reason, Refusal};
use crate::gate::{Code, Era, Id, Reply};

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
    /// A tool's result for request `id`, byte for byte; the stateless era gets the member that it
    /// demands of each result, when the tool did not say it.
    pub(super) fn result(id: &Id, era: Era, result: &ToolResult) -> Self {
        let (id, text) = (json!(id), result.text.get());
        let rest = match era {
            Era::Stateless if !result.says_type => text.strip_prefix('{').map(str::trim_start),
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

    /// A notification was taken; nothing is to be said (MCP, Streamable HTTP).
    pub(super) fn accepted() -> Self {
        Self::of(StatusCode::ACCEPTED, String::new())
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
    /// would end the agent's run and teach its model nothing.
    pub(super) fn refused(asked: &Asked, era: Era, refusal: &Refusal, had_token: bool) -> Self {
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
                era,
                json!({
                    "content": [{"type": "text", "text": format!("refused: {}", refusal.reason)}],
                    "structuredContent": {"reason": refusal.reason},
                    "isError": true,
                }),
            ),
            Asked::Other(id) => {
                let text = refusal.reason.to_string();
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
            (_, Code::Parse | Code::Request | Code::Mismatch | Code::Unsupported)
            | (Era::Stateless, Code::Params) => StatusCode::BAD_REQUEST,
        };
        let mut error = json!({
            "code": reply.code.number(),
            "message": reply.code.text(),
            "data": {"reason": reason},
        });
        if let Some(requested) = &reply.requested {
            error["data"]["supported"] = json!(mcp::supported());
            error["data"]["requested"] = json!(requested);
        }
        let body = json!({"jsonrpc": "2.0", "id": reply.id, "error": error});
        Self::of(status, body.to_string())
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
        | Reason::TokenNarrowed
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
