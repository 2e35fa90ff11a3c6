//! The methods that the gateway answers by itself, of MCP's revision 2025-11-25.

use serde_json::{Value, json};

use crate::gate::{Authenticated, Method, Pins};

/// The one revision that is spoken. A client that asked for another is told so and may leave.
const REVISION: &str = "2025-11-25";

/// The result of a method that reaches no tool; `None` for the one that does.
pub(super) fn result(call: &Authenticated, pins: &Pins) -> Option<Value> {
    match call.method() {
        Method::Initialize => Some(json!({
            "protocolVersion": REVISION,
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
