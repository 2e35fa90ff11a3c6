//! A client that says that it does not wait for a call any more: the call's server is told, and nobody else's
//! call is touched.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use super::client::{ADJUST, Client, Got, adjust, request};
use super::doubles::Mood;
use super::lab::{Lab, LabRun, Wanted};
use crate::audit::Outcome;

fn cancelled(params: &Value) -> String {
    json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}).to_string()
}

async fn said(run: &LabRun, body: &str, session: &str) -> Got {
    let bearer = format!("Bearer {}", run.token);
    let headers = [("authorization", bearer.as_str()), ("mcp-session-id", session)];
    Client::connect(&run.socket).await.post(body, &headers).await.unwrap()
}

async fn begun(run: &LabRun) -> String {
    let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}});
    let got = said(run, &request("initialize", &params), "").await;
    got.header("mcp-session-id").to_owned()
}

/// Long enough for a message that is on its way.
const SOON: Duration = Duration::from_millis(200);

async fn cancels(lab: &Lab) -> usize {
    tokio::time::sleep(SOON).await;
    lab.executor.cancelled.lock().unwrap().len()
}

/// The call of number 7 is under way in a session of one run. Each row says something about it from somewhere.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_cancelled_by_its_own_client_and_number_alone() {
    let lab = Lab::start(Wanted::default()).await;
    let (run, other) = (lab.run(&[ADJUST]), lab.run(&[ADJUST]));
    let (session, beside, elsewhere) = (begun(&run).await, begun(&run).await, begun(&other).await);
    lab.executor.mood.set(Mood::Waits);
    let call = {
        let (socket, bearer, session) =
            (run.socket.clone(), format!("Bearer {}", run.token), session.clone());
        tokio::spawn(async move {
            let headers =
                [("authorization", bearer.as_str()), ("mcp-session-id", session.as_str())];
            Client::connect(&socket).await.post(&adjust(1), &headers).await.unwrap()
        })
    };
    let act = lab.until("the call", |lab| lab.executor.acts.lock().unwrap().pop()).await;
    let seven = json!({"requestId": 7});
    for (what, run, session, params) in [
        ("another number", &run, session.as_str(), json!({"requestId": 8})),
        ("another spelling", &run, &session, json!({"requestId": "7"})),
        ("no number", &run, &session, json!({})),
        ("null", &run, &session, json!({"requestId": null})),
        ("another session", &run, &beside, seven.clone()),
        ("no session", &run, "", seven.clone()),
        ("another run", &other, &elsewhere, seven.clone()),
    ] {
        let got = said(run, &cancelled(&params), session).await;
        assert_eq!((got.status, cancels(&lab).await), (202, 0), "{what}");
    }
    let got = said(&run, &cancelled(&seven), &session).await;
    assert_eq!((got.status, cancels(&lab).await), (202, 1));
    assert_eq!(lab.executor.cancelled.lock().unwrap()[0], act.permit.decision);
    lab.executor.mood.set(Mood::Works);
    assert_eq!(call.await.unwrap().status, 200, "it goes on to its end");
    assert!(matches!(lab.outcomes()[..], [Outcome::Answered { .. }]));
    // It is over: there is nothing to cancel.
    said(&run, &cancelled(&seven), &session).await;
    assert_eq!(cancels(&lab).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_of_lines_cancels_its_own_calls() {
    let lab = Lab::start(Wanted::default()).await;
    let run = lab.run(&[ADJUST]);
    lab.executor.mood.set(Mood::Waits);
    let mut own = UnixStream::connect(&run.lines).await.unwrap();
    let mut other = UnixStream::connect(&run.lines).await.unwrap();
    let said = format!("Authorization: Bearer {}\n{}\n", run.token, adjust(1));
    own.write_all(said.as_bytes()).await.unwrap();
    lab.until("the call", |lab| lab.executor.acts.lock().unwrap().pop()).await;
    let line = format!("{}\n", cancelled(&json!({"requestId": 7, "reason": "enough"})));
    other.write_all(line.as_bytes()).await.unwrap();
    assert_eq!(cancels(&lab).await, 0, "another connection");
    own.write_all(line.as_bytes()).await.unwrap();
    assert_eq!(cancels(&lab).await, 1);
    lab.executor.mood.set(Mood::Works);
    assert!(own.read(&mut [0; 4_096]).await.unwrap() > 0, "it is answered all the same");
}
