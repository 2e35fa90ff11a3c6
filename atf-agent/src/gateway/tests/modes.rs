//! Modes of tools: what `log` lets pass, what it never does, and that the log tells each refusal as one.

use serde_json::{Value, json};

use super::client::{ADJUST, adjust, post, post_with, tool_call};
use super::lab::{Lab, LabRun, Wanted};
use crate::audit::{Call, Event, Verdict};
use crate::call::{Reason, Step};

async fn lab(dir: &tempfile::TempDir, change: impl Fn(&mut Value)) -> Lab {
    super::lab::copy(dir.path(), change);
    Lab::start(Wanted { policy_dir: Some(dir.path().to_owned()), ..Wanted::default() }).await
}

fn in_mode(mode: &'static str) -> impl Fn(&mut Value) {
    move |data| {
        data["tools"][ADJUST]["mode"] = json!(mode);
        data["limits"]["per_run_cents"] = json!(1_000_000);
    }
}

fn last(lab: &Lab) -> (Call, Verdict) {
    let found = lab.events().into_iter().rev().find_map(|event| match event {
        Event::Decided { call, verdict } => Some((*call, verdict)),
        _ => None,
    });
    found.unwrap()
}

fn acts(lab: &Lab) -> usize {
    lab.executor.acts.lock().unwrap().len()
}

const QUERY: &str = "ledger.query";

/// Above the policy's cap for one call.
fn too_much() -> String {
    adjust(50_001)
}

#[tokio::test(flavor = "multi_thread")]
async fn in_mode_log_a_refusal_is_recorded_as_one_and_the_call_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let lab = lab(&dir, in_mode("log")).await;
    let run = lab.run(&[ADJUST, QUERY]);
    for count in 1..=5 {
        let got = post(&run, &too_much()).await;
        assert_eq!((got.reason(), acts(&lab)), (String::new(), count), "{got:?}");
        let (call, verdict) = last(&lab);
        let Verdict::Refused { step, reason, enforced, .. } = verdict else {
            panic!("a refusal was told as an allowance: {verdict:?}");
        };
        assert_eq!((step, reason, enforced), (Step::Policy, Reason::CapExceeded, false));
        assert!(call.permit.is_some(), "the record is that of the permit");
    }
    assert!(lab.executor.acts.lock().unwrap().iter().all(|act| act.permit.waived));
    assert!(!lab.gateway.runs.get(run.entry.run).unwrap().is_sealed(), "nobody was stopped");
    assert_eq!(post(&run, &adjust(5)).await.reason(), "", "the control: what is allowed");
    assert_eq!(last(&lab).1, Verdict::Allowed);
    assert!(!lab.executor.acts.lock().unwrap().last().unwrap().permit.waived);
    assert_eq!(lab.gateway.caps.spent(run.entry.run), 5 * 50_001 + 5, "it is counted");
}

/// The attack: a call of a tool in mode log leaves its amount away, where the pin does not ask for it, and is made
/// without anything being counted.
#[tokio::test(flavor = "multi_thread")]
async fn in_mode_log_a_call_without_its_amount_is_not_made() {
    let dir = tempfile::tempdir().unwrap();
    super::lab::copy(dir.path(), in_mode("log"));
    let pin = dir.path().join(format!("tools/{ADJUST}.json"));
    let mut json: Value = serde_json::from_slice(&std::fs::read(&pin).unwrap()).unwrap();
    json["inputSchema"]["required"] = json!(["entry_id"]);
    std::fs::write(&pin, json.to_string()).unwrap();
    let policy_dir = Some(dir.path().to_owned());
    let lab = Lab::start(Wanted { policy_dir, ..Wanted::default() }).await;
    let run = lab.run(&[ADJUST]);
    let got = post(&run, &tool_call(ADJUST, &json!({"entry_id": 1, "reason": "x"}))).await;
    assert_eq!((got.reason(), acts(&lab)), (Reason::CapExceeded.to_string(), 0), "{got:?}");
    assert!(matches!(last(&lab).1, Verdict::Refused { enforced: true, .. }));
    assert_eq!(post(&run, &too_much()).await.reason(), "", "the control: a clear no is waived");
    assert_eq!(acts(&lab), 1);
}

