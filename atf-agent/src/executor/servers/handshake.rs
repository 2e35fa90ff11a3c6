//! How the talk with a server begins: a handshake in the revisions that have one, a question in the one
//! that has none.

use serde::Deserialize;
use serde_json::json;

use super::besides::{Capabilities, List};
use super::message::Body;
use super::request;
use crate::call::Questions;
use crate::gate::{Era, STATELESS};

/// The revisions that are spoken with servers, the newest first. What is used of them is the
/// same in all.
const REVISIONS: [&str; 4] = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];

/// What asks to be told of changes, where that has to be asked for.
pub(super) const LISTEN: &str = "subscriptions/listen";

/// What the talk begins with.
pub(super) fn method(era: Era) -> &'static str {
    match era {
        Era::Handshake => "initialize",
        Era::Stateless => "server/discover",
    }
}

/// Says who we are, and what may be asked of us: nothing, unless the server's file says so. In the revision without a
/// handshake each call says it anew.
pub(super) fn opening(era: Era, id: u64, asks: &Questions) -> String {
    match era {
        Era::Handshake => {
            let params = json!({
                "protocolVersion": REVISIONS[0],
                "capabilities": request::capabilities(asks),
                "clientInfo": request::client(),
            });
            request::request(era, id, method(era), params)
        }
        Era::Stateless => request::request(era, id, method(era), json!({})),
    }
}

/// Says that calls may follow, where that has to be said.
pub(super) fn opened(era: Era) -> Option<String> {
    match era {
        Era::Handshake => Some(request::told("notifications/initialized", None)),
        Era::Stateless => None,
    }
}

/// Asks to be told when a list changes, which is not told unasked without a handshake. `lists` are those
/// beside the tools.
pub(super) fn listen(era: Era, id: u64, lists: &[List]) -> Option<String> {
    match era {
        Era::Handshake => None,
        Era::Stateless => {
            let notifications = json!({
                "toolsListChanged": true,
                "promptsListChanged": lists.contains(&List::Prompts),
                "resourcesListChanged": lists.contains(&List::Resources),
            });
            let params = json!({ "notifications": notifications });
            Some(request::request(era, id, LISTEN, params))
        }
    }
}

#[derive(Deserialize)]
struct Agreed {
    #[serde(rename = "protocolVersion")]
    revision: String,
    #[serde(default)]
    capabilities: Capabilities,
}

#[derive(Deserialize)]
struct Discovered {
    #[serde(rename = "supportedVersions")]
    revisions: Vec<String>,
    #[serde(default)]
    capabilities: Capabilities,
}

/// The revision on which the server settles, and what it says that it has.
///
/// # Errors
/// When it is none that is spoken here.
pub(super) fn agreed(era: Era, body: &Body) -> Result<(&'static str, Capabilities), String> {
    let result = match body {
        Body::Result(result) => result,
        Body::Error { code, message, .. } => {
            return Err(format!("it answered with error {code}: {message:?}"));
        }
        Body::Broken(what) => return Err(format!("it answered with {what}")),
        Body::Failed(failed) => return Err(failed.to_string()),
    };
    if era == Era::Stateless {
        let found: Discovered =
            serde_json::from_str(result.get()).map_err(|error| error.to_string())?;
        if !found.revisions.iter().any(|revision| revision == STATELESS) {
            let found = found.revisions.join(", ");
            return Err(format!(
                "it speaks {found:?}, expected {STATELESS} as its file says; take `stateless` out of it"
            ));
        }
        return Ok((STATELESS, found.capabilities));
    }
    let agreed: Agreed = serde_json::from_str(result.get()).map_err(|error| error.to_string())?;
    let known = REVISIONS.iter().find(|revision| **revision == agreed.revision);
    let known = known.copied().ok_or_else(|| {
        let (found, known) = (&agreed.revision, REVISIONS.join(", "));
        format!("it speaks revision {found:?}, expected one of {known}")
    })?;
    Ok((known, agreed.capabilities))
}
