//! Messages: nothing panics, and what the strict reader takes, others read alike: `serde_json`, and where they are
//! asked, Python's `json` and JavaScript's `JSON.parse`.

use serde_json::{Value, json};

use super::peers::Peer;
use crate::gate::{Limits, Message, Method, Received, Stated};

/// An honest call.
pub const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"ledger.query","arguments":{"sql":"SELECT 1"}}}"#;

/// Messages that are read.
pub const HONEST: &[&str] = &[
    CALL,
    r#"{"jsonrpc":"2.0","id":"a-1","method":"tools/call","params":{"name":"x","arguments":{},"_meta":{"progressToken":7}}}"#,
    r#"{"jsonrpc":"2.0","id":-9007199254740992,"method":"tools/call","params":{"name":"x"}}"#,
    r#"{"jsonrpc":"2.0","id":9007199254740992,"method":"ping"}"#,
    r#"{"jsonrpc":"2.0","id":0,"method":"tools/list","params":{"cursor":"c"}}"#,
    r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{"roots":{}},"clientInfo":{"name":"x","version":"1"}}}"#,
    r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
    r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progress":1}}"#,
    r#"{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}"#,
    r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#,
    " { \"method\" : \"ping\" , \"id\" : 1 , \"jsonrpc\" : \"2.0\" } \n",
    r#"{"\u006asonrpc":"2.\u0030","id":1,"method":"pi\u006eg"}"#,
];

/// A message that was read.
struct Taken {
    /// What we see in it: method, id, name and arguments.
    said: Value,
    /// The call that goes on, built anew around the bytes that were judged.
    forwarded: Option<String>,
}

/// Who reads each message besides us.
pub struct Messages {
    peers: Vec<Peer>,
}

impl Messages {
    /// `serde_json` alone.
    #[must_use]
    pub fn alone() -> Self {
        Self { peers: Vec::new() }
    }

    /// The readers of Python and JavaScript too, where they are here.
    ///
    /// # Panics
    /// When one of them is missing in CI.
    #[must_use]
    pub fn with_peers() -> Self {
        Self { peers: Peer::all() }
    }

    /// Reads a message; says whether it is taken.
    ///
    /// # Panics
    /// When it is, and one of the others reads something else, in what came or in what goes on.
    pub fn keep(&mut self, bytes: &[u8]) -> bool {
        let Some(Taken { said, forwarded }) = take(bytes) else { return false };
        let shown = String::from_utf8_lossy(bytes);
        for peer in &mut self.peers {
            if let Err(found) = peer.agrees(&said, bytes) {
                panic!("{shown}: {} reads {found}", peer.name());
            }
            let Some(forwarded) = &forwarded else { continue };
            // What came without arguments goes on with none.
            let mut goes = said.clone();
            if goes[3].is_null() {
                goes[3] = json!({});
            }
            if let Err(found) = peer.agrees(&goes, forwarded.as_bytes()) {
                panic!("{shown}: of {forwarded}, {} reads {found}", peer.name());
            }
        }
        true
    }
}

/// Reads a message, and holds what `serde_json` sees in it against what we see.
fn take(bytes: &[u8]) -> Option<Taken> {
    let (limits, stated) = (Limits::default(), Stated::default());
    let read = Received::read(bytes, &limits, &stated);
    assert_eq!(read.is_err(), Received::reply(bytes, &limits, &stated).is_some());
    let value: Value = match &read {
        Ok(_) => serde_json::from_slice(bytes).expect("what we read is JSON to others"),
        Err(_) => return None,
    };
    let method = value["method"].as_str().expect("and has a method");
    let params = &value["params"];
    let said = json!([method, value["id"], params["name"], params["arguments"]]);
    let received = match read.ok()? {
        Message::Request(received) => received,
        Message::Response(_) => panic!("an answer of a client that is asked nothing"),
        Message::Notification(notification, _) => {
            assert!(value.get("id").is_none());
            assert_eq!(method, notification.as_str());
            return Some(Taken { said, forwarded: None });
        }
    };
    assert_eq!(method, received.method().as_str());
    assert_eq!(serde_json::to_value(received.id()).unwrap(), value["id"]);
    let call = received.tool_call();
    assert_eq!(call.is_some(), received.method() == Method::ToolsCall);
    let forwarded = call.map(|call| {
        assert_eq!(params["name"].as_str(), Some(call.name().as_str()));
        let arguments: Value = serde_json::from_str(call.arguments().get()).unwrap();
        let theirs = params.get("arguments").cloned();
        assert_eq!(arguments, theirs.unwrap_or(json!({})));
        format!(
            r#"{{"jsonrpc":"2.0","id":{},"method":"tools/call","params":{{"name":{},"arguments":{}}}}}"#,
            json!(received.id()),
            json!(call.name()),
            call.arguments().get(),
        )
    });
    Some(Taken { said, forwarded })
}
