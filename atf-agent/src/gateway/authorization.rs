//! What a client is told about tokens: the challenge with a 401 or a 403 (RFC 6750), and the metadata
//! of this resource (RFC 9728). A run's token comes with the run, in a file: nobody has to go anywhere
//! for one, and no other is taken.

use hyper::StatusCode;
use serde_json::json;

use crate::call::Reason;

/// Where RFC 9728 (3.1) has the metadata of the resource `/mcp`, and where older clients look.
pub(super) const METADATA_PATHS: [&str; 2] =
    ["/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-protected-resource"];

/// Why the token is not enough.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    /// There is none. No error is named then (RFC 6750, 3.1).
    Missing,
    /// It is not good, or not this run's.
    Invalid,
    /// It does not name the tool, the prompt or the resource, which is this one.
    Scope(Option<String>),
}

impl Challenge {
    /// The challenge of a refusal; most are none, because no token would help.
    pub(super) fn of(reason: Reason, had_token: bool, target: Option<String>) -> Option<Self> {
        match reason {
            Reason::TokenInvalid if !had_token => Some(Self::Missing),
            Reason::TokenInvalid | Reason::TokenOtherRun => Some(Self::Invalid),
            Reason::ToolNotNamed | Reason::NotNamed => Some(Self::Scope(target)),
            Reason::MessageInvalid
            | Reason::MessageState
            | Reason::AnswersRefused
            | Reason::TokenNarrowed
            | Reason::ToolNotPinned
            | Reason::ToolWithheld
            | Reason::SchemaArguments
            | Reason::SqlRefused
            | Reason::PromptDigest
            | Reason::PolicyDenied
            | Reason::Provenance
            | Reason::SecretToSink
            | Reason::ApprovalNeeded
            | Reason::ApprovalDenied
            | Reason::CapExceeded
            | Reason::CapCalls
            | Reason::CapInFlight
            | Reason::CapHours
            | Reason::CapRows
            | Reason::CapBytes
            | Reason::TaskUnknown
            | Reason::QuestionUnknown
            | Reason::TaskForbidden
            | Reason::TaskRequired
            | Reason::TaskCapability
            | Reason::RunSealed
            | Reason::Unavailable
            | Reason::ExecuteFailed
            | Reason::ResultWithheld => None,
        }
    }

    /// The HTTP status.
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Missing | Self::Invalid => StatusCode::UNAUTHORIZED,
            Self::Scope(_) => StatusCode::FORBIDDEN,
        }
    }

    /// The value of `WWW-Authenticate` for a client that reached us as `host`, one of our names.
    pub(super) fn header(&self, host: &str) -> String {
        let error = match self {
            Self::Missing => String::new(),
            Self::Invalid => r#"error="invalid_token", "#.to_owned(),
            Self::Scope(None) => r#"error="insufficient_scope", "#.to_owned(),
            // A name and an address need no quoting.
            Self::Scope(Some(target)) => {
                format!(r#"error="insufficient_scope", scope="{target}", "#)
            }
        };
        format!(r#"Bearer {error}resource_metadata="http://{host}{}""#, METADATA_PATHS[0])
    }
}

/// The metadata, for a client that reached us as `host`.
pub(super) fn metadata(host: &str, issuer: &str) -> String {
    json!({
        "resource": format!("http://{host}/mcp"),
        "authorization_servers": [issuer],
        "bearer_methods_supported": ["header"],
        "resource_name": "atf",
    })
    .to_string()
}
