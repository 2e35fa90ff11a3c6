//! The revisions that begin with a handshake: what a client of each says from its first message on,
//! and what is refused in all of them.

use serde_json::{Value, json};

use super::client::{ADJUST, Client, Got, adjust, request};
use super::lab::{Lab, LabRun, Wanted};

const REVISIONS: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];

/// Posts on a connection of its own; `revision` is the header, empty for none.
async fn said(run: &LabRun, revision: &str, body: &str) -> Got {
    let bearer = format!("Bearer {}", run.token);
    let headers = [("authorization", bearer.as_str()), ("mcp-protocol-version", revision)];
    Client::connect(&run.socket).await.post(body, &headers).await.unwrap()
}

fn initialize(revision: &str) -> String {
    let client = json!({"name": "t", "version": "1"});
    let params = json!({"protocolVersion": revision, "capabilities": {}, "clientInfo": client});
    request("initialize", &params)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_each_revision_connects_lists_and_calls() {
    let lab = Lab::start(Wanted::default()).await;
    let run = lab.run(&[ADJUST]);
    for (revision, offered) in REVISIONS
        .map(|revision| (revision, revision))
        .into_iter()
        .chain([("1999-01-01", "2025-11-25"), ("2026-07-28", "2025-11-25")])
    {
        // The first message has no header: nothing is agreed on yet.
        let got = said(&run, "", &initialize(revision)).await;
        assert_eq!(got.json()["result"]["protocolVersion"], offered, "{revision}: {got:?}");
        assert_ne!(got.header("mcp-session-id"), "", "which nobody has to name");
        // Clients before 2025-06-18 know no such header, but may repeat what they were offered.
        for header in [offered, ""] {
            let note = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
            let got = said(&run, header, &note.to_string()).await;
            assert_eq!((got.status, got.body.as_str()), (202, ""), "{revision}");
            let got = said(&run, header, &request("tools/list", &json!({}))).await;
            assert_eq!(got.json()["result"]["tools"][0]["name"], ADJUST, "{revision}: {got:?}");
            let got = said(&run, header, &adjust(1)).await;
            let result = &got.json()["result"];
            assert_eq!(result["content"][0]["text"], "3 rows", "{revision}: {got:?}");
            assert_eq!(result["resultType"], Value::Null, "a member of a later revision");
        }
    }
    assert_eq!(lab.executor.acts.lock().unwrap().len(), 12);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_revision_does_not_offer_is_refused_in_all() {
    for revision in REVISIONS {
        let lab = Lab::start(Wanted::default()).await;
        let run = lab.run(&[ADJUST]);
        let got = said(&run, revision, &adjust(1)).await;
        assert_eq!(got.reason(), "", "the control: {got:?}");
        let no_id = json!({"jsonrpc": "2.0", "method": "tools/call", "params": {"name": ADJUST}});
        for (what, body, status, code) in [
            // 2025-03-26 had batches.
            ("a batch", format!("[{}]", adjust(1)), 400, -32_600),
            ("a batch of two", format!("[{0},{0}]", adjust(1)), 400, -32_600),
            ("an empty batch", "[]".to_owned(), 400, -32_600),
            ("a call without an id", no_id.to_string(), 400, -32_600),
            ("a response", r#"{"jsonrpc":"2.0","id":1,"result":{}}"#.to_owned(), 400, -32_600),
            ("an unknown method", request("resources/watch", &json!({})), 200, -32_601),
            ("the later era's opening", request("server/discover", &json!({})), 200, -32_601),
            ("no revision", request("initialize", &json!({})), 200, -32_602),
        ] {
            // A run of its own: three refusals seal one.
            let got = said(&lab.run(&[ADJUST]), revision, &body).await;
            assert_eq!(got.status, status, "{revision}: {what}: {got:?}");
            assert_eq!(got.json()["error"]["code"], code, "{revision}: {what}: {got:?}");
        }
        assert_eq!(lab.executor.acts.lock().unwrap().len(), 1, "{revision}: the control's");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revision_that_is_not_known_is_refused_by_its_header() {
    let lab = Lab::start(Wanted::default()).await;
    let run = lab.run(&[ADJUST]);
    for (header, status) in [("2025-06-18", 200), ("2025-06-19", 400), ("latest", 400)] {
        let got = said(&run, header, &adjust(1)).await;
        assert_eq!(got.status, status, "{header}: {got:?}");
    }
    assert_eq!(lab.executor.acts.lock().unwrap().len(), 1);
}
