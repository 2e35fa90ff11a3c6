//! The methods that the gateway answers by itself, in the way of each era.

use serde_json::{Value, json};

use super::after::COMPLETE;
use crate::call::ToolName;
use crate::gate::{Authenticated, Era, Method, Pins, Revision, STATELESS};

/// The result of a method that reaches no tool; `None` for the one that does. Tools that are `withheld`
/// are not told of.
pub(super) fn result(call: &Authenticated, pins: &Pins, withheld: &[ToolName]) -> Option<Value> {
    match call.method() {
        Method::Initialize => Some(json!({
            "protocolVersion": call.received().offered().map(Revision::as_str),
            "capabilities": capabilities(),
            "serverInfo": server(),
        })),
        Method::Discover => Some(uncached(json!({
            "supportedVersions": [STATELESS],
            "capabilities": capabilities(),
        }))),
        Method::Ping => Some(json!({})),
        Method::ToolsList => {
            let named = pins.iter().filter(|pin| call.names(pin.name()));
            let named = named.filter(|pin| !withheld.contains(pin.name()));
            let tools: Vec<_> = named.map(|pin| pin.listing()).collect();
            let result = json!({ "tools": tools });
            Some(match call.era() {
                Era::Handshake => result,
                Era::Stateless => uncached(result),
            })
        }
        Method::ToolsCall => None,
    }
}

/// Whether the answer tells the caller something, so that it is recorded.
pub(super) fn tells(method: Method) -> bool {
    match method {
        Method::Initialize | Method::Discover | Method::ToolsList | Method::ToolsCall => true,
        Method::Ping => false,
    }
}

/// Every revision that is spoken, the newest first.
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
    json!({"tools": {"listChanged": false}})
}

fn server() -> Value {
    json!({"name": "atf", "version": env!("CARGO_PKG_VERSION")})
}

/// What a run is told depends on its token: nobody may keep it for another.
fn uncached(mut result: Value) -> Value {
    result["ttlMs"] = json!(0);
    result["cacheScope"] = json!("private");
    result
}
