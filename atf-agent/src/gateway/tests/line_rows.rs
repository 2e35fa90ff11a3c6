//! The line, call by call: the honest one, and each refusal with its step, its reason and its face.

use serde_json::{Value, json};

use super::client::{ADJUST, Client, adjust, capabilities, post, post_with, request, tool_call};
use super::doubles::{EXECUTOR, nonce};
use super::lab::{Lab, LabRun, Wanted, now_unix_s, prompt};
use crate::audit::{Event, Outcome, Verdict};
use crate::call::{Digest, Reason, Step};
use crate::identity::{AgreementPublic, Purpose};

const QUERY: &str = "ledger.query";

#[tokio::test(flavor = "multi_thread")]
async fn an_honest_call_is_judged_recorded_executed_settled_and_answered() {
    let lab = Lab::start(Wanted::default()).await;
    let run = lab.run(&[ADJUST]);
    let arguments = r#"{ "reason":"r\u0065", "amount_cents": 5, "entry_id":1}"#;
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{{"name":"{ADJUST}",
           "arguments":{arguments},"_meta":{{"io.atf/promptSha256":"{}"}}}}}}"#,
        prompt()
    );
    let got = post(&run, &body).await;
    let result = lab.executor.result.lock().unwrap().clone();
    let expected = format!(r#"{{"jsonrpc":"2.0","id":"a","result":{result}}}"#);
    assert_eq!((got.status, got.body.as_str()), (200, expected.as_str()));
    assert_eq!(got.header("content-type"), "application/json");

    let acts = lab.executor.acts.lock().unwrap();
    let [act] = acts.as_slice() else {
        panic!("{} acts", acts.len());
    };
    assert_eq!(act.arguments, arguments, "byte for byte");
    assert_eq!(act.token, run.token);
    let body = &act.permit;
    assert_eq!((body.run, body.cgroup), (run.entry.run, run.entry.cgroup));
    assert_eq!(body.target.as_str(), ADJUST);
    assert_eq!(body.arguments, Digest::of(arguments.as_bytes()));
    assert_eq!(body.token, Digest::of(run.token.as_bytes()));
    assert_eq!(body.nonce, nonce());
    assert!(body.expires_unix_s <= now_unix_s() + 10);
    let key = std::fs::read_to_string(lab.places.permit_key()).unwrap();
    let key = AgreementPublic::from_hex(&key).unwrap();
    let key = EXECUTOR.from_writer(Purpose::Permit, key).unwrap();
    assert!(key.holds(act.sent.body.as_bytes(), act.sent.code));
    assert!(act.receipt.body.durable);
    assert_eq!(act.receipt.body.seq, 2, "the start, the decision, and then the act");

    let (call, verdict) = lab.decided();
    assert_eq!(verdict, Verdict::Allowed);
    let digest = Digest::of(act.sent.body.as_bytes());
    assert_eq!((call.permit, call.decision), (Some(digest), body.decision));
    assert_eq!(Some(act.receipt.body.permit), call.permit);
    // What the recorder holds against the permit before it gives a receipt for it.
    assert_eq!((call.run, call.cgroup), (body.run, body.cgroup));
    assert_eq!(call.tool.as_ref().map(|tool| tool.raw()), Some(body.target.as_str()));
    assert_eq!((call.token, call.pin), (Some(body.token), body.pin));
    assert_eq!((call.arguments, call.policy), (Some(body.arguments), Some(body.policy)));
    assert_eq!(call.prompt, Some(prompt()));
    assert_eq!(call.agent, Some(run.entry.agent.clone()));
    assert!(call.gate_ns > 0);
    let answered = Outcome::Answered {
        result: Digest::of(result.as_bytes()),
        bytes: result.len() as u64,
        is_error: false,
    };
    assert_eq!(lab.outcomes(), [answered]);
    assert_eq!(lab.gateway.caps.spent(run.entry.run), 5);
}

/// What a refusal looks like.
struct Refused {
    status: u16,
    reason: Reason,
    step: Step,
    /// `WWW-Authenticate`.
    challenge: &'static str,
    /// The JSON-RPC code; `None` for a tool result.
    code: Option<i64>,
}

/// A refused tool call, as the model reads it.
fn tool(step: Step, reason: Reason) -> Refused {
    Refused { status: 200, reason, step, challenge: "", code: None }
}

fn token(status: u16, reason: Reason, challenge: &'static str) -> Refused {
    Refused { status, reason, step: Step::Authenticate, challenge, code: Some(i64::from(status)) }
}

fn unread(status: u16, code: i64) -> Refused {
    Refused {
        status,
        reason: Reason::MessageInvalid,
        step: Step::Receive,
        challenge: "",
        code: Some(code),
    }
}

