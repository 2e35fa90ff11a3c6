//! The methods that the gateway answers by itself.

use serde_json::{Value, json};

use crate::gate::{Authenticated, Method, Pins, Revision};

/// The result of a method that reaches no tool; `None` for the one that does.
pub(super) fn result(call: &Authenticated, pins: &Pins) -> Option<Value> {
    match call.method() {
        Method::Initialize => Some(json!({
            "protocolVersion": call.received().offered().map(Revision::as_str),
            "capabilities": {"tools": {"listChanged": false}},
            "serverInfo": {"name": "atf", "version": env!("CARGO_PKG_VERSION")},
        })),
        Method::Ping => Some(json!({})),
        Method::ToolsList => {
            let named = pins.iter().filter(|pin| call.names(pin.name()));
            let tools: Vec<_> = named.map(|pin| pin.listing()).collect();
            Some(json!({ "tools": tools }))
        }
        Method::ToolsCall => None,
    }
}

/// Whether the answer tells the caller something, so that it is recorded.
pub(super) fn tells(method: Method) -> bool {
    match method {
        Method::Initialize | Method::ToolsList | Method::ToolsCall => true,
        Method::Ping => false,
    }
}
