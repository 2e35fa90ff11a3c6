//! The canonical text of a pin that asks for it: what is judged, recorded, permitted and sent is one thing, and
//! nothing else of the call changes.

use serde_json::{Value, json};

use super::client::{post, tool_call};
use super::lab::{Lab, Wanted};
use crate::audit::{Call, Event, Verdict};
use crate::call::{Digest, Reason, Step};

const QUERY: &str = "ledger.query";

const CAME: &str = "select  id\nfrom merchants\twhere name='it''s' limit 5 ;";
const SENT: &str = "SELECT id FROM merchants WHERE name = 'it''s' LIMIT 5";

async fn lab(dir: &tempfile::TempDir, change: impl Fn(&mut Value)) -> Lab {
    super::lab::copy(dir.path(), |data| data["seal"]["refusals"] = json!(100));
    let pin = dir.path().join("tools/ledger.query.json");
    let mut json: Value = serde_json::from_slice(&std::fs::read(&pin).unwrap()).unwrap();
    change(&mut json["inputSchema"]["properties"]["sql"]);
    std::fs::write(&pin, json.to_string()).unwrap();
    Lab::start(Wanted { policy_dir: Some(dir.path().to_owned()), ..Wanted::default() }).await
}

fn canonical(sql: &mut Value) {
    sql["x-atf-sql"]["rewrite"] = json!("canonical");
}

fn last(lab: &Lab) -> (Call, Verdict) {
    let found = lab.events().into_iter().rev().find_map(|event| match event {
        Event::Decided { call, verdict } => Some((*call, verdict)),
        _ => None,
    });
    found.unwrap()
}

/// The arguments and the permit's digest of what the executor was given last.
fn sent(lab: &Lab) -> (String, Digest) {
    let acts = lab.executor.acts.lock().unwrap();
    let act = acts.last().unwrap();
    (act.arguments.clone(), act.permit.arguments)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_is_what_is_recorded_and_permitted() {
    let dir = tempfile::tempdir().unwrap();
    let lab = lab(&dir, canonical).await;
    let run = lab.run(&[QUERY]);
    let call = tool_call(QUERY, &json!({ "sql": CAME }));
    assert_eq!(post(&run, &call).await.reason(), "");
    let expected = json!({ "sql": SENT }).to_string();
    let digest = Digest::of(expected.as_bytes());
    assert_eq!(sent(&lab), (expected, digest));
    let (call, verdict) = last(&lab);
    assert_eq!((verdict, call.arguments), (Verdict::Allowed, Some(digest)));
    let [rewritten] = call.rewritten.as_slice() else { panic!("{:?}", call.rewritten) };
    assert_eq!(rewritten.argument.raw(), "sql");
    assert_eq!(rewritten.came, Digest::of(CAME.as_bytes()));
    assert_eq!(rewritten.sent, Digest::of(SENT.as_bytes()));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_option_every_byte_is_sent_as_it_came() {
    let dir = tempfile::tempdir().unwrap();
    let lab = lab(&dir, |_| ()).await;
    let run = lab.run(&[QUERY]);
    let arguments = json!({ "sql": CAME });
    assert_eq!(post(&run, &tool_call(QUERY, &arguments)).await.reason(), "");
    let expected = arguments.to_string();
    let digest = Digest::of(expected.as_bytes());
    assert_eq!(sent(&lab), (expected, digest));
    assert!(last(&lab).0.rewritten.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_print_is_refused_and_not_sent() {
    let dir = tempfile::tempdir().unwrap();
    let lab = lab(&dir, canonical).await;
    let run = lab.run(&[QUERY]);
    let ask = |sql: &str| tool_call(QUERY, &json!({ "sql": sql }));
    let chain = |terms: usize| {
        let terms = vec!["id = 1"; terms].join(" OR ");
        ask(&format!("SELECT id FROM merchants WHERE {terms} LIMIT 5"))
    };
    let got = post(&run, &chain(250)).await;
    assert_eq!(got.reason(), Reason::SqlRefused.to_string());
    let (call, verdict) = last(&lab);
    let Verdict::Refused { step: Step::Sql, detail, .. } = verdict else { panic!("{verdict:?}") };
    assert!(detail.raw().starts_with("sql: R13: "), "{detail}");
    assert!(call.rewritten.is_empty() && lab.executor.acts.lock().unwrap().is_empty());
    assert_eq!(post(&run, &chain(150)).await.reason(), "", "the control");
}

/// The attack: a text that keeps the schema becomes, printed, one that does not.
#[tokio::test(flavor = "multi_thread")]
async fn the_pin_holds_of_what_is_sent_too() {
    let dir = tempfile::tempdir().unwrap();
    let (tight, print) = ("SELECT id FROM merchants WHERE id=1 LIMIT 5", 45);
    let bounded = |most: usize| {
        move |sql: &mut Value| {
            canonical(sql);
            sql["maxLength"] = json!(most);
        }
    };
    for (most, reason) in [(print - 1, Reason::SchemaArguments.to_string()), (print, String::new())]
    {
        let lab = lab(&dir, bounded(most)).await;
        let run = lab.run(&[QUERY]);
        let got = post(&run, &tool_call(QUERY, &json!({ "sql": tight }))).await;
        assert_eq!(got.reason(), reason, "{most}: {got:?}");
    }
}