/// Sends `body` with `token` (the run's own when `None`) in a fresh lab, and finds `expected` in the
/// answer and in the log, and nothing executed.
async fn check(
    name: &str,
    tools: &[&str],
    body: &str,
    token: impl FnOnce(&Lab, &LabRun) -> Option<String>,
    expected: Refused,
) {
    let lab = Lab::start(Wanted::default()).await;
    let run = lab.run(tools);
    let token = token(&lab, &run).unwrap_or_else(|| run.token.clone());
    let got = post_with(&run, body, &token).await;
    assert_eq!(got.status, expected.status, "{name}: {got:?}");
    assert_eq!(got.header("www-authenticate"), expected.challenge, "{name}");
    assert_eq!(got.reason(), expected.reason.to_string(), "{name}: {got:?}");
    let json = got.json();
    match expected.code {
        Some(code) => assert_eq!(json["error"]["code"], json!(code), "{name}: {json}"),
        None => assert_eq!(json["result"]["isError"], json!(true), "{name}: {json}"),
    }
    let (_, verdict) = lab.decided();
    let Verdict::Refused { step, reason, detail, enforced: true } = verdict else {
        panic!("{name}: allowed");
    };
    assert_eq!((step, reason), (expected.step, expected.reason), "{name}: {detail}");
    assert!(!detail.raw().is_empty(), "{name}: the log has no detail");
    assert!(!got.body.contains(detail.raw()), "{name}: the caller learns the detail");
    assert!(lab.executor.acts.lock().unwrap().is_empty(), "{name}: executed");
}

