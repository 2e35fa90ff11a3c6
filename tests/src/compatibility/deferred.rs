//! Calls that are answered later: a real client of 2025-11-25 has a real server promise a result, asks how far it
//! is, and fetches it.

use anyhow::Result;
use serde_json::json;

use super::clients::Door;
use super::place::Place;
use super::seen::{AGAIN, ALLOWED, Call, REFUSED, Wanted};
use crate::served;

/// The agent that does.
pub(super) const AGENT: &str = "deferring";

/// The server, which is put there by its own case, and its tool that is always deferred.
pub(super) const SERVER: &str = "everything";
const TOOL: &str = "everything.simulate-research-query";
const OTHER: &str = "everything.get-sum";

/// A client, and how it comes to its result.
#[derive(Debug, Clone, Copy)]
pub(super) struct Client {
    /// The package's name in the list, and a part of the script's.
    pub(super) name: &'static str,
    /// Whether it waits for the result, and is told meanwhile how far it is; another one asks again and again.
    pub(super) waits: bool,
}

/// All of them.
pub(super) const CLIENTS: [Client; 2] =
    [Client { name: "mcp1", waits: true }, Client { name: "sdk", waits: false }];

/// The doors at which they are tried.
pub(super) const DOORS: [Door; 2] = [Door::Socket, Door::Stdio];

/// Has the policy know what may be asked of the server, and the agent have its tool.
pub(super) fn allow(place: &Place) -> Result<()> {
    served::change_data(&place.installation, |data| {
        data["servers"][SERVER] = json!({
            "methods": ["tasks/get", "tasks/result"],
            "notices": ["notifications/tasks/status"],
        });
        Ok(())
    })?;
    let manifest = format!(
        "tools = [\"{TOOL}\"]\n[narrow.\"{TOOL}\".properties]\ntopic = {{enum = [\"bookkeeping\"]}}\n"
    );
    served::write_manifest(&place.installation, AGENT, &manifest)
}

/// What a client is asked to do.
pub(super) fn wanted(client: Client) -> Wanted {
    let call = |id, topic: &str| Call {
        id,
        tool: TOOL.to_owned(),
        arguments: json!({"topic": topic, "ambiguous": false}),
    };
    let how = if client.waits { "told how far it is" } else { "asked how far it is" };
    Wanted {
        calls: vec![
            call(ALLOWED, "bookkeeping"),
            call(REFUSED, "lockpicking"),
            call(AGAIN, "bookkeeping"),
        ],
        answer: format!("{how}\n# Research Report: bookkeeping"),
        reason: "token.narrowed",
        listed: TOOL.to_owned(),
        not_listed: Some(OTHER.to_owned()),
        are_deferred: true,
    }
}
