//! Calls on which the policy wants a person's word: made once it is given, once, and no other call by it.

use std::fs;

use serde_json::{Value, json};

use super::client::{ADJUST, adjust, post, tool_call};
use super::lab::{Lab, LabRun, Wanted, shipped};
use crate::audit::{Call, Event, Verdict};
use crate::call::{Approval, Approver, Standing};
use crate::gate::Policy;
use crate::wire::{Registry, RegistryAck};

/// A lab whose policy wants a word from 100 cents on.
async fn lab(dir: &tempfile::TempDir) -> Lab {
    lab_of(dir, |_| ()).await
}

async fn lab_of(dir: &tempfile::TempDir, change: impl Fn(&mut Value)) -> Lab {
    for below in ["atf", "tools"] {
        fs::create_dir_all(dir.path().join(below)).unwrap();
    }
    for file in ["atf/gate.rego", "tools/ledger.adjust.json"] {
        fs::copy(shipped().join(file), dir.path().join(file)).unwrap();
    }
    let data = fs::read_to_string(shipped().join("data.json")).unwrap();
    let mut data: Value = serde_json::from_str(&data).unwrap();
    data["tools"][ADJUST]["approve_from_cents"] = json!(100);
    change(&mut data);
    fs::write(dir.path().join("data.json"), data.to_string()).unwrap();
    Lab::start(Wanted { policy_dir: Some(dir.path().to_owned()), ..Wanted::default() }).await
}

fn approvals(lab: &Lab) -> Vec<Approval> {
    match lab.authority.tell(Registry::Approvals) {
        RegistryAck::Approvals { approvals } => approvals,
        other => panic!("{other:?}"),
    }
}

fn answer(lab: &Lab, approval: &Approval, granted: bool) -> RegistryAck {
    answer_as(lab, approval, granted, None)
}

fn answer_as(lab: &Lab, approval: &Approval, granted: bool, login_uid: Option<u32>) -> RegistryAck {
    let approver = Approver { uid: 0, login_uid, name: "bob".into() };
    lab.authority.tell(Registry::Answer { decision: approval.decision, granted, approver })
}

/// The attack: a person who may grant less, of other tools, or whom the policy does not name.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_granted_by_who_is_named_for_its_tool_and_amount() {
    let dir = tempfile::tempdir().unwrap();
    let lab = lab_of(&dir, |data| {
        data["approvers"] = json!({
            "bob": {"uid": 2_000_000_001, "tools": [ADJUST], "up_to_cents": 500},
            "carol": {"uid": 2_000_000_002},
            "dave": {"uid": 2_000_000_003, "tools": ["ledger.query"]},
        });
    })
    .await;
    let run = lab.run(&[ADJUST]);
    for (cents, may, named) in
        [(500, [true, true, false, false], 2), (501, [false, true, false, false], 1)]
    {
        assert_eq!(call(&run, cents).await, "approval.needed");
        let waits = approvals(&lab).into_iter().find(|a| a.standing == Standing::Pending).unwrap();
        assert_eq!(waits.of.may_grant.as_ref().unwrap().len(), named);
        let logins = [Some(2_000_000_001), Some(2_000_000_002), Some(2_000_000_003), None];
        for (login_uid, may) in logins.into_iter().zip(may) {
            if !may {
                let answered = answer_as(&lab, &waits, true, login_uid);
                assert!(matches!(answered, RegistryAck::Failed { .. }), "{cents} {login_uid:?}");
                assert_eq!(call(&run, cents).await, "approval.needed", "it still waits");
            }
        }
        let first = logins.into_iter().zip(may).find(|(_, may)| *may).unwrap().0;
        assert!(matches!(answer_as(&lab, &waits, true, first), RegistryAck::Done), "{cents}");
        assert_eq!(call(&run, cents).await, "", "{cents}");
    }
    assert_eq!(call(&run, 600).await, "approval.needed");
    let waits = approvals(&lab).into_iter().find(|a| a.standing == Standing::Pending).unwrap();
    assert!(
        matches!(answer_as(&lab, &waits, false, None), RegistryAck::Done),
        "anybody may refuse"
    );
}

/// Calls, and gives the reason of a refusal; empty when it was made.
async fn call(run: &LabRun, cents: u64) -> String {
    post(run, &adjust(cents)).await.reason()
}