/// The attack: a run that has found a tool in mode log tries what is none of the policy's.
#[tokio::test(flavor = "multi_thread")]
async fn mode_log_waives_the_policy_s_no_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let lab = lab(&dir, |data| {
        in_mode("log")(data);
        data["seal"]["refusals"] = json!(100);
    })
    .await;
    let run = lab.run(&[ADJUST, QUERY]);
    let other_run = lab.run(&[ADJUST]);
    let narrow = lab.run(&[QUERY]);
    assert_eq!(post(&run, &too_much()).await.reason(), "", "the control");
    let sql = tool_call(QUERY, &json!({"sql": "SELECT * FROM secrets"}));
    let bad = tool_call(ADJUST, &json!({"entry_id": 1, "amount_cents": "much", "reason": "x"}));
    let rows: [(&str, &LabRun, &str, Option<&str>, Reason); 6] = [
        ("another's token", &run, &too_much(), Some(&other_run.token), Reason::TokenOtherRun),
        ("no token", &run, &too_much(), Some(""), Reason::TokenInvalid),
        ("a tool that the token lacks", &narrow, &too_much(), None, Reason::ToolNotNamed),
        ("the pin's schema", &run, &bad, None, Reason::SchemaArguments),
        ("the rules of SQL", &run, &sql, None, Reason::SqlRefused),
        ("a cap", &run, &adjust(1_000_000), None, Reason::CapExceeded),
    ];
    for (what, run, body, token, expected) in rows {
        let got = post_with(run, body, token.unwrap_or(&run.token)).await;
        assert_eq!(got.reason(), expected.to_string(), "{what}: {got:?}");
        let (_, verdict) = last(&lab);
        assert!(matches!(verdict, Verdict::Refused { enforced: true, .. }), "{what}: {verdict:?}");
        assert_eq!(acts(&lab), 1, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_mode_and_the_other_modes_enforce() {
    for mode in [None, Some("enforce"), Some("learn")] {
        let dir = tempfile::tempdir().unwrap();
        let lab = lab(&dir, |data| {
            if let Some(mode) = mode {
                data["tools"][ADJUST]["mode"] = json!(mode);
            }
            data["tools"][QUERY]["mode"] = json!("log");
        })
        .await;
        let run = lab.run(&[ADJUST]);
        assert_eq!(post(&run, &too_much()).await.reason(), "cap.exceeded", "{mode:?}");
        assert!(matches!(last(&lab).1, Verdict::Refused { enforced: true, .. }), "{mode:?}");
        assert_eq!(acts(&lab), 0, "{mode:?}");
        assert_eq!(post(&run, &adjust(5)).await.reason(), "", "the control: {mode:?}");
    }
}

/// Loud: in the record of the start.
#[tokio::test(flavor = "multi_thread")]
async fn the_start_says_which_tools_are_not_enforced() {
    for (mode, expected) in [("log", Some(ADJUST)), ("enforce", None)] {
        let dir = tempfile::tempdir().unwrap();
        let lab = lab(&dir, in_mode(mode)).await;
        let started = || {
            lab.recorder.events.lock().unwrap().iter().find_map(|event| match event {
                Event::Started { facts } => Some(facts.clone()),
                _ => None,
            })
        };
        let mut facts = None;
        for _ in 0..1_000 {
            facts = started();
            if facts.is_some() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        let facts = facts.unwrap();
        let found =
            facts.iter().find(|(name, _)| name == "unenforced").map(|(_, tools)| tools.as_str());
        assert_eq!(found, expected, "{mode}");
    }
}