#[tokio::test(flavor = "multi_thread")]
async fn token_schema_and_sql_refusals_have_their_reason_and_their_face() {
    let own = |_: &Lab, _: &LabRun| None;
    for (name, tools, body, expected) in [
        (
            "a statement that writes",
            &[QUERY][..],
            tool_call(QUERY, &json!({"sql": "DROP TABLE ledger_entries"})),
            tool(Step::Sql, Reason::SqlRefused),
        ),
        (
            "a tool that the token does not name",
            &[QUERY],
            adjust(5),
            token(
                403,
                Reason::ToolNotNamed,
                concat!(
                    r#"Bearer error="insufficient_scope", scope="ledger.adjust", "#,
                    r#"resource_metadata="http://atf/.well-known/oauth-protected-resource/mcp""#
                ),
            ),
        ),
        (
            "a tool that is not pinned",
            &["ledger.burn"],
            tool_call("ledger.burn", &json!({})),
            tool(Step::Schema, Reason::ToolNotPinned),
        ),
        (
            "an argument of the wrong kind",
            &[ADJUST],
            tool_call(ADJUST, &json!({"entry_id": 1, "amount_cents": "5", "reason": "r"})),
            tool(Step::Schema, Reason::SchemaArguments),
        ),
        (
            "no arguments at all",
            &[ADJUST],
            tool_call(ADJUST, &json!({})),
            tool(Step::Schema, Reason::SchemaArguments),
        ),
    ] {
        check(name, tools, &body, own, expected).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn policy_and_message_refusals_have_their_reason_and_their_face() {
    let own = |_: &Lab, _: &LabRun| None;
    for (name, tools, body, expected) in [
        (
            "an amount over the cap of a call",
            &[ADJUST][..],
            adjust(50_001),
            tool(Step::Policy, Reason::CapExceeded),
        ),
        (
            "a changed prompt",
            &[ADJUST],
            adjust(5).replace(&prompt().to_string(), &Digest::of(b"evil").to_string()),
            tool(Step::Policy, Reason::PromptDigest),
        ),
        ("no JSON", &[ADJUST], "{".to_owned(), unread(400, -32_700)),
        ("a batch", &[ADJUST], format!("[{}]", adjust(5)), unread(400, -32_600)),
        (
            "a method that is not known",
            &[ADJUST],
            request("resources/watch", &json!({"uri": "file:///etc/passwd"})),
            unread(200, -32_601),
        ),
        (
            "parameters of the wrong kind",
            &[ADJUST],
            request("tools/call", &json!({"name": ADJUST, "arguments": [1]})),
            unread(200, -32_602),
        ),
    ] {
        check(name, tools, &body, own, expected).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_not_the_runs_own_and_good_is_refused() {
    let invalid = concat!(
        r#"Bearer error="invalid_token", "#,
        r#"resource_metadata="http://atf/.well-known/oauth-protected-resource/mcp""#
    );
    let foreign = |lab: &Lab, _: &LabRun| Some(lab.run(&[ADJUST]).token);
    let expected = token(401, Reason::TokenOtherRun, invalid);
    check("stolen", &[ADJUST], &adjust(5), foreign, expected).await;
    let garbage = |_: &Lab, _: &LabRun| Some("a.b.c".to_owned());
    let expected = token(401, Reason::TokenInvalid, invalid);
    check("garbage", &[ADJUST], &adjust(5), garbage, expected).await;
    let expired = |lab: &Lab, run: &LabRun| {
        Some(lab.token(&run.entry, &[ADJUST], |claims| {
            claims.iat -= 310;
            claims.nbf -= 310;
            claims.exp -= 310;
        }))
    };
    let expected = token(401, Reason::TokenInvalid, invalid);
    check("expired", &[ADJUST], &adjust(5), expired, expected).await;
    let foreign_key = |_: &Lab, run: &LabRun| {
        let (head, _) = run.token.rsplit_once('.').unwrap();
        Some(format!("{head}.{}", "A".repeat(342)))
    };
    let expected = token(401, Reason::TokenInvalid, invalid);
    check("signature", &[ADJUST], &adjust(5), foreign_key, expected).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stolen_token_is_a_finding() {
    let lab = Lab::start(Wanted::default()).await;
    let (victim, thief) = (lab.run(&[ADJUST]), lab.run(&[ADJUST]));
    assert_eq!(post(&thief, &adjust(1)).await.reason(), "", "the control");
    post_with(&thief, &adjust(1), &victim.token).await;
    let is_it = |event: &Event| {
        matches!(event, Event::Finding { name, run, .. }
            if name == "token.other_run" && *run == Some(thief.entry.run))
    };
    lab.until("the finding", |lab| lab.events().iter().any(is_it).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cap_of_a_run_holds_over_its_calls() {
    let lab = Lab::start(Wanted::default()).await;
    let (run, other) = (lab.run(&[ADJUST]), lab.run(&[ADJUST]));
    for _ in 0..4 {
        assert_eq!(post(&run, &adjust(50_000)).await.reason(), "");
    }
    assert_eq!(post(&run, &adjust(1)).await.reason(), "cap.exceeded");
    assert_eq!(post(&other, &adjust(1)).await.reason(), "", "the control");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_digest_is_taken_from_the_header_too() {
    let lab = Lab::start(Wanted::default()).await;
    let run = lab.run(&[ADJUST]);
    let arguments = json!({"entry_id": 1, "amount_cents": 5, "reason": "r"});
    let bare = request("tools/call", &json!({"name": ADJUST, "arguments": arguments}));
    let (own, evil) = (prompt().to_string(), Digest::of(b"evil").to_string());
    let bearer = format!("Bearer {}", run.token);
    for (body, header, reason) in [
        (&bare, Some(&own), ""),
        (&bare, None, "policy.prompt_digest"),
        (&adjust(5), Some(&own), ""),
        (&adjust(5), Some(&evil), "policy.prompt_digest"),
    ] {
        let mut headers = vec![("authorization", bearer.as_str())];
        headers.extend(header.map(|digest| ("atf-prompt-sha256", digest.as_str())));
        let mut client = Client::connect(&run.socket).await;
        let got = client.post(body, &headers).await.unwrap();
        assert_eq!(got.reason(), reason, "{header:?} {body}");
        let is_told = got.json().to_string().contains("ATF-Prompt-SHA256: $ATF_PROMPT_SHA256");
        assert_eq!(is_told, !reason.is_empty(), "{header:?} {body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_gateway_answers_itself_is_what_the_token_names() {
    let lab = Lab::start(Wanted::default()).await;
    let run = lab.run(&[QUERY, "ledger.burn"]);
    let asked = json!({"protocolVersion": "2025-11-25", "capabilities": {},
                       "clientInfo": {"name": "t", "version": "1"}});
    let answer = post(&run, &request("initialize", &asked)).await.json();
    assert_eq!(answer["result"]["capabilities"], capabilities(false));
    let answer = post(&run, &request("ping", &json!({}))).await.json();
    assert_eq!(answer, json!({"jsonrpc": "2.0", "id": 7, "result": {}}));
    let got = post(&run, &request("tools/list", &json!({}))).await;
    let tools = got.json()["result"]["tools"].as_array().unwrap().clone();
    let names: Vec<&Value> = tools.iter().map(|tool| &tool["name"]).collect();
    assert_eq!(names, [QUERY], "named and pinned");
    assert!(tools[0]["inputSchema"]["properties"]["sql"].is_object());
    assert!(!got.body.contains("x-atf"), "{}", got.body);
    let note = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    let got = post(&run, &note.to_string()).await;
    assert_eq!((got.status, got.body.as_str()), (202, ""));
    let recorded = lab.events().len();
    assert_eq!(recorded, 2, "initialize and tools/list");
}
