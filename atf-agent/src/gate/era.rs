//! Which era a message is of, and whether the headers that came with it say the same as it does. A
//! message of the stateless revision says so itself, in its `_meta`; one that does not is of the
//! handshake revisions.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::reply::Code;
use super::revision::Revision;
use crate::call::{Level, Questions};

/// The revision without a handshake: each request says all that is needed to answer it.
pub const STATELESS: &str = "2026-07-28";

/// Longest revision that is repeated to its sender, in bytes.
const REQUESTED_BYTES_MAX: usize = 64;

/// The two ways in which MCP is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Era {
    /// The revisions up to 2025-11-25, which begin with `initialize`.
    Handshake,
    /// 2026-07-28.
    Stateless,
}

/// What a transport states about a message, beside its bytes. A header that is there twice, or is no
/// visible text, is the empty text: it must not count as none, and agrees with nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stated {
    /// Whether the transport has headers. Without them the message speaks for itself.
    pub has_headers: bool,
    /// `MCP-Protocol-Version`.
    pub revision: Option<String>,
    /// `Mcp-Method`.
    pub method: Option<String>,
    /// `Mcp-Name`.
    pub name: Option<String>,
    /// Whether the caller takes one message for an answer, and no other before it.
    pub takes_one_message: bool,
    /// From which level on the session wants to be told of what servers write down.
    pub level: Option<Level>,
    /// What the session's client can answer, by what it said when the session began.
    pub can: Questions,
}

/// What is wrong about a message's era or its headers.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Disagreement {
    pub(super) code: Code,
    pub(super) detail: String,
    /// The revision that is not spoken.
    pub(super) requested: Option<String>,
}

impl Disagreement {
    fn of(code: Code, detail: String) -> Self {
        Self { code, detail, requested: None }
    }

    fn unsupported(revision: &str) -> Self {
        let requested: String = revision.chars().take(REQUESTED_BYTES_MAX).collect();
        Self {
            code: Code::Unsupported,
            detail: format!("the revision {requested:?} is not spoken"),
            requested: Some(requested),
        }
    }
}

impl Era {
    /// The era of a message whose `_meta` names the revision `said`, or none.
    pub(super) fn of(stated: &Stated, said: Option<&str>) -> Result<Self, Disagreement> {
        match (stated.revision.as_deref().filter(|_| stated.has_headers), said) {
            (None, None) => Ok(Self::Handshake),
            (None, Some(_)) if stated.has_headers => {
                let detail = "no MCP-Protocol-Version beside a message that names its revision";
                Err(Disagreement::of(Code::Mismatch, detail.to_owned()))
            }
            (Some(header), Some(said)) if header != said => {
                let detail = format!("MCP-Protocol-Version says {header:?}, the message {said:?}");
                Err(Disagreement::of(Code::Mismatch, detail))
            }
            (_, Some(STATELESS)) | (Some(STATELESS), None) => Ok(Self::Stateless),
            (_, Some(said)) if Revision::read(said).is_some() => {
                let detail = format!("{said} begins with a handshake and is not named in _meta");
                Err(Disagreement::of(Code::Params, detail))
            }
            (_, Some(said)) => Err(Disagreement::unsupported(said)),
            (Some(header), None) if Revision::read(header).is_some() => Ok(Self::Handshake),
            (Some(header), None) => Err(Disagreement::unsupported(header)),
        }
    }

    /// The era of a message of which nothing can be read.
    pub(super) fn guess(stated: &Stated) -> Self {
        match stated.revision.as_deref() {
            Some(STATELESS) => Self::Stateless,
            Some(_) | None => Self::Handshake,
        }
    }
}

impl Stated {
    /// Holds `Mcp-Method` against the message. The stateless era demands it of requests.
    pub(super) fn method_is(&self, method: &str, required: bool) -> Result<(), Disagreement> {
        self.agrees("Mcp-Method", self.method.as_deref(), method, required)
    }

    /// Holds `Mcp-Name` against the name of the message, which may come encoded.
    pub(super) fn name_is(&self, name: &str, required: bool) -> Result<(), Disagreement> {
        let decoded = self.name.as_deref().map(decode);
        self.agrees("Mcp-Name", decoded.as_deref(), name, required)
    }

    fn agrees(
        &self,
        what: &str,
        header: Option<&str>,
        body: &str,
        required: bool,
    ) -> Result<(), Disagreement> {
        let detail = match header {
            Some(header) if header == body => return Ok(()),
            None if !required || !self.has_headers => return Ok(()),
            Some(header) => format!("{what} says {header:?}, the message says otherwise"),
            None => format!("no {what}"),
        };
        Err(Disagreement::of(Code::Mismatch, detail))
    }
}

/// The value of a header that may be encoded as `=?base64?…?=`. One that cannot be decoded is empty,
/// and agrees with nothing.
pub(super) fn decode(value: &str) -> Cow<'_, str> {
    let inner = value.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?="));
    let Some(inner) = inner else {
        return Cow::Borrowed(value);
    };
    let bytes = STANDARD.decode(inner).unwrap_or_default();
    Cow::Owned(String::from_utf8(bytes).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoded_header_is_decoded_and_a_broken_one_is_nothing() {
        for (value, expected) in [
            ("ledger.query", "ledger.query"),
            ("=?base64?bGVkZ2VyLnF1ZXJ5?=", "ledger.query"),
            ("=?base64?SGVsbG8sIOS4lueVjA==?=", "Hello, 世界"),
            ("=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?=", "=?base64?literal?="),
            ("=?BASE64?bGVkZ2VyLnF1ZXJ5?=", "=?BASE64?bGVkZ2VyLnF1ZXJ5?="),
            ("=?base64?bGVkZ2VyLnF1ZXJ5", "=?base64?bGVkZ2VyLnF1ZXJ5"),
            ("=?base64?%?=", ""),
            ("=?base64?/w==?=", ""),
            ("=?base64??=", ""),
            ("", ""),
        ] {
            assert_eq!(decode(value), expected, "{value}");
        }
    }
}
