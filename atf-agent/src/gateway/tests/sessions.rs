//! Sessions of the handshake revisions: what a client comes back to, and that it grants nothing.

use serde_json::{Value, json};

use super::client::{ADJUST, Client, Got, adjust, request};
use super::lab::{Lab, LabRun, Wanted};
use crate::call::Level;
use crate::wire::{MayTell, Told};

/// A lab whose policy lets the ledger write for runs.
async fn lab() -> Lab {
    let servers = json!({"ledger": {"notices": ["notifications/message"]}});
    Lab::start(Wanted { servers: Some(servers), ..Wanted::default() }).await
}

async fn said(run: &LabRun, body: &str, more: &[(&str, &str)]) -> Got {
    let bearer = format!("Bearer {}", run.token);
    let mut headers = vec![("authorization", bearer.as_str())];
    headers.extend_from_slice(more);
    Client::connect(&run.socket).await.post(body, &headers).await.unwrap()
}

/// Begins a session; its word.
async fn begun(run: &LabRun) -> String {
    let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}});
    let got = said(run, &request("initialize", &params), &[]).await;
    assert_eq!(got.status, 200, "{got:?}");
    got.header("mcp-session-id").to_owned()
}

fn set_level(level: &str) -> String {
    request("logging/setLevel", &json!({ "level": level }))
}

fn may_tell(lab: &Lab) -> MayTell {
    lab.executor.acts.lock().unwrap().pop().expect("an act").permit.may_tell
}

#[tokio::test(flavor = "multi_thread")]
async fn a_level_is_of_the_session_that_asked_for_it() {
    let lab = lab().await;
    let run = lab.run(&[ADJUST]);
    let log = Told::Log { level: Level::Error, logger: None, data: json!("d") };
    *lab.executor.tells.lock().unwrap() = vec![log];
    let (loud, other) = (begun(&run).await, begun(&run).await);
    assert_ne!(loud, other);
    let got = said(&run, &set_level("warning"), &[("mcp-session-id", &loud)]).await;
    assert_eq!(got.json()["result"], json!({}));
    // In no session it is of nobody.
    assert_eq!(said(&run, &set_level("debug"), &[]).await.json()["result"], json!({}));
    for (session, level) in [(loud.as_str(), Some(Level::Warning)), (&other, None), ("", None)] {
        let got = said(&run, &adjust(1), &[("mcp-session-id", session)]).await;
        let is_stream = got.header("content-type") == "text/event-stream";
        assert_eq!((got.status, is_stream), (200, level.is_some()), "{session}: {got:?}");
        assert_eq!(may_tell(&lab), MayTell { level, ..MayTell::default() }, "{session}");
    }
}

/// The attacks: another run's session, one that was ended, one of no token, and one in place of a token.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_grants_nothing_and_ends() {
    let lab = lab().await;
    let (run, other) = (lab.run(&[ADJUST]), lab.run(&[]));
    let session = begun(&run).await;
    let in_session = [("mcp-session-id", session.as_str())];
    assert_eq!(said(&other, &adjust(1), &in_session).await.status, 404, "another run's");
    let bare = Client::connect(&run.socket).await.post(&adjust(1), &in_session).await.unwrap();
    assert_eq!(bare.status, 401);
    let entitled = said(&other, &adjust(1), &[]).await;
    let own = begun(&other).await;
    let in_own = said(&other, &adjust(1), &[("mcp-session-id", &own)]).await;
    assert_eq!((entitled.status, in_own.status), (403, 403), "its token names no tool");
    assert!(lab.executor.acts.lock().unwrap().is_empty());
    assert_eq!(said(&run, &adjust(1), &in_session).await.status, 200, "the control");

    for (ends, run, status) in
        [(&session, &other, "404"), (&session, &run, "204"), (&session, &run, "404")]
    {
        let head = format!(
            "DELETE /mcp HTTP/1.1\r\nhost: atf\r\nmcp-session-id: {ends}\r\nconnection: close\r\n\r\n"
        );
        let patience = std::time::Duration::from_secs(5);
        let got = super::client::raw(&run.socket, head.into_bytes(), patience).await;
        assert!(got.starts_with(&format!("HTTP/1.1 {status} ")), "{got}");
    }
    assert_eq!(said(&run, &adjust(1), &in_session).await.status, 404, "the session has ended");
    assert_eq!(said(&run, &adjust(1), &[]).await.status, 200, "nobody needs one");
}

/// A client that names a stream first has one, of a single event when nothing is told.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_a_stream_for_who_prefers_one_and_an_error_is_none() {
    let lab = lab().await;
    let run = lab.run(&[ADJUST]);
    let prefers = ("accept", "text/event-stream, application/json");
    for (accept, is_stream) in
        [(prefers, true), (("accept", "application/json, text/event-stream"), false)]
    {
        let got = said(&run, &request("tools/list", &json!({})), &[accept]).await;
        let found = got.header("content-type") == "text/event-stream";
        assert_eq!(found, is_stream, "{got:?}");
        let text = got.body.strip_prefix("event: message\ndata: ").unwrap_or(&got.body);
        let message: Value = serde_json::from_str(text).unwrap();
        assert_eq!(message["result"]["tools"][0]["name"], ADJUST);
    }
    let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}});
    let got = said(&run, &request("initialize", &params), &[prefers]).await;
    assert_ne!(got.header("mcp-session-id"), "");
    let refused = said(&run, "[]", &[prefers]).await;
    assert_eq!((refused.status, refused.header("content-type")), (400, "application/json"));
}
