//! What the sender of a message that was not read can be told by JSON-RPC.

use super::era::{Disagreement, Era};
use super::id::Id;
use crate::call::{Reason, Refusal, Step};

/// The JSON-RPC error that answers a message which was not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The id, when it could be read.
    pub id: Option<Id>,
    /// The code.
    pub code: Code,
    /// The era of the message, as far as it could be told.
    pub era: Era,
    /// With [`Code::Unsupported`]: the revision that was asked for, cut to a sane length.
    pub requested: Option<String>,
}

/// The codes of JSON-RPC 2.0 (section 5.1) and of MCP 2026-07-28.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// No JSON that all parsers read alike.
    Parse,
    /// No single request or notification.
    Request,
    /// No such method.
    Method,
    /// Such a method, but not with such parameters.
    Params,
    /// The headers say another thing than the message, or not what they must.
    Mismatch,
    /// A revision that is not spoken.
    Unsupported,
    /// The client does not declare what it would have to know.
    Capability,
}

impl Code {
    /// The number on the wire.
    pub fn number(self) -> i32 {
        match self {
            Self::Parse => -32700,
            Self::Request => -32600,
            Self::Method => -32601,
            Self::Params => -32602,
            Self::Mismatch => -32020,
            Self::Unsupported => -32022,
            Self::Capability => -32021,
        }
    }

    /// What it means, in the standard's words.
    pub fn text(self) -> &'static str {
        match self {
            Self::Parse => "parse error",
            Self::Request => "invalid request",
            Self::Method => "method not found",
            Self::Params => "invalid params",
            Self::Mismatch => "header mismatch",
            Self::Unsupported => "unsupported protocol version",
            Self::Capability => "missing required client capability",
        }
    }
}

/// Why a message was not read: all for the log, a little for its sender.
#[derive(Debug)]
pub(super) struct Unread {
    pub(super) refusal: Refusal,
    pub(super) reply: Reply,
}

impl Unread {
    /// A message that is wrong in itself.
    pub(super) fn new(code: Code, era: Era, id: Option<Id>, detail: impl Into<String>) -> Self {
        let refusal = Refusal::new(Step::Receive, Reason::MessageInvalid, detail);
        Self { refusal, reply: Reply { id, code, era, requested: None } }
    }

    /// A message of another era or with other headers than it needs.
    pub(super) fn of(no: Disagreement, era: Era, id: Option<Id>) -> Self {
        let mut unread = Self::new(no.code, era, id, no.detail);
        unread.reply.requested = no.requested;
        unread
    }

    /// Parameters that a step refuses.
    pub(super) fn params(refusal: Refusal, era: Era, id: Option<Id>) -> Self {
        Self { refusal, reply: Reply { id, code: Code::Params, era, requested: None } }
    }
}
