//! Questions about a deferred call on which the policy wants a person's word.

use std::fs;

use serde_json::json;

use super::deferring_lab::{METHODS, SLOW, about, acts, begin, policy, says, task};
use super::lab::{Lab, Wanted};
use crate::call::{Approval, Approver};
use crate::wire::{Registry, RegistryAck};

fn approvals(lab: &Lab) -> Vec<Approval> {
    match lab.authority.tell(Registry::Approvals) {
        RegistryAck::Approvals { approvals } => approvals,
        other => panic!("{other:?}"),
    }
}

/// The attack: a run asks a person whether it may fetch, and cancels by that word.
#[tokio::test(flavor = "multi_thread")]
async fn a_word_on_one_question_about_a_deferred_call_is_of_no_other() {
    let dir = tempfile::tempdir().unwrap();
    policy(dir.path(), &METHODS, &json!({}));
    let path = dir.path().join("gate.rego");
    let rules = fs::read_to_string(&path).unwrap();
    let (none, some) = (
        "approval := {} if input.call.method != \"tools/call\"",
        "approval := {} if input.call.method == \"tasks/get\"",
    );
    assert!(rules.contains(none));
    fs::write(&path, rules.replace(none, some)).unwrap();
    let policy_dir = Some(dir.path().to_owned());
    let lab = Lab::start(Wanted { policy_dir, ..Wanted::default() }).await;
    let run = lab.run(&[SLOW]);
    let id = begin(&lab, &run, "a").await;
    let before = acts(&lab);
    assert_eq!(about(&run, "result", &id).await.reason(), "approval.needed");
    let asked = approvals(&lab).pop().unwrap();
    assert_eq!(asked.of.target.raw(), format!("tasks/result {SLOW}"), "the person is told which");
    let approver = Approver { uid: 0, login_uid: None, name: "bob".into() };
    let word = Registry::Answer { decision: asked.decision, granted: true, approver };
    assert!(matches!(lab.authority.tell(word), RegistryAck::Done));
    says(&lab, &task("a", "cancelled"));
    assert_eq!(about(&run, "cancel", &id).await.reason(), "approval.needed");
    assert_eq!(acts(&lab), before);
    says(&lab, &json!({"content": []}));
    assert_eq!(about(&run, "result", &id).await.reason(), "", "the control");
    assert_eq!(acts(&lab), before + 1);
}
