//! The methods that the gateway answers by itself, in the way of each era.

use serde_json::{Value, json};

use super::after::COMPLETE;
use super::offers;
use crate::call::ToolName;
use crate::gate::{Authenticated, Era, Method, Pins, Revision, STATELESS};
use crate::wire::Catalogue;

/// What a list is made of beside the token.
pub(super) struct Offered<'a> {
    /// The approved tools.
    pub(super) pins: &'a Pins,
    /// Those of them that are not told of.
    pub(super) withheld: Vec<ToolName>,
    /// What the servers offer besides.
    pub(super) catalogue: Catalogue,
}

/// The result of a method that reaches no server; `None` for one that does.
pub(super) fn result(call: &Authenticated, offered: &Offered<'_>) -> Option<Value> {
    match call.method() {
        Method::Initialize => Some(json!({
            "protocolVersion": call.received().offered().map(Revision::as_str),
            "capabilities": capabilities(),
            "serverInfo": server(),
        })),
        Method::Discover => Some(uncached(json!({
            "supportedVersions": supported(),
            "capabilities": capabilities(),
        }))),
        Method::Ping => Some(json!({})),
        Method::ToolsList => {
            let named = offered.pins.iter().filter(|pin| call.names(pin.name()));
            let named = named.filter(|pin| !offered.withheld.contains(pin.name()));
            let tools: Vec<_> = named.map(|pin| pin.listing()).collect();
            Some(listed(call.era(), json!({ "tools": tools })))
        }
        // The level is the session's, and what is told at it is each call's.
        Method::SetLevel => Some(json!({})),
        Method::PromptsList | Method::ResourcesList | Method::TemplatesList => {
            let list = offers::list(call, &offered.catalogue);
            list.map(|list| listed(call.era(), list))
        }
        Method::ToolsCall | Method::PromptsGet | Method::ResourcesRead | Method::Complete => None,
    }
}

/// Whether the answer tells the caller something, so that it is recorded.
pub(super) fn tells(method: Method) -> bool {
    match method {
        Method::Initialize
        | Method::Discover
        | Method::ToolsList
        | Method::ToolsCall
        | Method::PromptsList
        | Method::PromptsGet
        | Method::ResourcesList
        | Method::TemplatesList
        | Method::ResourcesRead
        | Method::Complete => true,
        Method::Ping | Method::SetLevel => false,
    }
}

/// Every revision that is spoken, the newest first: one list, for those who ask and for those who asked
/// for another.
pub(super) fn supported() -> Vec<&'static str> {
    let handshakes = Revision::ALL.into_iter().rev().map(Revision::as_str);
    std::iter::once(STATELESS).chain(handshakes).collect()
}

/// A result of ours with what the stateless era demands of each.
pub(super) fn complete(era: Era, mut result: Value) -> Value {
    match era {
        Era::Handshake => {}
        Era::Stateless => {
            result["resultType"] = json!(COMPLETE);
            result["_meta"] = json!({ "io.modelcontextprotocol/serverInfo": server() });
        }
    }
    result
}

fn capabilities() -> Value {
    json!({
        "tools": {"listChanged": false},
        "prompts": {"listChanged": false},
        "resources": {"listChanged": false, "subscribe": false},
        "completions": {},
        "logging": {},
    })
}

fn server() -> Value {
    json!({"name": "atf", "version": env!("CARGO_PKG_VERSION")})
}

fn listed(era: Era, list: Value) -> Value {
    match era {
        Era::Handshake => list,
        Era::Stateless => uncached(list),
    }
}

/// What a run is told depends on its token: nobody may keep it for another.
fn uncached(mut result: Value) -> Value {
    result["ttlMs"] = json!(0);
    result["cacheScope"] = json!("private");
    result
}
