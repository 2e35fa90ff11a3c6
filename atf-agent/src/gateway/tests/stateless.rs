//! The revision without a handshake, over HTTP: its answers, its errors and their statuses.

use serde_json::{Value, json};

use super::client::{ADJUST, Client, Got, capabilities};
use super::lab::{Lab, LabRun, Wanted, prompt};

const REVISION: &str = "2026-07-28";

/// All that are spoken.
const ALL: [&str; 5] = [REVISION, "2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];

/// A request with what the revision demands of each.
fn message(method: &str, params: Value) -> Value {
    let mut params = params;
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": REVISION,
        "io.modelcontextprotocol/clientInfo": {"name": "t", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.atf/promptSha256": prompt().to_string(),
    });
    json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params})
}

fn adjust(cents: u64) -> Value {
    let arguments = json!({"entry_id": 1, "amount_cents": cents, "reason": "r"});
    message("tools/call", json!({"name": ADJUST, "arguments": arguments}))
}

/// Posts with the headers that an honest client takes from the message, and `more`.
async fn said(run: &LabRun, message: &Value, more: &[(&str, &str)]) -> Got {
    tried(run, message, more).await.unwrap()
}

/// The same when the answer may be lost with the connection.
async fn tried(run: &LabRun, message: &Value, more: &[(&str, &str)]) -> Result<Got, hyper::Error> {
    let bearer = format!("Bearer {}", run.token);
    let method = message["method"].as_str().unwrap_or_default();
    let name = message["params"]["name"].as_str().unwrap_or_default();
    let honest = [
        ("authorization", bearer.as_str()),
        ("mcp-protocol-version", REVISION),
        ("mcp-method", method),
        ("mcp-name", name),
    ];
    let kept = honest.iter().filter(|(name, _)| more.iter().all(|(other, _)| other != name));
    let headers: Vec<_> = kept.chain(more).copied().collect();
    Client::connect(&run.socket).await.post(&message.to_string(), &headers).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_discovers_lists_and_calls_without_a_handshake() {
    let lab = Lab::start(Wanted::default()).await;
    let run = lab.run(&[ADJUST]);
    let discovered = said(&run, &message("server/discover", json!({})), &[]).await;
    let listed = said(&run, &message("tools/list", json!({})), &[]).await;
    for got in [&discovered, &listed] {
        let result = &got.json()["result"];
        assert_eq!(got.status, 200, "{got:?}");
        assert_eq!(result["resultType"], "complete", "{got:?}");
        assert_eq!((&result["ttlMs"], &result["cacheScope"]), (&json!(0), &json!("private")));
        let server = &result["_meta"]["io.modelcontextprotocol/serverInfo"];
        assert_eq!(server["name"], "atf", "{got:?}");
        assert_eq!(got.header("mcp-session-id"), "");
    }
    let discovered = discovered.json();
    assert_eq!(discovered["result"]["supportedVersions"], json!(ALL));
    assert_eq!(discovered["result"]["capabilities"], capabilities(true));
    assert_eq!(listed.json()["result"]["tools"][0]["name"], ADJUST);
    let refused = said(&run, &adjust(60_000), &[]).await;
    assert_eq!((refused.status, refused.reason().as_str()), (200, "cap.exceeded"));
    let result = &refused.json()["result"];
    assert_eq!((&result["isError"], &result["resultType"]), (&json!(true), &json!("complete")));
    assert_eq!(lab.events().len(), 3, "all are told to the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tools_result_says_what_it_is_and_is_changed_in_nothing_else() {
    let lab = Lab::start(Wanted::default()).await;
    let run = lab.run(&[ADJUST]);
    for (tool_says, expected) in [
        (r#"{"content":[ ]}"#, r#"{"resultType":"complete","content":[ ]}"#),
        (r#"{ }"#, r#"{"resultType":"complete"}"#),
        (r#"{"resultType":"complete","content":[]}"#, r#"{"resultType":"complete","content":[]}"#),
        (r#"{"result\u0054ype":"complete"}"#, r#"{"result\u0054ype":"complete"}"#),
    ] {
        *lab.executor.result.lock().unwrap() = tool_says.to_owned();
        let got = said(&run, &adjust(1), &[]).await;
        assert_eq!(got.body, format!(r#"{{"jsonrpc":"2.0","id":7,"result":{expected}}}"#));
    }
    for tool_says in [
        r#"{"resultType":"input_required","inputRequests":{}}"#,
        r#"{"resultType":"task","task":{}}"#,
        r#"{"resultType":"complete","resultType":"task"}"#,
        r#"{"resultType":7}"#,
    ] {
        *lab.executor.result.lock().unwrap() = tool_says.to_owned();
        let got = said(&run, &adjust(1), &[]).await;
        assert_eq!(got.reason(), "result.withheld", "{tool_says}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_error_has_its_code_and_its_status() {
    let lab = Lab::start(Wanted::default()).await;
    let version = "io.modelcontextprotocol/protocolVersion";
    let mut future = adjust(1);
    future["params"]["_meta"][version] = json!("2030-01-01");
    let mut bare = adjust(1);
    bare["params"]["_meta"] = json!({});
    let mut incapable = adjust(1);
    incapable["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] = Value::Null;
    let unnamed = message("tools/call", json!({"arguments": {}}));
    let of = |method: &str| message(method, json!({}));
    for (what, message, more, status, code) in [
        ("the control", adjust(1), &[][..], 200, 0),
        ("a parameter's header that no pin declares", adjust(1), &[("mcp-param-x", "y")], 200, 0),
        ("an old opening", of("initialize"), &[], 404, -32_601),
        ("an old method", of("ping"), &[], 404, -32_601),
        ("an unknown method", of("resources/subscribe"), &[], 404, -32_601),
        ("no _meta", bare, &[], 400, -32_602),
        ("no capabilities", incapable, &[], 400, -32_602),
        ("no name", unnamed, &[("mcp-name", "x")], 400, -32_602),
        ("another name", adjust(1), &[("mcp-name", "ledger.query")], 400, -32_020),
        ("no name header", adjust(1), &[("mcp-name", "")], 400, -32_020),
        ("another method", adjust(1), &[("mcp-method", "tools/list")], 400, -32_020),
        ("another revision", adjust(1), &[("mcp-protocol-version", "2025-11-25")], 400, -32_020),
        ("no revision header", adjust(1), &[("mcp-protocol-version", "")], 400, -32_020),
        ("a later revision", future, &[("mcp-protocol-version", "2030-01-01")], 400, -32_022),
    ] {
        // A run of its own: three refusals seal one.
        let got = said(&lab.run(&[ADJUST]), &message, more).await;
        assert_eq!(got.status, status, "{what}: {got:?}");
        let found = got.json();
        assert_eq!(found["error"]["code"].as_i64().unwrap_or(0), code, "{what}: {got:?}");
        assert_eq!(found["id"], 7, "{what}: {got:?}");
        if code == -32_022 {
            let data = &found["error"]["data"];
            assert_eq!(data["requested"], "2030-01-01");
            assert_eq!(data["supported"], json!(ALL), "as server/discover says");
        }
    }
    assert_eq!(lab.executor.acts.lock().unwrap().len(), 2, "the control's and the header's");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_probes_for_revisions_is_not_sealed() {
    let lab = Lab::start(Wanted::default()).await;
    let run = lab.run(&[ADJUST]);
    for year in 2030..2040 {
        let revision = format!("{year}-01-01");
        let mut probe = message("server/discover", json!({}));
        probe["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!(revision);
        let got = said(&run, &probe, &[("mcp-protocol-version", &revision)]).await;
        assert_eq!(got.json()["error"]["code"], -32_022, "{got:?}");
    }
    assert_eq!(said(&run, &adjust(1), &[]).await.reason(), "");
    // The control: other refusals do seal.
    for _ in 0..3 {
        let _lost = tried(&run, &adjust(60_000), &[]).await;
    }
    assert!(lab.kernel.has_deny(run.entry.cgroup));
}
