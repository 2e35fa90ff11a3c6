//! Random messages, and changed ones: what we read, others read alike, and nothing panics.

use proptest::prelude::*;
use serde_json::Value;

use super::receive_vectors::{CALL, LIMITS, read, reply};
use super::{Message, Method};

/// What `serde_json` sees in a message that we have read has to be what we saw.
fn agrees(bytes: &[u8]) {
    let Ok(message) = read(bytes) else {
        assert!(reply(bytes, &LIMITS).is_some());
        return;
    };
    let value: Value = serde_json::from_slice(bytes).expect("what we read is JSON to others");
    let method = value["method"].as_str().expect("and has a method");
    let received = match message {
        Message::Request(received) => received,
        Message::Notification(notification, _) => {
            assert!(value.get("id").is_none());
            assert_eq!(method, notification.as_str());
            return;
        }
    };
    assert_eq!(method, received.method().as_str());
    assert_eq!(serde_json::to_value(received.id()).unwrap(), value["id"]);
    let call = received.tool_call();
    assert_eq!(call.is_some(), received.method() == Method::ToolsCall);
    if let Some(call) = call {
        let params = &value["params"];
        assert_eq!(params["name"].as_str(), Some(call.name().as_str()));
        let arguments: Value = serde_json::from_str(call.arguments().get()).unwrap();
        let theirs = params.get("arguments").cloned();
        assert_eq!(arguments, theirs.unwrap_or(serde_json::json!({})));
    }
}

/// A change of one place: bytes that matter to a parser put over, into or out of a message.
fn mutated(mut bytes: Vec<u8>, changes: &[(usize, usize, u8)]) -> Vec<u8> {
    const PIECES: [&[u8]; 24] = [
        b"\"",
        b"\\",
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b"\\u0061",
        b"\\ud800",
        b"null",
        b"1.0",
        b"1e400",
        b"-0",
        b"\xef\xbb\xbf",
        b"\xff",
        b"\"id\":2,",
        b"\"ID\":2,",
        b"\"method\":\"ping\",",
        b"\"name\":\"y\",",
        b" ",
        b"\n",
        b"\0",
        b"9007199254740993",
    ];
    for &(at, what, kind) in changes {
        let at = at % (bytes.len() + 1);
        let piece = PIECES[what % PIECES.len()];
        match kind % 3 {
            0 => drop(bytes.splice(at..at, piece.iter().copied())),
            1 if at < bytes.len() => drop(bytes.remove(at)),
            _ => {
                let end = (at + piece.len()).min(bytes.len());
                drop(bytes.splice(at..end, piece.iter().copied()));
            }
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        agrees(&bytes);
    }

    #[test]
    fn random_json_like_text_never_panics(text in "[\\[\\]{}\",:\\\\u0-9a-f.eE+ -]{0,80}") {
        agrees(text.as_bytes());
    }

    #[test]
    fn a_mutated_message_is_refused_or_read_as_others_read_it(
        arguments in "[a-z0-9 ]{0,12}",
        changes in proptest::collection::vec((any::<usize>(), any::<usize>(), any::<u8>()), 0..4),
    ) {
        let json = CALL.replacen("SELECT 1", &arguments, 1);
        agrees(&mutated(json.into_bytes(), &changes));
    }
}