fn allowed(lab: &Lab) -> Vec<Call> {
    let of = |event| match event {
        Event::Decided { call, verdict: Verdict::Allowed } => Some(*call),
        _ => None,
    };
    lab.events().into_iter().filter_map(of).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_granted_call_is_made_once() {
    let dir = tempfile::tempdir().unwrap();
    let lab = lab(&dir).await;
    let run = lab.run(&[ADJUST]);
    assert_eq!(call(&run, 99).await, "", "the control: nobody is asked about this one");
    for _ in 0..2 {
        assert_eq!(call(&run, 100).await, "approval.needed");
    }
    let waiting = approvals(&lab);
    let [waits] = waiting.as_slice() else {
        panic!("one call waits, however often it is made: {waiting:?}");
    };
    assert_eq!(waits.standing, Standing::Pending);
    assert_eq!((waits.of.run, waits.of.target.raw()), (run.entry.run, ADJUST));
    let arguments: Value = serde_json::from_str(waits.of.arguments.raw()).unwrap();
    assert_eq!(arguments["amount_cents"], 100);
    assert_eq!(lab.gateway.caps.spent(run.entry.run), 99, "nothing is reserved while it waits");

    assert!(matches!(answer(&lab, waits, true), RegistryAck::Done));
    // Neither other arguments, nor other bytes of the same, nor another run have it.
    let other_run = lab.run(&[ADJUST]);
    let spaced = adjust(100).replace("\"amount_cents\":100", "\"amount_cents\": 100");
    assert_ne!(spaced, adjust(100));
    assert_eq!(call(&run, 101).await, "approval.needed");
    assert_eq!(post(&run, &spaced).await.reason(), "approval.needed");
    assert_eq!(call(&other_run, 100).await, "approval.needed");
    assert_eq!(call(&run, 100).await, "");
    assert_eq!(call(&run, 100).await, "approval.needed", "it was used");

    let [_, call] = allowed(&lab).try_into().unwrap();
    assert_eq!(call.approval, Some(waits.decision));
    assert_eq!(lab.gateway.caps.spent(run.entry.run), 199);
    assert!(!run_is_sealed(&lab, &run), "waiting speaks against nobody");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_call_is_not_made_and_a_changed_policy_asks_anew() {
    let dir = tempfile::tempdir().unwrap();
    let lab = lab(&dir).await;
    let run = lab.run(&[ADJUST]);
    for cents in [200, 300] {
        assert_eq!(call(&run, cents).await, "approval.needed");
    }
    let of = |cents: u64| {
        let text = format!("\"amount_cents\":{cents}");
        let found = approvals(&lab).into_iter().find(|a| a.of.arguments.raw().contains(&text));
        found.unwrap_or_else(|| panic!("{cents}"))
    };
    assert!(matches!(answer(&lab, &of(200), false), RegistryAck::Done));
    assert_eq!(call(&run, 200).await, "approval.denied");
    assert!(matches!(answer(&lab, &of(200), true), RegistryAck::Failed { .. }), "a no stays a no");
    assert_eq!(call(&run, 200).await, "approval.denied");

    assert!(matches!(answer(&lab, &of(300), true), RegistryAck::Done));
    let data = fs::read_to_string(dir.path().join("data.json")).unwrap();
    fs::write(dir.path().join("data.json"), data.replace("50000", "50001")).unwrap();
    let before = lab.gateway.rules.now().policy.revision();
    let reload = |revision| lab.authority.tell(Registry::Reload { revision });
    assert!(matches!(reload(before), RegistryAck::Failed { .. }), "another one is there by now");
    assert_eq!(lab.gateway.rules.now().policy.revision(), before);
    let after = Policy::read(dir.path()).unwrap().revision();
    assert!(matches!(reload(after), RegistryAck::Done));
    assert_eq!(call(&run, 300).await, "approval.needed", "it was granted under another policy");
    assert!(allowed(&lab).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_calls_at_once_that_share_a_grant_one_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let lab = lab(&dir).await;
    let run = lab.run(&[ADJUST]);
    assert_eq!(call(&run, 100).await, "approval.needed");
    assert!(matches!(answer(&lab, &approvals(&lab)[0], true), RegistryAck::Done));
    let calls = (0..10).map(|_| call(&run, 100));
    let answers = at_once(calls).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_empty()).count(), 1, "{answers:?}");
    assert_eq!(lab.gateway.caps.spent(run.entry.run), 100, "the others gave theirs back");
}

/// Whoever reads a list of calls does not read this one.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_asked_about_more_than_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let lab = lab(&dir).await;
    let pin = dir.path().join("tools/ledger.adjust.json");
    let text = fs::read_to_string(&pin).unwrap();
    fs::write(&pin, text.replace("\"maxLength\": 200", "\"maxLength\": 8000")).unwrap();
    lab.gateway.rules.reload(None).unwrap();
    let run = lab.run(&[ADJUST]);
    let of = |length: usize| {
        let reason = "r".repeat(length);
        tool_call(ADJUST, &json!({"entry_id": 1, "amount_cents": 100, "reason": reason}))
    };
    assert_eq!(post(&run, &of(5_000)).await.reason(), "policy.denied");
    assert!(approvals(&lab).is_empty());
    assert_eq!(post(&run, &of(3_000)).await.reason(), "approval.needed", "the control");
}

fn run_is_sealed(lab: &Lab, run: &LabRun) -> bool {
    lab.gateway.runs.get(run.entry.run).unwrap().is_sealed()
}

/// All at once.
async fn at_once(calls: impl Iterator<Item = impl Future<Output = String>>) -> Vec<String> {
    let calls: Vec<_> = calls.collect();
    let mut answers = Vec::new();
    let mut all: Vec<_> = calls.into_iter().map(Box::pin).collect();
    std::future::poll_fn(|context| {
        all.retain_mut(|call| match call.as_mut().poll(context) {
            std::task::Poll::Ready(answer) => {
                answers.push(answer);
                false
            }
            std::task::Poll::Pending => true,
        });
        if all.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    answers
}
