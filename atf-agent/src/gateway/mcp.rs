//! The methods that the gateway answers by itself, in the way of each era.

use serde_json::{Value, json};

use super::after::COMPLETE;
use super::offers;
use crate::call::ToolName;
use crate::gate::{Authenticated, Era, Method, Pins, Revision, STATELESS, TASKS};
use crate::wire::Catalogue;

/// What a list is made of beside the token.
pub(super) struct Offered<'a> {
    /// The approved tools.
    pub(super) pins: &'a Pins,
    /// Those of them that are not told of.
    pub(super) withheld: Vec<ToolName>,
    /// What the servers offer besides.
    pub(super) catalogue: Catalogue,
    /// The caller's deferred calls.
    pub(super) deferred: Value,
}

/// The result of a method that reaches no server; `None` for one that does.
pub(super) fn result(call: &Authenticated, offered: &Offered<'_>) -> Option<Value> {
    match call.method() {
        Method::Initialize => Some(json!({
            "protocolVersion": call.received().offered().map(Revision::as_str),
            "capabilities": handshake(call.received().offered()),
            "serverInfo": server(),
        })),
        Method::Discover => Some(uncached(json!({
            "supportedVersions": supported(),
            "capabilities": stateless(),
        }))),
        Method::Ping => Some(json!({})),
        Method::ToolsList => {
            let tools = tools(call, offered);
            Some(listed(call.era(), tools))
        }
        Method::TasksList => Some(offered.deferred.clone()),
        // The level is the session's, and what is told at it is each call's.
        Method::SetLevel => Some(json!({})),
        // That nobody wants to hear any more is told to the server behind it.
        Method::Unsubscribe => Some(json!({})),
        Method::PromptsList | Method::ResourcesList | Method::TemplatesList => {
            let list = offers::list(call.method(), call, &offered.catalogue);
            list.map(|list| listed(call.era(), list))
        }
        // Those who listen are told later, the others by a server.
        Method::Listen
        | Method::ToolsCall
        | Method::PromptsGet
        | Method::ResourcesRead
        | Method::Subscribe
        | Method::Complete
        | Method::TasksGet
        | Method::TasksResult
        | Method::TasksCancel
        | Method::TasksUpdate => None,
    }
}

/// The lists of tools, of prompts and of resources that the caller is told, whatever it asks for.
pub(super) fn lists(call: &Authenticated, offered: &Offered<'_>) -> [Value; 3] {
    let list = |method| offers::list(method, call, &offered.catalogue).unwrap_or_default();
    let resources = json!([list(Method::ResourcesList), list(Method::TemplatesList)]);
    [tools(call, offered), list(Method::PromptsList), resources]
}

fn tools(call: &Authenticated, offered: &Offered<'_>) -> Value {
    let named = offered.pins.iter().filter(|pin| call.names(pin.name()));
    let named = named.filter(|pin| !offered.withheld.contains(pin.name()));
    let tools: Vec<_> = named.map(|pin| listing(call.era(), pin.listing())).collect();
    json!({ "tools": tools })
}

/// A tool as its pin says it. 2026-07-28 does not say which calls are deferred: their server does, one by one.
fn listing(era: Era, pinned: &Value) -> Value {
    let mut listing = pinned.clone();
    if let (Era::Stateless, Some(members)) = (era, listing.as_object_mut()) {
        members.remove("execution");
    }
    listing
}

/// Whether the answer tells the caller something, so that it is recorded.
pub(super) fn tells(method: Method) -> bool {
    match method {
        Method::Initialize
        | Method::Discover
        | Method::Listen
        | Method::ToolsList
        | Method::ToolsCall
        | Method::PromptsList
        | Method::PromptsGet
        | Method::ResourcesList
        | Method::TemplatesList
        | Method::ResourcesRead
        | Method::Subscribe
        | Method::Unsubscribe
        | Method::Complete
        | Method::TasksGet
        | Method::TasksResult
        | Method::TasksList
        | Method::TasksCancel
        | Method::TasksUpdate => true,
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

/// What is declared after a handshake; deferred calls are of the last revision that has one.
fn handshake(revision: Option<Revision>) -> Value {
    let mut all = capabilities(Era::Handshake);
    if revision == Some(Revision::V20251125) {
        all["tasks"] = json!({"list": {}, "cancel": {}, "requests": {"tools": {"call": {}}}});
    }
    all
}

/// What is declared without one.
fn stateless() -> Value {
    let mut all = capabilities(Era::Stateless);
    all["extensions"] = json!({ TASKS: {} });
    all
}

/// In the handshake revisions a change would have to be told on a stream that there is not.
fn capabilities(era: Era) -> Value {
    let changes = era == Era::Stateless;
    json!({
        "tools": {"listChanged": changes},
        "prompts": {"listChanged": changes},
        "resources": {"listChanged": changes, "subscribe": true},
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
