//! The handshake with a server, in the revisions that have one.

use serde::Deserialize;
use serde_json::json;

use super::besides::Capabilities;
use super::message::Body;
use super::request;

/// The revisions that are spoken with servers, the newest first. What is used of them is the
/// same in all.
const REVISIONS: [&str; 4] = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];

/// Says who we are. No capability is declared, so that a server has nothing to ask of us.
pub(super) fn initialize(id: u64) -> String {
    let message = json!({
        "jsonrpc": "2.0",
        "id": id,
        "method": "initialize",
        "params": {
            "protocolVersion": REVISIONS[0],
            "capabilities": {},
            "clientInfo": {"name": "atf", "version": env!("CARGO_PKG_VERSION")},
        },
    });
    format!("{message}\n")
}

/// Says that calls may follow.
pub(super) fn initialized() -> String {
    request::told("notifications/initialized", None)
}

#[derive(Deserialize)]
struct Agreed {
    #[serde(rename = "protocolVersion")]
    revision: String,
    #[serde(default)]
    capabilities: Capabilities,
}

/// The revision on which the server settles, and what it says that it has.
///
/// # Errors
/// When it is none that is spoken here.
pub(super) fn agreed(body: &Body) -> Result<(&'static str, Capabilities), String> {
    let result = match body {
        Body::Result(result) => result,
        Body::Error { code, message } => {
            return Err(format!("it answered with error {code}: {message:?}"));
        }
        Body::Broken(what) => return Err(format!("it answered with {what}")),
    };
    let agreed: Agreed = serde_json::from_str(result.get()).map_err(|error| error.to_string())?;
    let known = REVISIONS.iter().find(|revision| **revision == agreed.revision);
    let known = known.copied().ok_or_else(|| {
        let (found, known) = (&agreed.revision, REVISIONS.join(", "));
        format!("it speaks revision {found:?}, expected one of {known}")
    })?;
    Ok((known, agreed.capabilities))
}
